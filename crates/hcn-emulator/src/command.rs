//! The requests of the control interface and their results, as sent over the wire.

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

/// A control request. [`Control`](crate::Control) documents what each does.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) enum Command {
    Documents(Kind),
    Journal,
    Counters,
    ResetJournal,
    /// The number limits how many calls the fault affects.
    Inject(Fault, Option<u64>),
    ClearFaults,
    Release,
    HungCalls,
    Quirks,
    SetQuirks(Quirks),
    Options,
    SetOptions(Options),
    /// Objects of these kinds are lost.
    Stop(Vec<Kind>),
    Start,
    Reappear,
    Add {
        kind: Kind,
        document: Value,
    },
    AddLocalEndpoint {
        network: Guid,
        name: String,
        addresses: Vec<IpAddr>,
    },
    Replace {
        kind: Kind,
        id: Guid,
        document: Value,
    },
    Remove {
        kind: Kind,
        id: Guid,
    },
    Host,
    Facts,
}

/// The result of a successful request.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) enum Outcome {
    Done,
    Documents(Vec<Value>),
    Journal(Vec<Line>),
    Counters(Counters),
    Quirks(Quirks),
    Options(Options),
    Id(Guid),
    Number(usize),
    Host(Host),
}

/// One call in the journal: a [`Detail`] as sent over the wire.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    pub function: String,
    /// The object, query or path of the call.
    pub subject: String,
    /// When the call ended, since the start of the emulator.
    pub at: Duration,
    /// The result of the call.
    pub code: Hresult,
    /// Whether the call can change the state of HNS.
    pub is_write: bool,
    /// The kind of the object, if the call is about one.
    pub kind: Option<Kind>,
    /// The id of the object; of a created object, its new id.
    pub id: Option<Guid>,
    /// The name of the [rule](crate::rules) that rejected the call. `None` for an injected fault.
    pub rule: Option<String>,
}

impl From<Detail> for Line {
    fn from(Detail { entry, at, kind, id, rule }: Detail) -> Self {
        let Entry { function, subject, code, is_write } = entry;
        Self { function: function.to_owned(), subject, at, code, is_write, kind, id, rule: rule.map(str::to_owned) }
    }
}

/// Numbers of calls since the last reset of the journal.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counters {
    /// By native function.
    pub functions: BTreeMap<String, u64>,
    pub native_calls: u64,
    /// Calls that can change the state of HNS, failed ones included.
    pub writes: u64,
}
