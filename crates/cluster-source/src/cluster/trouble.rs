//! Says that the API server can't be asked: once when that begins, once for each other reason, and once when it is over. What may pass by
//! itself is said once it has lasted for a while.
//!
//! It is over when nothing has failed for a while: a server that lets us in and throws us out again is not well in between.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// How long all has to be well before that is said.
pub(super) const QUIET: Duration = Duration::from_secs(3);

/// What is to be said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Said {
    /// A reason that was not said yet.
    Trouble(String),
    /// All is well again.
    Over,
}

/// The trouble with a server, of all that ask it. Time is an argument: the duration since any fixed moment.
#[derive(Debug, Default)]
pub(super) struct Trouble {
    /// The reasons that were said since it was last well.
    said: BTreeSet<String>,
    /// Who can't ask it now, for which reason, and since when.
    failing: BTreeMap<&'static str, (String, Duration)>,
    /// Since when nobody is.
    well_since: Option<Duration>,
}

impl Trouble {
    /// Someone could not ask. The reason is said once it was the same for so long.
    pub(super) fn failed(
        &mut self,
        who: &'static str,
        why: String,
        now: Duration,
        for_so_long: Duration,
    ) -> Option<Said> {
        let (reason, since) = self.failing.entry(who).or_insert_with(|| (why.clone(), now));
        if *reason != why {
            (*reason, *since) = (why.clone(), now);
        }
        let since = *since;
        self.well_since = None;
        let is_new = now.saturating_sub(since) >= for_so_long && self.said.insert(why.clone());
        is_new.then_some(Said::Trouble(why))
    }

    /// Someone could ask. Whether it may be over after a while.
    pub(super) fn succeeded(&mut self, who: &'static str, now: Duration) -> bool {
        let was_failing = self.failing.remove(who).is_some();
        let well = was_failing && self.failing.is_empty();
        if well {
            self.well_since = Some(now);
        }
        well
    }

    /// Whether it is over.
    pub(super) fn settle(&mut self, now: Duration) -> Option<Said> {
        if now.saturating_sub(self.well_since?) < QUIET {
            return None;
        }
        let said = std::mem::take(self).said;
        (!said.is_empty()).then_some(Said::Over)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Duration = Duration::from_secs(100);
    const AT_ONCE: Duration = Duration::ZERO;

    #[test]
    fn one_reason_of_many_is_said_once_and_the_end_when_all_are_well() {
        let mut trouble = Trouble::default();
        assert_eq!(trouble.failed("a", "gone".into(), NOW, AT_ONCE), Some(Said::Trouble("gone".into())));
        assert_eq!(trouble.failed("b", "gone".into(), NOW, AT_ONCE), None);
        assert_eq!(trouble.failed("b", "busy".into(), NOW, AT_ONCE), Some(Said::Trouble("busy".into())));
        assert!(!trouble.succeeded("a", NOW));
        assert_eq!(trouble.settle(NOW + QUIET), None);
        assert!(trouble.succeeded("b", NOW));
        assert!(!trouble.succeeded("b", NOW + QUIET), "once is enough");
        assert_eq!(trouble.settle(NOW), None);
        assert_eq!(trouble.settle(NOW + QUIET), Some(Said::Over));
        assert_eq!(trouble.settle(NOW + QUIET), None);
        assert_eq!(trouble.failed("a", "gone".into(), NOW, AT_ONCE), Some(Said::Trouble("gone".into())));
    }

    #[test]
    fn what_comes_and_goes_is_not_over() {
        let mut trouble = Trouble::default();
        trouble.failed("a", "cut".into(), NOW, AT_ONCE);
        for second in 0..9 {
            let now = Duration::from_secs(second);
            assert!(trouble.succeeded("a", now));
            assert_eq!(trouble.failed("a", "cut".into(), now, AT_ONCE), None);
            assert_eq!(trouble.settle(now + QUIET), None);
        }
    }

    #[test]
    fn what_may_pass_is_said_once_it_has_lasted_and_is_not_said_to_be_over_before() {
        let patience = Duration::from_secs(2);
        let mut trouble = Trouble::default();
        assert_eq!(trouble.failed("a", "forbidden".into(), NOW, patience), None);
        assert!(trouble.succeeded("a", NOW + patience));
        assert_eq!(trouble.settle(NOW + patience + QUIET), None);
        assert_eq!(trouble.failed("a", "forbidden".into(), NOW, patience), None);
        let said = trouble.failed("a", "forbidden".into(), NOW + patience, patience);
        assert_eq!(said, Some(Said::Trouble("forbidden".into())));
        // It counts from when this is the reason.
        assert_eq!(trouble.failed("b", "gone".into(), NOW, AT_ONCE), Some(Said::Trouble("gone".into())));
        assert_eq!(trouble.failed("b", "starts".into(), NOW + patience, patience), None);
    }
}
