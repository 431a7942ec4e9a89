//! Limits how often one load balancer is replaced, since each replacement cuts its connections: the first at once, the next after at least
//! a second, with all changes since then. Modifications in place are not limited.

use std::collections::BTreeSet;
use std::time::Duration;

use rustc_hash::{FxHashMap, FxHashSet};

use crate::frontend::Frontend;

/// The minimum time between two replacements of one load balancer. The default of kube-proxy's `minSyncPeriod` is the
/// same, for all Services together.
const PERIOD: Duration = Duration::from_secs(1);

#[derive(Debug, Clone, Default)]
pub(super) struct Pacing {
    /// When load balancers were last replaced; entries older than the period are removed.
    last: FxHashMap<Frontend, Duration>,
    /// Frontends whose load balancer has to be replaced again.
    waiting: BTreeSet<Frontend>,
}

impl Pacing {
    pub(super) fn replaced(&mut self, frontend: Frontend, now: Duration) {
        self.last.insert(frontend, now);
    }

    /// Records whether a plan has postponed a frontend.
    pub(super) fn planned(&mut self, frontend: Frontend, postponed: bool) {
        if postponed {
            self.waiting.insert(frontend);
        } else {
            self.waiting.remove(&frontend);
        }
    }

    /// The frontends whose load balancers must not be replaced now.
    pub(super) fn recent(&mut self, now: Duration) -> FxHashSet<Frontend> {
        // Frontends that were replaced once would stay in the map for ever.
        self.last.retain(|_, last| *last + PERIOD > now);
        self.last.keys().copied().collect()
    }

    /// The frontends that have waited long enough.
    pub(super) fn due(&self, now: Duration) -> Vec<Frontend> {
        // No entry means that the period is over: entries are removed then.
        let is_due = |frontend: &&Frontend| self.last.get(frontend).is_none_or(|last| *last + PERIOD <= now);
        self.waiting.iter().filter(is_due).copied().collect()
    }

    /// When the next frontend has waited long enough.
    pub(super) fn next(&self) -> Option<Duration> {
        let due = |frontend| self.last.get(frontend).map_or(Duration::ZERO, |last| *last + PERIOD);
        self.waiting.iter().map(due).min()
    }

    pub(super) fn waiting(&self) -> impl Iterator<Item = Frontend> {
        self.waiting.iter().copied()
    }
}

#[cfg(test)]
mod tests {
    use hcn::schema::Protocol;

    use super::*;
    use crate::model::Family;

    const FRONTEND: Frontend = Frontend { family: Family::V4, address: None, protocol: Protocol::TCP, port: 30080 };

    #[test]
    fn a_second_replacement_waits_until_a_period_has_passed() {
        let (replaced, due) = (Duration::from_secs(10), Duration::from_secs(10) + PERIOD);
        let mut pacing = Pacing::default();
        assert!(pacing.recent(replaced).is_empty());
        pacing.replaced(FRONTEND, replaced);
        let just_before = due - Duration::from_nanos(1);
        assert!(pacing.recent(just_before).contains(&FRONTEND));
        pacing.planned(FRONTEND, true);
        assert_eq!((pacing.next(), pacing.due(just_before), pacing.due(due)), (Some(due), vec![], vec![FRONTEND]));
        assert!(pacing.recent(due).is_empty());
        pacing.planned(FRONTEND, false);
        assert_eq!(pacing.waiting().count(), 0);
    }
}
