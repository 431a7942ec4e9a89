//! What was called, in order, and how often.

use std::collections::{BTreeMap, VecDeque};

use hcn::Hresult;
use hcn::call::Call;

/// One call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The native function.
    pub function: &'static str,
    /// The object, query or path that it was about.
    pub subject: String,
    /// The code that it answered with.
    pub code: Hresult,
    /// Whether it can change what HNS holds.
    pub is_write: bool,
}

/// So many calls are kept; older ones are counted only.
const KEPT: usize = 100_000;

#[derive(Debug, Default)]
pub(crate) struct Journal {
    entries: VecDeque<Entry>,
    counters: BTreeMap<&'static str, u64>,
    writes: u64,
}

impl Journal {
    pub(crate) fn note(&mut self, call: &Call, code: Hresult) {
        if !call.is_counted() {
            return;
        }
        *self.counters.entry(call.function()).or_default() += 1;
        self.writes += u64::from(call.is_write());
        if self.entries.len() == KEPT {
            self.entries.pop_front();
        }
        self.entries.push_back(Entry {
            function: call.function(),
            subject: subject(call),
            code,
            is_write: call.is_write(),
        });
    }

    pub(crate) fn entries(&self) -> Vec<Entry> {
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
