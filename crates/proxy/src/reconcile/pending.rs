//! Tracks which frontends are pending, and since when their load balancers are not in sync. The cost depends only on the number of pending
//! frontends.

use std::collections::BTreeSet;
use std::time::Duration;

use rustc_hash::FxHashMap;

use super::Reconciler;
use super::turns::MAX_FRONTENDS;
use crate::frontend::Frontend;

/// Since when each load balancer has not been in sync. When a load balancer is programmed, its time is reset, so that continuous changes do
/// not add up.
#[derive(Debug, Default)]
pub(super) struct PendingSince {
    since: FxHashMap<Frontend, Duration>,
    oldest: Option<Duration>,
    /// When it was last updated, unless nothing was pending then.
    updated: Option<Duration>,
}

/// The minimum time between two updates while batches remain: a start on a large cluster has hundreds of short runs, and in each of them
/// almost all frontends are pending.
const PERIOD: Duration = Duration::from_secs(1);

impl PendingSince {
    /// Replaces the load balancers that are not in sync at the end of a run that began `now`.
    fn update(&mut self, pending: impl IntoIterator<Item = Frontend>, now: Duration) {
        let since = |frontend| (frontend, self.since.get(&frontend).copied().unwrap_or(now));
        self.since = pending.into_iter().map(since).collect();
        self.oldest = self.since.values().min().copied();
        self.updated = self.oldest.map(|_| now);
    }
}

impl Reconciler {
    /// Since when the oldest pending load balancer has not been in sync, in the time scale of the `now` of runs. `None` if all were in sync
    /// after the last run.
    pub fn oldest_pending_load_balancer(&self) -> Option<Duration> {
        self.pending_since.oldest
    }

    /// The frontends that a later run plans or retries.
    pub(super) fn pending_frontends(&self) -> BTreeSet<Frontend> {
        let delayed = self.contention.delayed();
        (self.dirty.frontends.iter().copied())
            .chain(self.pacing.waiting())
            .chain(self.conditions.waiting().iter().copied())
            .chain(delayed.frontends.iter().copied())
            .chain(self.retries.failed.subjects().filter_map(|subject| subject.frontend()))
            .collect()
    }

    /// Records what is pending at the end of a run, unless that is not due yet. Returns whether it was.
    pub(super) fn record_pending(&mut self, now: Duration) -> bool {
        let is_recent = self.pending_since.updated.is_some_and(|updated| now < updated + PERIOD);
        if is_recent && self.dirty.frontends.len() > MAX_FRONTENDS && !self.audit.has_failed() {
            return false;
        }
        let mut pending = self.pending_frontends();
        // A frontend without a desired load balancer only has a pending deletion, which does not affect traffic.
        pending.retain(|frontend| self.desired.frontend(*frontend).is_some_and(|owner| !owner.spec.targets.is_empty()));
        self.pending_since.update(pending, now);
        true
    }
}
