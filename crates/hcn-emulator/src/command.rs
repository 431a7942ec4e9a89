//! The requests of the control interface and their results, as they go over the wire.

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
    /// The number limits how often the fault strikes.
    Inject(Fault, Option<u64>),
    ClearFaults,
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
