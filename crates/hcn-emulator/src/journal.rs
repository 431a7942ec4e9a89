//! The journal: all native calls in order, and their counters.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use hcn::call::Call;
use hcn::{Guid, Hresult, Kind};

/// One native call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    pub function: &'static str,
    /// The object, query or path of the call.
    pub subject: String,
    /// The result of the call.
    pub code: Hresult,
    /// Whether the call can change the state of HNS.
    pub is_write: bool,
}

/// One call with its object and the rule that rejected it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Detail {
    pub entry: Entry,
    /// When the call ended, since the start of the emulator.
    pub at: Duration,
    /// The kind of the object, if the call is about one.
    pub kind: Option<Kind>,
    /// The id of the object; of a created object, its new id.
    pub id: Option<Guid>,
    /// The name of the [rule](crate::rules) that rejected the call. `None` for an injected fault.
    pub rule: Option<&'static str>,
}

/// The maximum number of kept calls, which limits memory. Older calls are only counted.
const KEPT: usize = 100_000;

#[derive(Debug, Default)]
pub(crate) struct Journal {
    entries: VecDeque<Detail>,
    counters: BTreeMap<&'static str, u64>,
    writes: u64,
}

impl Journal {
    /// Records a call, its object if that is known, and the rule that rejected it.
    pub(crate) fn note(
        &mut self,
        call: &Call,
        code: Hresult,
        about: Option<(Kind, Guid)>,
        rule: Option<&'static str>,
        at: Duration,
    ) {
        if !call.is_counted() {
            return;
        }
        *self.counters.entry(call.function()).or_default() += 1;
        self.writes += u64::from(call.is_write());
        if self.entries.len() == KEPT {
            self.entries.pop_front();
        }
        let entry = Entry { function: call.function(), subject: subject(call), code, is_write: call.is_write() };
        let kind = about.map(|(kind, _)| kind).or(kind(call));
        self.entries.push_back(Detail { entry, at, kind, id: about.map(|(_, id)| id), rule });
    }

    pub(crate) fn entries(&self) -> Vec<Entry> {
        self.entries.iter().map(|detail| detail.entry.clone()).collect()
    }

    pub(crate) fn details(&self) -> Vec<Detail> {
        self.entries.iter().cloned().collect()
    }

    pub(crate) fn counters(&self) -> BTreeMap<&'static str, u64> {
        self.counters.clone()
    }

    pub(crate) fn native_calls(&self) -> u64 {
        self.counters.values().sum()
    }

    pub(crate) fn writes(&self) -> u64 {
        self.writes
    }
}

fn kind(call: &Call) -> Option<Kind> {
    match call {
        Call::Enumerate { kind, .. }
        | Call::Create { kind, .. }
        | Call::Open { kind, .. }
        | Call::Query { kind, .. }
        | Call::Modify { kind, .. }
        | Call::Delete { kind, .. }
        | Call::Close { kind, .. } => Some(*kind),
        Call::Hns { .. } => None,
    }
}

fn subject(call: &Call) -> String {
    match call {
        Call::Enumerate { query, .. } => query.clone(),
        Call::Create { id, .. } | Call::Open { id, .. } | Call::Delete { id, .. } => id.to_string(),
        Call::Query { handle, .. } | Call::Modify { handle, .. } | Call::Close { handle, .. } => {
            format!("handle {}", handle.0)
        }
        Call::Hns { method, path, .. } => format!("{} {path}", method.as_str()),
    }
}
