//! How often one load balancer may be replaced: each replacement cuts its connections. The first is made at once, the next not before
//! a second has passed, with whatever has gathered by then.

use std::collections::BTreeSet;
use std::time::Duration;

use rustc_hash::{FxHashMap, FxHashSet};

use crate::frontend::Frontend;

/// The least time between two replacements of one load balancer.
const PERIOD: Duration = Duration::from_secs(1);

/// When load balancers were last replaced, and which wait to be replaced again.
#[derive(Debug, Clone, Default)]
pub(super) struct Pacing {
    last: FxHashMap<Frontend, Duration>,
    waiting: BTreeSet<Frontend>,
}

impl Pacing {
    /// Notes a replacement.
    pub(super) fn replaced(&mut self, frontend: Frontend, now: Duration) {
        self.last.insert(frontend, now);
    }

    /// Notes whether a frontend that was planned has to wait.
    pub(super) fn planned(&mut self, frontend: Frontend, postponed: bool) {
        if postponed {
            self.waiting.insert(frontend);
        } else {
            self.waiting.remove(&frontend);
        }
    }

    /// Frontends that are not to be replaced now.
    pub(super) fn recent(&mut self, now: Duration) -> FxHashSet<Frontend> {
        self.last.retain(|_, last| *last + PERIOD > now);
        self.last.keys().copied().collect()
    }

    /// Frontends that have waited long enough.
    pub(super) fn due(&self, now: Duration) -> Vec<Frontend> {
        let is_due = |frontend: &&Frontend| self.last.get(frontend).is_none_or(|last| *last + PERIOD <= now);
        self.waiting.iter().filter(is_due).copied().collect()
    }

    /// When the next frontend has waited long enough.
    pub(super) fn next(&self) -> Option<Duration> {
        let due = |frontend| self.last.get(frontend).map_or(Duration::ZERO, |last| *last + PERIOD);
        self.waiting.iter().map(due).min()
    }

    /// The frontends that wait.
    pub(super) fn waiting(&self) -> impl Iterator<Item = Frontend> {
        self.waiting.iter().copied()
    }

    /// Whether none waits.
    pub(super) fn is_idle(&self) -> bool {
        self.waiting.is_empty()
    }
}
