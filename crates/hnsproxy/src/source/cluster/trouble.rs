//! Says that the API server can't be asked: once when that begins, once for each other reason, and once when it is over.
//!
//! It is over when nothing has failed for a while: a server that lets us in and throws us out again is not well in between.

use std::collections::BTreeSet;
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
    /// Who can't ask it now.
    failing: BTreeSet<&'static str>,
    /// Since when nobody is.
    well_since: Option<Duration>,
}

impl Trouble {
    /// Someone could not ask.
    pub(super) fn failed(&mut self, who: &'static str, why: String) -> Option<Said> {
        self.failing.insert(who);
        self.well_since = None;
        self.said.insert(why.clone()).then_some(Said::Trouble(why))
    }

    /// Someone could ask. Whether it may be over after a while.
    pub(super) fn succeeded(&mut self, who: &'static str, now: Duration) -> bool {
        let was_failing = self.failing.remove(who);
        let well = was_failing && self.failing.is_empty();
        if well {
            self.well_since = Some(now);
        }
        well
    }

    /// Whether it is over.
    pub(super) fn settle(&mut self, now: Duration) -> Option<Said> {
        let quiet = now.saturating_sub(self.well_since?) >= QUIET;
        quiet.then(|| {
            *self = Self::default();
            Said::Over
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Duration = Duration::from_secs(100);

    #[test]
    fn one_reason_of_many_is_said_once_and_the_end_when_all_are_well() {
        let mut trouble = Trouble::default();
        assert_eq!(trouble.failed("a", "gone".into()), Some(Said::Trouble("gone".into())));
        assert_eq!(trouble.failed("b", "gone".into()), None);
        assert_eq!(trouble.failed("b", "busy".into()), Some(Said::Trouble("busy".into())));
        assert!(!trouble.succeeded("a", NOW));
        assert_eq!(trouble.settle(NOW + QUIET), None);
        assert!(trouble.succeeded("b", NOW));
        assert!(!trouble.succeeded("b", NOW + QUIET), "once is enough");
        assert_eq!(trouble.settle(NOW), None);
        assert_eq!(trouble.settle(NOW + QUIET), Some(Said::Over));
        assert_eq!(trouble.settle(NOW + QUIET), None);
        assert_eq!(trouble.failed("a", "gone".into()), Some(Said::Trouble("gone".into())));
    }

    #[test]
    fn what_comes_and_goes_is_not_over() {
        let mut trouble = Trouble::default();
        trouble.failed("a", "cut".into());
        for second in 0..9 {
            let now = Duration::from_secs(second);
            assert!(trouble.succeeded("a", now));
            assert_eq!(trouble.failed("a", "cut".into()), None);
            assert_eq!(trouble.settle(now + QUIET), None);
        }
    }
}
