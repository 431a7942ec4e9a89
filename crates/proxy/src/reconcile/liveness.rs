//! How HNS does, as far as its answers tell.

use super::{ObserveError, Reconciler};
use crate::observe::{Cause, Drift};

/// How HNS does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Liveness {
    /// It answers.
    #[default]
    Up,
    /// It answers, but a call took longer than it may.
    Slow,
    /// It was away, or has lost all that was ours, and is not yet brought back in step.
    Restarted,
    /// It does not answer. Nothing is written, and nothing that was believed is given up.
    Unavailable,
}

impl Liveness {
    /// All of them.
    pub const ALL: [Liveness; 4] = [Liveness::Up, Liveness::Slow, Liveness::Restarted, Liveness::Unavailable];

    /// A short name, for status and metric labels.
    pub fn as_str(self) -> &'static str {
        match self {
            Liveness::Up => "up",
            Liveness::Slow => "slow",
            Liveness::Restarted => "restarted",
            Liveness::Unavailable => "unavailable",
        }
    }
}

/// What is known of HNS's health.
#[derive(Debug, Clone, Default)]
pub(super) struct Health {
    unavailable: bool,
    restarted: bool,
    slow: bool,
    /// Why HNS could not be looked at, or written to.
    pub(super) trouble: Option<ObserveError>,
}

impl Health {
    /// Takes what became of a look, or of a write that HNS did not answer.
    pub(super) fn note(&mut self, result: Result<(), &ObserveError>) {
        let unavailable = matches!(result, Err(ObserveError::Hns(_)));
        self.restarted |= self.unavailable && !unavailable;
        self.unavailable = unavailable;
        self.trouble = result.err().cloned();
    }

    /// Takes what a look has found.
    pub(super) fn note_drift(&mut self, drift: &[Drift], has_load_balancers: bool) {
        let lost = drift.iter().filter(|drift| drift.cause == Cause::LoadBalancerLost).count();
        // One alone may be anybody's doing.
        self.restarted |= lost > 1 && !has_load_balancers;
    }

    /// Notes that HNS holds what it should.
    pub(super) fn converged(&mut self) {
        self.restarted = false;
    }
}

impl Reconciler {
    /// How HNS does.
    pub fn liveness(&self) -> Liveness {
        match &self.health {
            Health { unavailable: true, .. } => Liveness::Unavailable,
            Health { restarted: true, .. } => Liveness::Restarted,
            Health { slow: true, .. } => Liveness::Slow,
            _ => Liveness::Up,
        }
    }

    /// Notes whether a call since the last note took longer than it may. Who measures is outside: see `hcn::Timed`.
    pub fn note_pace(&mut self, slow: bool) {
        self.health.slow = slow;
    }

    /// Why nothing is written at present, if so: HNS can't be asked, or lacks all networks.
    pub fn trouble(&self) -> Option<&ObserveError> {
        self.health.trouble.as_ref()
    }
}
