//! What has come from the cluster: how many changes, how many of them wait, and when they began there.

use rustc_hash::FxHashMap;

use crate::model::{Family, ServiceName, Slice};

/// So many times are kept for a Service while nothing can be programmed.
const KEPT: usize = 100;

/// How many changes there were.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Changes {
    /// Of Services, since the start.
    pub services: u64,
    /// Of slices, since the start.
    pub slices: u64,
    /// Of Services, since wishes were last computed.
    pub pending_services: usize,
    /// Of slices, since wishes were last computed.
    pub pending_slices: usize,
}

/// When something changed in the cluster that is not programmed yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Trigger {
    /// The family of the backends.
    pub family: Family,
    /// When, in nanoseconds of Unix time.
    pub at: i64,
}

#[derive(Debug, Clone, Default)]
pub(super) struct Arrivals {
    changes: Changes,
    triggers: FxHashMap<ServiceName, Vec<Trigger>>,
}

impl Arrivals {
    pub(super) fn services(&mut self, count: usize) {
        self.changes.services += count as u64;
        self.changes.pending_services += count;
    }

    pub(super) fn slices(&mut self, count: usize) {
        self.changes.slices += count as u64;
        self.changes.pending_slices += count;
    }

    /// Notes when a slice that is new, or another than before, was last triggered.
    pub(super) fn triggered(&mut self, slice: &Slice) {
        let Some(at) = slice.triggered else { return };
        let triggers = self.triggers.entry(slice.service.clone()).or_default();
        if triggers.len() < KEPT {
            triggers.push(Trigger { family: slice.family, at });
        }
    }

    /// Notes that a slice of a Service is gone: no time tells since when.
    pub(super) fn removed(&mut self, service: &ServiceName) {
        self.triggers.remove(service);
    }

    /// Notes that wishes were computed.
    pub(super) fn taken(&mut self) {
        (self.changes.pending_services, self.changes.pending_slices) = (0, 0);
    }

    pub(super) fn changes(&self) -> Changes {
        self.changes
    }

    pub(super) fn take_triggers(&mut self, is_programmed: impl Fn(&ServiceName) -> bool) -> Vec<Trigger> {
        self.triggers.extract_if(|service, _| is_programmed(service)).flat_map(|(_, triggers)| triggers).collect()
    }
}
