//! The health of HNS, derived from its answers.

use crate::observe::{Cause, Drift};

/// The health of HNS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Liveness {
    /// It answers.
    #[default]
    Up,
    /// It answers, but a call took longer than its time budget.
    Slow,
    /// It probably restarted: it answers again after an outage, or has lost all load balancers of ours. Kept until HNS is in sync.
    Restarted,
    /// It does not answer. Nothing is written, and the observed state stays as it is.
    Unavailable,
}

impl Liveness {
    pub const ALL: [Liveness; 4] = [Liveness::Up, Liveness::Slow, Liveness::Restarted, Liveness::Unavailable];

    /// The name in the status and in metric labels.
    pub fn as_str(self) -> &'static str {
        match self {
            Liveness::Up => "up",
            Liveness::Slow => "slow",
            Liveness::Restarted => "restarted",
            Liveness::Unavailable => "unavailable",
        }
    }
}

/// The health of HNS, except for availability, which is part of the audit state.
#[derive(Debug, Clone, Default)]
pub(super) struct Health {
    restarted: bool,
    slow: bool,
}

impl Health {
    /// Records whether HNS was unavailable before and after an audit. After an outage HNS has usually restarted, and
    /// lacks objects until they are programmed again, or until it lists them: after a restart it can list objects late (kubernetes issue
    /// 139519).
    pub(super) fn record_availability(&mut self, unavailable_before: bool, unavailable_now: bool) {
        // Kept until HNS is in sync: readiness must not return while objects may be missing.
        self.restarted |= unavailable_before && !unavailable_now;
    }

    /// Records drift. If all load balancers of ours are missing at once, HNS has restarted between two audits.
    pub(super) fn record_drift(&mut self, drift: &[Drift], any_left: bool) {
        let lost = drift.iter().filter(|drift| drift.cause == Cause::LoadBalancerLost).count();
        // A single one may have been deleted by another program.
        self.restarted |= lost > 1 && !any_left;
    }

    pub(super) fn is_restarted(&self) -> bool {
        self.restarted
    }

    pub(super) fn record_in_sync(&mut self) {
        self.restarted = false;
    }

    pub(super) fn set_slow(&mut self, slow: bool) {
        self.slow = slow;
    }

    /// The worst state counts.
    pub(super) fn liveness(&self, unavailable: bool) -> Liveness {
        match (unavailable, self.restarted, self.slow) {
            (true, _, _) => Liveness::Unavailable,
            (false, true, _) => Liveness::Restarted,
            (false, false, true) => Liveness::Slow,
            (false, false, false) => Liveness::Up,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dirty::Subject;

    fn lost(count: u8) -> Vec<Drift> {
        let subject = |last| Subject::Address([10, 0, 0, last].into());
        (0..count).map(|last| Drift { subject: subject(last), cause: Cause::LoadBalancerLost }).collect()
    }

    #[test]
    fn hns_counts_as_restarted_after_an_outage_until_it_is_in_sync() {
        let mut health = Health::default();
        assert_eq!(health.liveness(true), Liveness::Unavailable);
        health.record_availability(true, false);
        assert_eq!(health.liveness(false), Liveness::Restarted);
        health.record_in_sync();
        assert_eq!(health.liveness(false), Liveness::Up);
    }

    #[test]
    fn hns_that_lost_all_load_balancers_counts_as_restarted() {
        for (count, any_left, expected) in
            [(2, false, Liveness::Restarted), (2, true, Liveness::Up), (1, false, Liveness::Up)]
        {
            let mut health = Health::default();
            health.record_drift(&lost(count), any_left);
            assert_eq!(health.liveness(false), expected);
        }
    }
}
