//! Decides when an outage of the API server begins, and when it is resolved.
//!
//! Each reason is reported once per outage, even if several reflectors fail for it. The outage is resolved when no request has failed for
//! [`SETTLE`], so that a server that alternately accepts and closes connections causes one outage, not many.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// The time without a failed request after which an outage is resolved. Longer than the longest backoff (1 s), so that a server
/// that keeps failing fails again within it.
pub(super) const SETTLE: Duration = Duration::from_secs(3);

/// A change of the outage to report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Outage {
    /// It began, or continues for a reason that was not reported yet.
    Began(String),
    Resolved,
}

/// Combines the failures of all reflectors. Time is an argument: the duration since any fixed moment.
#[derive(Debug, Default)]
pub(super) struct OutageTracker {
    /// The reasons that were reported in this outage.
    reported: BTreeSet<String>,
    /// The kinds whose last request failed: the reason, and when a request first failed for this reason.
    failing: BTreeMap<&'static str, (String, Duration)>,
    /// When the last failing kind recovered.
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
        // With another reason, the grace period begins again: a starting server is unreachable first, and may then forbid
        // all requests for a moment.
        if *known != reason {
            (*known, *since) = (reason.clone(), now);
        }
        let since = *since;
        self.recovered_at = None;
        let is_new = now.saturating_sub(since) >= grace_period && self.reported.insert(reason.clone());
        is_new.then_some(Outage::Began(reason))
    }

    /// Whether requests for a kind fail for a reason that was reported.
    pub(super) fn explains(&self, kind: &str) -> bool {
        self.failing.get(kind).is_some_and(|(reason, _)| self.reported.contains(reason))
    }

    /// A request for a kind succeeded. Returns whether to call [`Self::settle`] after [`SETTLE`].
    pub(super) fn succeeded(&mut self, kind: &'static str, now: Duration) -> bool {
        let was_failing = self.failing.remove(kind).is_some();
        let recovered = was_failing && self.failing.is_empty();
        if recovered {
            self.recovered_at = Some(now);
        }
        recovered
    }

    /// Resolves the outage if no kind has failed since [`SETTLE`] ago.
    pub(super) fn settle(&mut self, now: Duration) -> Option<Outage> {
        if now.saturating_sub(self.recovered_at?) < SETTLE {
            return None;
        }
        let reported = std::mem::take(self).reported;
        // An outage that never outlasted its grace period was not reported, so its end is not reported either.
        (!reported.is_empty()).then_some(Outage::Resolved)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Duration = Duration::from_secs(100);
    const AT_ONCE: Duration = Duration::ZERO;

    #[test]
    fn a_reason_is_reported_once_and_resolved_when_no_kind_fails() {
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
    fn an_outage_explains_only_the_kinds_that_fail_for_a_reported_reason() {
        let mut tracker = OutageTracker::default();
        let explained = |tracker: &OutageTracker| ["a", "b", "c"].map(|kind| tracker.explains(kind));
        tracker.failed("a", "gone".into(), NOW, AT_ONCE);
        tracker.failed("b", "gone".into(), NOW, AT_ONCE);
        tracker.failed("c", "starts".into(), NOW, SETTLE);
        assert_eq!(explained(&tracker), [true, true, false]);
        tracker.succeeded("a", NOW);
        assert_eq!(explained(&tracker), [false, true, false]);
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
        // The period begins again with another reason.
        assert_eq!(tracker.failed("b", "gone".into(), NOW, AT_ONCE), Some(Outage::Began("gone".into())));
        assert_eq!(tracker.failed("b", "starts".into(), NOW + grace_period, grace_period), None);
    }
}
