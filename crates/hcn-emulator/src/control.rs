//! The client of the control interface, which offers the methods of [`Emulator`](crate::Emulator) to another process.
//!
//! It connects to the same address as [`Remote`](crate::remote::Remote), and works while the emulated HNS is stopped. Its requests are
//! not in the journal.

use std::io::BufReader;
use std::net::{IpAddr, TcpStream};

use hcn::{Guid, Kind};
use serde_json::Value;

use crate::builds::{Options, Quirks};
use crate::command::{Command, Outcome};
use crate::faults::Fault;
use crate::feed::{Change, FeedEnd};
use crate::host::Host;
use crate::pool::{Lost, Pool};
use crate::wire::{Answer, Request};

pub use crate::command::{Counters, Line};

/// Why a control request failed.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    /// The service is unavailable, or the connection broke before its answer.
    #[error("{0}")]
    Unavailable(String),
    /// The service rejected the request.
    #[error("emulator rejected the request: {0}")]
    Refused(String),
    /// The answer does not match the request.
    #[error("unexpected answer of the emulator; check that it has the same version")]
    Mismatch,
    /// The change feed has ended. All changes before were received.
    #[error(transparent)]
    FeedEnded(#[from] FeedEnd),
}

impl From<Lost> for ControlError {
    fn from(lost: Lost) -> Self {
        Self::Unavailable(lost.to_string())
    }
}

/// A client of the control interface. Connects at the first request.
#[derive(Debug)]
pub struct Control {
    pool: Pool,
}

macro_rules! requests {
    ($($(#[$doc:meta])* $name:ident($($argument:ident: $type:ty),*) = $command:expr => $outcome:pat => $result:expr, $answer:ty;)*) => {
        impl Control {
            $(
                $(#[$doc])*
                ///
                /// # Errors
                /// If the service is unavailable or rejects the request.
                pub fn $name(&self, $($argument: $type),*) -> Result<$answer, ControlError> {
                    match self.ask(&$command)? {
                        $outcome => Ok($result),
                        _ => Err(ControlError::Mismatch),
                    }
                }
            )*
        }
    };
}

requests! {
    /// The documents of a kind, in the order of their creation.
    documents(kind: Kind) = Command::Documents(kind) => Outcome::Documents(documents) => documents, Vec<Value>;
    /// The calls since the last reset of the journal, in order.
    journal() = Command::Journal => Outcome::Journal(lines) => lines, Vec<Line>;
    /// The numbers of calls since the last reset of the journal.
    counters() = Command::Counters => Outcome::Counters(counters) => counters, Counters;
    /// Clears the journal and counters.
    reset_journal() = Command::ResetJournal => Outcome::Done => (), ();
    /// Injects a fault.
    inject(fault: Fault) = Command::Inject(fault, None) => Outcome::Done => (), ();
    /// Injects a fault that affects at most `times` calls.
    inject_times(fault: Fault, times: u64) = Command::Inject(fault, Some(times)) => Outcome::Done => (), ();
    /// Releases the calls that hang. Their faults stay.
    release() = Command::Release => Outcome::Done => (), ();
    /// The number of calls that hang.
    hung_calls() = Command::HungCalls => Outcome::Number(calls) => calls, usize;
    /// Removes all faults. Calls that hang are released.
    clear_faults() = Command::ClearFaults => Outcome::Done => (), ();
    /// The quirks of the build.
    quirks() = Command::Quirks => Outcome::Quirks(quirks) => quirks, Quirks;
    /// Replaces the quirks of the build.
    set_quirks(quirks: Quirks) = Command::SetQuirks(quirks) => Outcome::Done => (), ();
    /// The choices where the behaviour of a real HNS is unknown.
    options() = Command::Options => Outcome::Options(options) => options, Options;
    /// Replaces the choices where the behaviour of a real HNS is unknown.
    set_options(options: Options) = Command::SetOptions(options) => Outcome::Done => (), ();
    /// Stops HNS: open handles become invalid, calls fail, subscriptions end, and objects of these kinds disappear until
    /// [`reappear`](Self::reappear).
    stop(lost: &[Kind]) = Command::Stop(lost.to_vec()) => Outcome::Done => (), ();
    /// Starts HNS again.
    start() = Command::Start => Outcome::Done => (), ();
    /// Restores the objects that disappeared at a stop, except those whose ids are in use.
    reappear() = Command::Reappear => Outcome::Done => (), ();
    /// Adds an object as another user of HNS. Only its id is checked.
    add(kind: Kind, document: Value) = Command::Add { kind, document } => Outcome::Id(id) => id, Guid;
    /// Adds the endpoint of a pod, as a CNI plugin does.
    add_local_endpoint(network: Guid, name: &str, addresses: &[IpAddr]) =
        Command::AddLocalEndpoint { network, name: name.to_owned(), addresses: addresses.to_vec() }
        => Outcome::Id(id) => id, Guid;
    /// Replaces the document of an object as another user of HNS. Only its id is checked.
    replace(kind: Kind, id: Guid, document: Value) = Command::Replace { kind, id, document } => Outcome::Done => (), ();
    /// Removes an object with its dependants, as another user of HNS.
    remove(kind: Kind, id: Guid) = Command::Remove { kind, id } => Outcome::Done => (), ();
    /// All objects of HNS, with the host's facts about itself.
    host() = Command::Host => Outcome::Host(host) => host, Host;
    /// The host's facts about itself, without objects.
    facts() = Command::Facts => Outcome::Host(host) => host, Host;
}

impl Control {
    /// A client of the service at `HOST:PORT`. Connects at the first request.
    pub fn connect_lazily(address: impl Into<String>) -> Self {
        Self { pool: Pool::new(address.into()) }
    }

    /// Subscribes to the changes of HNS, over a connection of its own. If the client reads slowly, 65 536 changes wait in the service.
    ///
    /// # Errors
    /// If the service is unavailable or rejects the request.
    pub fn follow(&self) -> Result<RemoteFeed<'_>, ControlError> {
        let (connection, answer) = self.pool.subscribe(&Request::Follow)?;
        // Fails now if the service does not know the request, and not at the first change.
        let first = Some(changed(answer)?);
        Ok(RemoteFeed { pool: &self.pool, connection, first })
    }

    fn ask(&self, command: &Command) -> Result<Outcome, ControlError> {
        match self.pool.exchange(&Request::Control(command))? {
            Answer::Control(Ok(outcome)) => Ok(outcome),
            Answer::Control(Err(reason)) | Answer::Refused(reason) => Err(ControlError::Refused(reason)),
            _ => Err(ControlError::Mismatch),
        }
    }
}

/// A subscription to the changes of an emulator of another process. Dropping it ends the subscription.
#[derive(Debug)]
pub struct RemoteFeed<'a> {
    pool: &'a Pool,
    connection: BufReader<TcpStream>,
    first: Option<Change>,
}

impl RemoteFeed<'_> {
    /// Waits for the next change.
    ///
    /// # Errors
    /// If the feed has ended, or the connection broke.
    pub fn recv(&mut self) -> Result<Change, ControlError> {
        match self.first.take() {
            Some(first) => Ok(first),
            None => changed(self.pool.next(&mut self.connection)?),
        }
    }
}

fn changed(answer: Answer) -> Result<Change, ControlError> {
    match answer {
        Answer::Changed(change) => Ok(change),
        Answer::FeedEnded(end) => Err(end.into()),
        Answer::Control(Err(reason)) | Answer::Refused(reason) => Err(ControlError::Refused(reason)),
        _ => Err(ControlError::Mismatch),
    }
}
