//! When an outage of the API server begins, and when it is resolved.
//!
//! Each reason is reported once in an outage, whichever reflectors meet it. The outage is resolved when no request has failed for a while:
//! a server that accepts a connection and closes it again is not available in between.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// How long no request may fail before the outage is resolved.
pub(super) const SETTLE: Duration = Duration::from_secs(3);

/// What to report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Outage {
    /// It begins, or goes on for a reason that was not reported yet.
    Began(String),
    Resolved,
}

/// The outage as all reflectors see it. Time is an argument: the duration since any fixed moment.
#[derive(Debug, Default)]
pub(super) struct OutageTracker {
    /// The reasons that were reported in this outage.
    reported: BTreeSet<String>,
    /// The kinds whose last request failed: the reason, and since when it is this one.
    failing: BTreeMap<&'static str, (String, Duration)>,
    /// Since when no kind fails.
    recovered_at: Option<Duration>,
}

impl OutageTracker {
    /// A request for a kind failed. Its reason is reported once it has been the same for the grace period.
    pub(super) fn failed(
        &mut self,
        kind: &'static str,
        reason: String,
        now: Duration,
        grace_period: Duration,
    ) -> Option<Outage> {
        let (known, since) = self.failing.entry(kind).or_insert_with(|| (reason.clone(), now));
        if *known != reason {
            (*known, *since) = (reason.clone(), now);
        }
        let since = *since;
        self.recovered_at = None;
        let is_new = now.saturating_sub(since) >= grace_period && self.reported.insert(reason.clone());
        is_new.then_some(Outage::Began(reason))
    }

    /// A request for a kind succeeded. Whether to call [`Self::settle`] after [`SETTLE`].
    pub(super) fn succeeded(&mut self, kind: &'static str, now: Duration) -> bool {
        let was_failing = self.failing.remove(kind).is_some();
        let recovered = was_failing && self.failing.is_empty();
        if recovered {
            self.recovered_at = Some(now);
        }
        recovered
    }

    /// Whether the outage is resolved.
    pub(super) fn settle(&mut self, now: Duration) -> Option<Outage> {
        if now.saturating_sub(self.recovered_at?) < SETTLE {
            return None;
        }
        let reported = std::mem::take(self).reported;
        (!reported.is_empty()).then_some(Outage::Resolved)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Duration = Duration::from_secs(100);
    const AT_ONCE: Duration = Duration::ZERO;

    #[test]
    fn a_reason_is_reported_once_and_resolved_when_nobody_fails() {
        let mut tracker = OutageTracker::default();
        assert_eq!(tracker.failed("a", "gone".into(), NOW, AT_ONCE), Some(Outage::Began("gone".into())));
        assert_eq!(tracker.failed("b", "gone".into(), NOW, AT_ONCE), None);
        assert_eq!(tracker.failed("b", "busy".into(), NOW, AT_ONCE), Some(Outage::Began("busy".into())));
        assert!(!tracker.succeeded("a", NOW));
        assert_eq!(tracker.settle(NOW + SETTLE), None);
        assert!(tracker.succeeded("b", NOW));
        assert!(!tracker.succeeded("b", NOW + SETTLE), "reported once");
        assert_eq!(tracker.settle(NOW), None);
        assert_eq!(tracker.settle(NOW + SETTLE), Some(Outage::Resolved));
        assert_eq!(tracker.settle(NOW + SETTLE), None);
        assert_eq!(tracker.failed("a", "gone".into(), NOW, AT_ONCE), Some(Outage::Began("gone".into())));
    }

    #[test]
    fn an_outage_that_comes_and_goes_is_not_resolved() {
        let mut tracker = OutageTracker::default();
        tracker.failed("a", "cut".into(), NOW, AT_ONCE);
        for second in 0..9 {
            let now = Duration::from_secs(second);
            assert!(tracker.succeeded("a", now));
            assert_eq!(tracker.failed("a", "cut".into(), now, AT_ONCE), None);
            assert_eq!(tracker.settle(now + SETTLE), None);
        }
    }

    #[test]
    fn an_outage_within_its_grace_period_is_never_reported() {
        let grace_period = Duration::from_secs(2);
        let mut tracker = OutageTracker::default();
        assert_eq!(tracker.failed("a", "forbidden".into(), NOW, grace_period), None);
        assert!(tracker.succeeded("a", NOW + grace_period));
        assert_eq!(tracker.settle(NOW + grace_period + SETTLE), None);
        assert_eq!(tracker.failed("a", "forbidden".into(), NOW, grace_period), None);
        let outage = tracker.failed("a", "forbidden".into(), NOW + grace_period, grace_period);
        assert_eq!(outage, Some(Outage::Began("forbidden".into())));
        // The period begins anew with another reason.
        assert_eq!(tracker.failed("b", "gone".into(), NOW, AT_ONCE), Some(Outage::Began("gone".into())));
        assert_eq!(tracker.failed("b", "starts".into(), NOW + grace_period, grace_period), None);
    }
}
