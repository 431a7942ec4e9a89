//! What audits and runs report to the caller. Drift is not part of it: see [`Reconciler::take_drift`](super::Reconciler::take_drift).

use std::time::Duration;

use crate::apply::{Failure, Outcome};

/// What an audit found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AuditReport {
    /// The number of frontends whose load balancers were not the expected ones.
    pub frontends: usize,
    /// The number of addresses whose endpoints were not the expected ones.
    pub addresses: usize,
    /// Whether a network was removed, added again, or modified.
    pub network_changed: bool,
    /// Whether the audit has paused for pending changes: the load balancers are still to be listed, or objects whose reads can wait to be read.
    pub paused: bool,
}

/// When to run again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// When the cluster or HNS changes.
    Idle,
    /// At this time, on the clock of the caller's `now`, if nothing changes before.
    At(Duration),
}

/// The amount of work of a run, or of an explanation. Tests use it to show that the work for a change does not grow
/// with the cluster.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Work {
    /// Services whose desired state was computed.
    pub services: usize,
    /// Frontends that were planned.
    pub frontends: usize,
    /// Addresses that were planned.
    pub addresses: usize,
}

/// What a run did.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    /// The steps, in the order in which they were done.
    pub outcomes: Vec<Outcome>,
    pub next: Next,
    /// Whether what is pending is to be published. What is computed for that grows with all that is pending, so it is not due while batches are left and
    /// it was due less than a second ago.
    pub is_status_due: bool,
    pub work: Work,
}

impl Report {
    /// The steps that failed.
    pub fn failures(&self) -> impl Iterator<Item = (&Outcome, &Failure)> {
        failures(&self.outcomes)
    }
}

pub(super) fn failures(outcomes: &[Outcome]) -> impl Iterator<Item = (&Outcome, &Failure)> {
    outcomes.iter().filter_map(|outcome| Some((outcome, outcome.result.as_ref().err()?)))
}
