//! The other side of an emulator's service: what tests and people ask that clients of HNS can't.
//!
//! [`Control`] is the client. It speaks to the same address as [`Remote`](crate::remote::Remote) does, and is answered also while the
//! emulated HNS is stopped. None of its requests is in the journal.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use hcn::{Guid, Hresult, Kind};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::builds::{Options, Quirks};
use crate::faults::Fault;
use crate::host::Host;
use crate::journal::{Detail, Entry};
use crate::wire::{Answer, Lost, Pool, Request};

/// A request.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) enum Command {
    /// The documents of a kind.
    Documents(Kind),
    /// The calls.
    Journal,
    /// How many calls.
    Counters,
    /// Forgets all calls.
    ResetJournal,
    /// Injects a fault that strikes so many times at most; without a number, until it ends.
    Inject(Fault, Option<u64>),
    /// Ends all faults.
    ClearFaults,
    /// How HNS departs from its interface.
    Quirks,
    /// Changes that.
    SetQuirks(Quirks),
    /// What HNS does where that is not known.
    Options,
    /// Changes that.
    SetOptions(Options),
    /// Stops HNS; objects of these kinds are lost.
    Stop(Vec<Kind>),
    /// Starts HNS.
    Start,
    /// Brings back what a stop has lost.
    Reappear,
    /// Adds an object.
    Add { kind: Kind, document: Value },
    /// Adds the endpoint of a pod.
    AddLocalEndpoint { network: Guid, name: String, addresses: Vec<IpAddr> },
    /// Replaces an object's document.
    Replace { kind: Kind, id: Guid, document: Value },
    /// Takes an object away.
    Remove { kind: Kind, id: Guid },
    /// The host as a document.
    Host,
    /// The host's facts about itself.
    Facts,
}

/// The answer to a request that was carried out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) enum Outcome {
    Done,
    Documents(Vec<Value>),
    Journal(Vec<Line>),
    Counters(Counters),
    Quirks(Quirks),
    Options(Options),
    Id(Guid),
    Host(Host),
}

/// One call in the journal of a service: a [`Detail`] from elsewhere.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// The native function.
    pub function: String,
    /// The object, query or path that it was about.
    pub subject: String,
    /// When it ended, since the emulator began.
    pub at: Duration,
    /// The code that it answered with.
    pub code: Hresult,
    /// Whether it can change what HNS holds.
    pub is_write: bool,
    /// The kind of the object that it was about.
    pub kind: Option<Kind>,
    /// The object's id; that of a new object is the one that it was given.
    pub id: Option<Guid>,
    /// The name of the [rule](crate::rules) that refused. A fault has none.
    pub rule: Option<String>,
}

impl From<Detail> for Line {
    fn from(Detail { entry, at, kind, id, rule }: Detail) -> Self {
        let Entry { function, subject, code, is_write } = entry;
        Self { function: function.to_owned(), subject, at, code, is_write, kind, id, rule: rule.map(str::to_owned) }
    }
}

/// How many calls there were since the journal was last reset.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counters {
    /// By native function.
    pub functions: BTreeMap<String, u64>,
    /// All native calls.
    pub native_calls: u64,
    /// Those of them that can have changed something.
    pub writes: u64,
}

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
