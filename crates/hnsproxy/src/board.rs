//! Where the thread that programs HNS leaves how things stand, and everybody else reads it.
//!
//! Beside the last [`Status`] stands since when changes wait: that is noted by whoever brings them, since the thread that programs may
//! be held up in a call.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use proxy::Liveness;
use tokio::sync::watch;

use crate::clock::{Clock, Now};
use crate::status::Status;

/// Since when changes wait to be programmed, and when they last were.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Changes {
    queued: Option<Duration>,
    under_way: Option<Duration>,
    running: Option<Duration>,
    last_queued: Option<Duration>,
    updated: Option<Duration>,
}

impl Changes {
    /// Notes that something has changed.
    pub fn queued(&mut self, now: Duration) {
        self.queued.get_or_insert(now);
        self.last_queued = Some(now);
    }

    /// Notes that a run begins, which takes all changes with it.
    pub fn begun(&mut self, now: Duration) {
        self.under_way = self.oldest();
        (self.queued, self.running) = (None, Some(now));
    }

    /// Notes that the run has ended, and whether it has programmed what it had taken, as far as HNS allowed.
    pub fn ended(&mut self, now: Duration, updated: bool) {
        self.running = None;
        if updated {
            (self.under_way, self.updated) = (None, Some(now));
        }
    }

    /// Since when the oldest change waits.
    pub fn oldest(&self) -> Option<Duration> {
        self.under_way.into_iter().chain(self.queued).min()
    }

    /// When something last changed.
    pub fn last_queued(&self) -> Option<Duration> {
        self.last_queued
    }

    /// When changes were last programmed.
    pub fn last_updated(&self) -> Option<Duration> {
        self.updated
    }

    /// Whether changes are programmed in time, and no run is held up.
    pub fn is_healthy(&self, now: Duration, patience: Duration) -> bool {
        let in_time = |since: Duration| now.saturating_sub(since) < patience;
        self.updated.is_none() || self.oldest().into_iter().chain(self.running).all(in_time)
    }
}

/// What a board says at a moment.
#[derive(Debug, Clone, PartialEq)]
pub struct View {
    /// How the proxy stood after the last run.
    pub status: Arc<Status>,
    /// Since when changes wait.
    pub changes: Changes,
    /// The moment.
    pub now: Now,
}

impl View {
    /// How HNS does, where a call may be under way that takes longer than it may.
    pub fn liveness(&self, overdue: bool) -> Liveness {
        if overdue && self.status.liveness == Liveness::Up { Liveness::Slow } else { self.status.liveness }
    }
}

/// What everybody may read.
#[derive(Debug)]
pub struct Board {
    clock: Clock,
    changes: Mutex<Changes>,
    status: watch::Sender<Arc<Status>>,
}

impl Board {
    /// A board that says nothing yet.
    pub fn new(clock: Clock) -> Self {
        Self { clock, changes: Mutex::default(), status: watch::Sender::default() }
    }

    /// Notes that something has changed. May be called from any thread.
    pub fn queued(&self) {
        self.lock().queued(self.now().elapsed);
    }

    /// Notes that a run begins.
    pub fn begun(&self) {
        self.lock().begun(self.now().elapsed);
    }

    /// Publishes how the proxy stands after a run.
    pub fn publish(&self, status: Status) {
        let updated = status.awaited.is_none() && status.trouble.is_none() && status.progress.complete;
        self.show(status, updated);
        self.lock().ended(self.now().elapsed, updated);
    }

    /// Publishes how the proxy stands before the first run: there is everything to be programmed, and it can be late from now on.
    pub fn started(&self, status: Status) {
        self.show(status, false);
        let now = self.now().elapsed;
        let mut changes = self.lock();
        changes.ended(now, true);
        changes.queued(now);
    }

    /// Load balancers are told of backends only when these were programmed.
    fn show(&self, mut status: Status, programmed: bool) {
        if !programmed {
            status.health_checks = self.status.borrow().health_checks.clone();
        }
        self.status.send_replace(Arc::new(status));
    }

    /// What stands there now.
    pub fn view(&self) -> View {
        View { status: self.status.borrow().clone(), changes: *self.lock(), now: self.now() }
    }

    /// Tells of each new status.
    pub fn subscribe(&self) -> watch::Receiver<Arc<Status>> {
        self.status.subscribe()
    }

    fn now(&self) -> Now {
        self.clock.now()
    }

    fn lock(&self) -> MutexGuard<'_, Changes> {
        self.changes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_counts_from_when_it_came_until_a_run_has_programmed_it() {
        let at = Duration::from_secs;
        let mut changes = Changes::default();
        changes.queued(at(1));
        changes.queued(at(2));
        assert_eq!(changes.oldest(), Some(at(1)));
        changes.begun(at(2));
        changes.queued(at(3));
        assert_eq!(changes.oldest(), Some(at(1)));
        changes.ended(at(4), true);
        assert_eq!((changes.oldest(), changes.last_updated()), (Some(at(3)), Some(at(4))));
        // A run that fails leaves what it had taken.
        changes.begun(at(4));
        changes.ended(at(5), false);
        changes.begun(at(5));
        assert_eq!(changes.oldest(), Some(at(3)));
        changes.ended(at(6), true);
        assert_eq!(changes, Changes { updated: Some(at(6)), last_queued: Some(at(3)), ..Changes::default() });
    }

    #[test]
    fn a_run_that_is_held_up_is_not_healthy() {
        let (at, patience) = (Duration::from_secs, Duration::from_secs(10));
        let mut changes = Changes::default();
        changes.ended(at(0), true);
        changes.begun(at(100));
        assert!(changes.is_healthy(at(109), patience) && !changes.is_healthy(at(110), patience));
        changes.ended(at(110), false);
        assert!(changes.is_healthy(at(110), patience));
    }
}
