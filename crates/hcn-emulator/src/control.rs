//! The client of the control interface, which does from another process what the methods of [`Emulator`](crate::Emulator) do.
//!
//! It connects to the same address as [`Remote`](crate::remote::Remote), and works while the emulated HNS is stopped. Its requests are
//! not in the journal.

use std::net::IpAddr;

use hcn::{Guid, Kind};
use serde_json::Value;

use crate::builds::{Options, Quirks};
use crate::command::{Command, Outcome};
use crate::faults::Fault;
use crate::host::Host;
use crate::pool::{Lost, Pool};
use crate::wire::{Answer, Request};

pub use crate::command::{Counters, Line};

/// Why a control request failed.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    /// The service could not be asked, or its answer was lost.
    #[error("{0}")]
    Unavailable(String),
    /// The service refused.
    #[error("the emulator refuses: {0}")]
    Refused(String),
    /// The service answered something else.
    #[error("the emulator answered another question; is it of another version?")]
    Mismatch,
}

impl From<Lost> for ControlError {
    fn from(lost: Lost) -> Self {
        Self::Unavailable(lost.to_string())
    }
}

/// A client of the control interface. Each request connects if it has to.
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
                /// If the service could not be asked or refused.
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
    /// The calls since the journal was last reset, in order.
    journal() = Command::Journal => Outcome::Journal(lines) => lines, Vec<Line>;
    /// How many calls there were since the journal was last reset.
    counters() = Command::Counters => Outcome::Counters(counters) => counters, Counters;
    /// Forgets all calls.
    reset_journal() = Command::ResetJournal => Outcome::Done => (), ();
    /// Injects a fault.
    inject(fault: Fault) = Command::Inject(fault, None) => Outcome::Done => (), ();
    /// Injects a fault that strikes so many times at most.
    inject_times(fault: Fault, times: u64) = Command::Inject(fault, Some(times)) => Outcome::Done => (), ();
    /// Ends all faults.
    clear_faults() = Command::ClearFaults => Outcome::Done => (), ();
    /// How HNS departs from its interface.
    quirks() = Command::Quirks => Outcome::Quirks(quirks) => quirks, Quirks;
    /// Changes how HNS departs from its interface.
    set_quirks(quirks: Quirks) = Command::SetQuirks(quirks) => Outcome::Done => (), ();
    /// What HNS does where it is not known what a real one does.
    options() = Command::Options => Outcome::Options(options) => options, Options;
    /// Changes what HNS does where it is not known what a real one does.
    set_options(options: Options) = Command::SetOptions(options) => Outcome::Done => (), ();
    /// Stops HNS: open handles are void, calls are refused, subscriptions end, and objects of these kinds are lost to [`reappear`](Self::reappear).
    stop(lost: &[Kind]) = Command::Stop(lost.to_vec()) => Outcome::Done => (), ();
    /// Starts HNS again.
    start() = Command::Start => Outcome::Done => (), ();
    /// Brings back what a stop has lost, except objects whose ids are taken by now.
    reappear() = Command::Reappear => Outcome::Done => (), ();
    /// Adds an object, unchecked but for its id, as others on the host would.
    add(kind: Kind, document: Value) = Command::Add { kind, document } => Outcome::Id(id) => id, Guid;
    /// Adds the endpoint of a pod, as a CNI plugin would.
    add_local_endpoint(network: Guid, name: &str, addresses: &[IpAddr]) =
        Command::AddLocalEndpoint { network, name: name.to_owned(), addresses: addresses.to_vec() }
        => Outcome::Id(id) => id, Guid;
    /// Replaces the document of an object that is there, unchecked but for its id, as others on the host would.
    replace(kind: Kind, id: Guid, document: Value) = Command::Replace { kind, id, document } => Outcome::Done => (), ();
    /// Takes an object away, with its dependants, as others on the host would.
    remove(kind: Kind, id: Guid) = Command::Remove { kind, id } => Outcome::Done => (), ();
    /// What HNS holds now, with the host's facts about itself.
    host() = Command::Host => Outcome::Host(host) => host, Host;
    /// The host's facts about itself, without what HNS holds.
    facts() = Command::Facts => Outcome::Host(host) => host, Host;
}

impl Control {
    /// The service at `HOST:PORT`. It is connected to by the first request.
    pub fn connect_lazily(address: impl Into<String>) -> Self {
        Self { pool: Pool::new(address.into()) }
    }

    fn ask(&self, command: &Command) -> Result<Outcome, ControlError> {
        match self.pool.exchange(&Request::Control(command))? {
            Answer::Control(Ok(outcome)) => Ok(outcome),
            Answer::Control(Err(reason)) | Answer::Refused(reason) => Err(ControlError::Refused(reason)),
            _ => Err(ControlError::Mismatch),
        }
    }
}
