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
    /// When a run last programmed a part of what waits.
    advanced: Option<Duration>,
}

/// How far a run has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// It has programmed all that it had taken, as far as HNS allowed.
    All,
    /// It has programmed a part, and the next one goes on.
    Part,
    /// It could do nothing.
    Nothing,
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

    /// Notes that the run has ended, and how far it has come.
    pub fn ended(&mut self, now: Duration, reach: Reach) {
        self.running = None;
        match reach {
            Reach::All => (self.under_way, self.updated, self.advanced) = (None, Some(now), None),
            Reach::Part => self.advanced = Some(now),
            Reach::Nothing => {}
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

    /// Whether changes are programmed in time, or part by part, and no run is held up.
    pub fn is_healthy(&self, now: Duration, patience: Duration) -> bool {
        let in_time = |since: Duration| now.saturating_sub(since) < patience;
        let oldest = self.oldest().map(|since| since.max(self.advanced.unwrap_or_default()));
        self.updated.is_none() || oldest.into_iter().chain(self.running).all(in_time)
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
        let could_write = status.awaited.is_none() && status.trouble.is_none() && status.progress.complete;
        let reach = match status.progress.unplanned {
            _ if !could_write => Reach::Nothing,
            0 => Reach::All,
            _ => Reach::Part,
        };
        self.show(status, reach == Reach::All);
        self.lock().ended(self.now().elapsed, reach);
    }

    /// Publishes how the proxy stands before the first run: there is everything to be programmed, and it can be late from now on.
    pub fn started(&self, status: Status) {
        self.show(status, false);
        let now = self.now().elapsed;
        let mut changes = self.lock();
        changes.ended(now, Reach::All);
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
    use proxy::model::{Family, ServiceName};
    use proxy::{HealthCheck, HealthChecks};

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
        changes.ended(at(4), Reach::All);
        assert_eq!((changes.oldest(), changes.last_updated()), (Some(at(3)), Some(at(4))));
        // A run that fails leaves what it had taken.
        changes.begun(at(4));
        changes.ended(at(5), Reach::Nothing);
        changes.begun(at(5));
        assert_eq!(changes.oldest(), Some(at(3)));
        changes.ended(at(6), Reach::All);
        assert_eq!(changes, Changes { updated: Some(at(6)), last_queued: Some(at(3)), ..Changes::default() });
    }

    #[test]
    fn a_run_that_is_held_up_is_not_healthy() {
        let (at, patience) = (Duration::from_secs, Duration::from_secs(10));
        let mut changes = Changes::default();
        changes.ended(at(0), Reach::All);
        changes.begun(at(100));
        assert!(changes.is_healthy(at(109), patience) && !changes.is_healthy(at(110), patience));
        changes.ended(at(110), Reach::Nothing);
        assert!(changes.is_healthy(at(110), patience));
    }

    #[test]
    fn what_is_programmed_part_by_part_is_late_only_when_a_part_is() {
        let (at, patience) = (Duration::from_secs, Duration::from_secs(10));
        let mut changes = Changes::default();
        changes.ended(at(0), Reach::All);
        changes.queued(at(1));
        changes.begun(at(1));
        changes.ended(at(9), Reach::Part);
        assert_eq!((changes.oldest(), changes.last_updated()), (Some(at(1)), Some(at(0))));
        assert!(changes.is_healthy(at(18), patience) && !changes.is_healthy(at(19), patience));
        changes.ended(at(18), Reach::All);
        assert_eq!(changes, Changes { updated: Some(at(18)), last_queued: Some(at(1)), ..Changes::default() });
    }

    #[test]
    fn load_balancers_are_told_of_backends_once_all_is_programmed() {
        let mut status = Status::default();
        status.progress.complete = true;
        let check = HealthCheck { port: 30000, uid: None, local: [(Family::V4, 1)].into() };
        let checks: HealthChecks = [(ServiceName::new("ns", "web"), check)].into_iter().collect();
        status.health_checks = checks.clone();
        status.progress.unplanned = 1;
        let board = Board::new(Clock::new());
        board.publish(status.clone());
        let none = HealthChecks::default();
        assert!(board.view().status.health_checks == none && board.view().changes.last_updated().is_none());
        status.progress.unplanned = 0;
        board.publish(status);
        assert!(board.view().status.health_checks == checks && board.view().changes.last_updated().is_some());
    }
}
