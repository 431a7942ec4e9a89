//! Changes of the cluster: how many there were, which Services have pending ones, and since when.

use rustc_hash::{FxHashMap, FxHashSet};

use crate::model::{Family, ServiceName, Slice};

/// The number of trigger times kept for a Service while nothing can be programmed, so that a long outage of HNS does
/// not use memory without bound. Later times are not included in the latency metric.
const MAX_TRIGGERS: usize = 100;

/// The number of changes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Changes {
    /// Changes of Services since the start.
    pub services: u64,
    /// Changes of slices since the start.
    pub slices: u64,
    /// Changes of Services since the desired state was last computed.
    pub pending_services: usize,
    /// Changes of slices since the desired state was last computed.
    pub pending_slices: usize,
}

/// The time of a change in the cluster that is not programmed yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Trigger {
    /// The family of the backends.
    pub family: Family,
    /// In nanoseconds since the Unix epoch; from the annotation `endpoints.kubernetes.io/last-change-trigger-time`.
    pub at: i64,
}

#[derive(Debug, Clone, Default)]
pub(super) struct PendingChanges {
    counts: Changes,
    /// Services whose desired state is out of date.
    services: FxHashSet<ServiceName>,
    triggers: FxHashMap<ServiceName, Vec<Trigger>>,
    /// Changes up to this time have no trigger time. In nanoseconds since the Unix epoch.
    started: i64,
}

impl PendingChanges {
    pub(super) fn count_services(&mut self, count: usize) {
        self.counts.services += count as u64;
        self.counts.pending_services += count;
    }

    pub(super) fn count_slices(&mut self, count: usize) {
        self.counts.slices += count as u64;
        self.counts.pending_slices += count;
    }

    pub(super) fn counts(&self) -> Changes {
        self.counts
    }

    /// Marks the desired state of a Service as out of date. Returns whether it was up to date before.
    pub(super) fn insert(&mut self, service: ServiceName) -> bool {
        self.services.insert(service)
    }

    /// Whether the desired state of a Service is out of date.
    pub(super) fn contains(&self, service: &ServiceName) -> bool {
        self.services.contains(service)
    }

    /// The number of Services whose desired state is out of date.
    pub(super) fn len(&self) -> usize {
        self.services.len()
    }

    /// Returns and removes the Services whose desired state is to be computed now.
    pub(super) fn take_services(&mut self) -> FxHashSet<ServiceName> {
        // As in kube-proxy, the gauges of pending changes fall to 0 when the changes are taken into account, before
        // HNS has them.
        (self.counts.pending_services, self.counts.pending_slices) = (0, 0);
        std::mem::take(&mut self.services)
    }

    /// Records the trigger time of a slice that is new or has changed.
    pub(super) fn record_trigger_of(&mut self, slice: &Slice) {
        // The annotation is optional. Without it, the time of the change is not known.
        let Some(at) = slice.triggered else { return };
        self.record_trigger(slice.service.clone(), Trigger { family: slice.family, at });
    }

    /// The changes from before this time are not measured, as in kube-proxy: how long they were pending is not due to this process. At a start
    /// they are those of all Services, and each run would look for those that it has programmed.
    pub(super) fn set_started(&mut self, started: i64) {
        self.started = started;
    }

    pub(super) fn record_trigger(&mut self, service: ServiceName, trigger: Trigger) {
        if trigger.at <= self.started {
            return;
        }
        let triggers = self.triggers.entry(service).or_default();
        if triggers.len() < MAX_TRIGGERS {
            triggers.push(trigger);
        }
    }

    /// Drops the trigger times of a Service of which a slice was deleted, as kube-proxy does: changes that cancel each other out before
    /// they are programmed have no programming latency.
    pub(super) fn drop_triggers(&mut self, service: &ServiceName) {
        self.triggers.remove(service);
    }

    /// Returns and removes the trigger times of the Services that are programmed.
    pub(super) fn take_triggers(&mut self, is_programmed: impl Fn(&ServiceName) -> bool) -> Vec<Trigger> {
        let services = &self.services;
        // If the Service has changed again, its trigger times are kept until that change is programmed.
        let is_done = |service: &ServiceName| !services.contains(service) && is_programmed(service);
        self.triggers.extract_if(|service, _| is_done(service)).flat_map(|(_, triggers)| triggers).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::slice;

    fn triggered(at: i64) -> Slice {
        slice("ns/web-1", "ns/web").triggered(at).build()
    }

    #[test]
    fn trigger_times_are_handed_over_once_their_service_is_programmed() {
        let mut changes = PendingChanges::default();
        let slice = triggered(7);
        changes.record_trigger_of(&slice);
        changes.insert(slice.service.clone());
        assert_eq!(changes.take_triggers(|_| true), [], "its desired state is out of date");
        assert_eq!(changes.take_services().len(), 1);
        assert_eq!(changes.take_triggers(|_| false), []);
        assert_eq!(changes.take_triggers(|_| true), [Trigger { family: slice.family, at: 7 }]);
        assert_eq!(changes.take_triggers(|_| true), []);
    }

    #[test]
    fn trigger_times_are_bounded() {
        let mut changes = PendingChanges::default();
        (0..=100).for_each(|at| changes.record_trigger_of(&triggered(at)));
        assert_eq!(changes.take_triggers(|_| true).len(), MAX_TRIGGERS);
    }

    #[test]
    fn changes_from_before_the_start_have_no_trigger_times() {
        let mut changes = PendingChanges::default();
        changes.set_started(7);
        [7, 8].into_iter().for_each(|at| changes.record_trigger_of(&triggered(at)));
        assert_eq!(changes.take_triggers(|_| true), [Trigger { family: Family::V4, at: 8 }]);
    }

    #[test]
    fn computing_the_desired_state_resets_the_pending_counts_only() {
        let mut changes = PendingChanges::default();
        changes.count_services(2);
        changes.count_slices(3);
        changes.take_services();
        assert_eq!(changes.counts(), Changes { services: 2, slices: 3, ..Changes::default() });
    }
}
