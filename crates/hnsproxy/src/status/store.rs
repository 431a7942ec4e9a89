//! Where the control loop publishes its status, and all other threads read it.
//!
//! Beside the last [`Status`] are the [`ChangeTimes`] and the [`WatchTimes`]. The thread that reads the cluster records there
//! when changes and watch events arrived, since the control loop may be blocked in an HNS call.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use cluster_source::cluster::WatchSilence;
use cluster_source::kubernetes::node::Node;
use jiff::Timestamp;
use proxy::Liveness;
use tokio::sync::watch;

use super::{SilentWatch, Status};
use crate::clock::{Clock, Now};
use crate::mutex::lock;

/// Since when changes are pending, and when changes were last programmed. All times count from the start of the process.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ChangeTimes {
    /// The oldest change that no run has taken.
    queued_since: Option<Duration>,
    /// The oldest change that a run has taken and not yet programmed.
    taken_since: Option<Duration>,
    run_started: Option<Duration>,
    last_queued: Option<Duration>,
    /// The number of changes that the control loop has not taken.
    queued: usize,
    last_programmed: Option<Duration>,
    /// When a run last programmed a part of the changes it had taken. None once all are programmed.
    last_part_programmed: Option<Duration>,
}

impl ChangeTimes {
    /// Whether the control loop has not taken a change of the cluster yet.
    pub fn are_queued(&self) -> bool {
        self.queued_since.is_some()
    }
}

/// How much of the changes that it had taken a run has programmed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Programmed {
    /// All, as far as HNS allowed.
    All,
    /// The next run continues.
    Part,
    Nothing,
}

impl ChangeTimes {
    pub fn queued(&mut self, now: Duration) {
        self.queued_since.get_or_insert(now);
        self.last_queued = Some(now);
    }

    /// The number of changes that the control loop has not taken: at most one for each object.
    pub fn queue_length(&self) -> usize {
        self.queued
    }

    /// The control loop takes all queued changes, for the next run.
    pub fn taken(&mut self) {
        self.taken_since = self.oldest();
        (self.queued_since, self.queued) = (None, 0);
    }

    pub fn run_started(&mut self, now: Duration) {
        self.run_started = Some(now);
    }

    pub fn run_ended(&mut self, now: Duration, programmed: Programmed) {
        self.run_started = None;
        match programmed {
            Programmed::All => {
                (self.taken_since, self.last_programmed, self.last_part_programmed) = (None, Some(now), None);
            }
            Programmed::Part => self.last_part_programmed = Some(now),
            // What the run had taken stays pending, with its age.
            Programmed::Nothing => {}
        }
    }

    /// Since when the oldest change is pending.
    pub fn oldest(&self) -> Option<Duration> {
        self.taken_since.into_iter().chain(self.queued_since).min()
    }

    pub fn last_queued(&self) -> Option<Duration> {
        self.last_queued
    }

    pub fn last_programmed(&self) -> Option<Duration> {
        self.last_programmed
    }

    /// Whether changes are programmed within `limit`, as a whole or part by part, and no run takes longer.
    pub fn is_healthy(&self, now: Duration, limit: Duration) -> bool {
        let in_time = |since: Duration| now.saturating_sub(since) < limit;
        // A long first start is healthy as long as parts of it get programmed.
        let oldest = self.oldest().map(|since| since.max(self.last_part_programmed.unwrap_or_default()));
        // kube-proxy is healthy until its first sync, too.
        self.last_programmed.is_none() || oldest.into_iter().chain(self.run_started).all(in_time)
    }
}

/// When the API server last proved that what is known of a kind is current, by kind. Empty for files.
pub type WatchTimes = BTreeMap<&'static str, Duration>;

/// By kind.
#[derive(Debug, Default)]
struct Watches(BTreeMap<&'static str, WatchSilence>);

impl Watches {
    fn of(&mut self, kind: &'static str) -> &mut WatchSilence {
        self.0.entry(kind).or_default()
    }

    /// The kinds that were listed.
    fn times(&self) -> WatchTimes {
        self.0.iter().filter_map(|(kind, silence)| Some((*kind, silence.received_at()?))).collect()
    }

    /// The watch that has been silent for the longest time outside of outages, if that exceeds a limit. An outage of one kind does not explain
    /// the silence of another.
    fn silent(&self, now: Duration, limit: Duration) -> Option<SilentWatch> {
        let unexplained = self.0.iter().filter(|(_, silence)| !silence.is_in_outage());
        let silent = unexplained.filter_map(|(kind, silence)| Some((silence.unexplained(now)?, *kind)));
        let (_, kind) = silent.max().filter(|(silence, _)| *silence > limit)?;
        let silence = now.saturating_sub(self.0.get(kind)?.received_at()?);
        Some(SilentWatch { kind, silence })
    }
}

/// The content of the store at one moment.
#[derive(Debug, Clone, PartialEq)]
pub struct StatusSnapshot {
    /// The status after the last run.
    pub status: Arc<Status>,
    pub changes: ChangeTimes,
    pub watches: WatchTimes,
    /// The watch that has been silent for the longest time, if that is too long and no outage of its kind explains it.
    pub silent_watch: Option<SilentWatch>,
    pub now: Now,
}

impl StatusSnapshot {
    /// For how long the API server has not proved that what is known of a kind is current, by kind.
    pub fn watch_silence(&self) -> impl Iterator<Item = (&'static str, Duration)> {
        self.watches.iter().map(|(kind, at)| (*kind, self.now.elapsed.saturating_sub(*at)))
    }

    /// The liveness of HNS. `overdue` is whether a call in flight exceeds its budget, which is later than the status.
    pub fn liveness(&self, overdue: bool) -> Liveness {
        if overdue && self.status.liveness == Liveness::Up { Liveness::Slow } else { self.status.liveness }
    }
}

/// The Node as last read from the source, which can be later than the status.
#[derive(Debug, Clone, Copy, Default)]
struct NodeRead {
    absence: NodeAbsence,
    /// Whether the source has the Node. `None` before it has answered.
    found: Option<bool>,
    /// `None` if no version of the Node was read.
    eligible: Option<bool>,
}

/// Whether the node gets traffic from external load balancers while the source does not have the Node.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum NodeAbsence {
    /// A deleted Node keeps its eligibility: the kubelet creates it again when it registers.
    #[default]
    Unchanged,
    /// A Node that is not in the files cannot be marked for removal.
    Eligible,
}

impl NodeRead {
    fn read(&mut self, node: Option<&Node>) {
        self.found = Some(node.is_some());
        match (node, self.absence) {
            (Some(node), _) => self.eligible = Some(node.eligible),
            (None, NodeAbsence::Eligible) => self.eligible = Some(true),
            (None, NodeAbsence::Unchanged) => {}
        }
    }

    fn update(self, status: &mut Status) {
        status.node.found = self.found.or(status.node.found);
        status.node.eligible = self.eligible.unwrap_or(status.node.eligible);
    }
}

#[derive(Debug)]
pub struct StatusStore {
    clock: Clock,
    max_watch_silence: Duration,
    changes: Mutex<ChangeTimes>,
    node: Mutex<NodeRead>,
    watches: Mutex<Watches>,
    status: watch::Sender<Arc<Status>>,
}

impl StatusStore {
    /// `max_watch_silence` is the time after which a watch counts as silent.
    pub fn new(clock: Clock, max_watch_silence: Duration) -> Self {
        Self {
            clock,
            max_watch_silence,
            changes: Mutex::default(),
            node: Mutex::default(),
            watches: Mutex::default(),
            status: watch::Sender::default(),
        }
    }

    /// When the process started. It identifies the process.
    pub fn started(&self) -> Timestamp {
        self.clock.started()
    }

    /// Records that a change is pending, and how many are not taken. May be called from any thread.
    pub fn change_queued(&self, queued: usize) {
        let now = self.now().elapsed;
        let mut changes = self.lock();
        changes.queued(now);
        changes.queued = queued;
    }

    /// The control loop has taken all changes.
    pub fn changes_taken(&self) {
        self.lock().taken();
    }

    /// Publishes the Node at once, even while HNS hangs. `None`: the source does not have it. May be called from any thread.
    pub fn node_read(&self, node: Option<&Node>) {
        let mut read = lock(&self.node);
        read.read(node);
        self.status.send_modify(|status| read.update(Arc::make_mut(status)));
    }

    /// Forgets what was read about the Node: the next one is that of another source.
    pub fn forget_node(&self, absence: NodeAbsence) {
        *lock(&self.node) = NodeRead { absence, ..NodeRead::default() };
    }

    /// Records that the API server has proved that what is known of a kind is current. May be called from any thread.
    pub fn kind_is_current(&self, kind: &'static str) {
        self.lock_watches().of(kind).received(self.now().elapsed);
    }

    /// Records whether requests for a kind fail for a reason that was reported as an outage. May be called from any thread.
    pub fn kind_in_outage(&self, kind: &'static str, in_outage: bool) {
        self.lock_watches().of(kind).set_outage(in_outage, self.now().elapsed);
    }

    pub fn run_started(&self) {
        self.lock().run_started(self.now().elapsed);
    }

    /// Publishes the status after a run.
    pub fn publish(&self, status: Status) {
        let could_write =
            status.waiting_for_node.is_none() && status.audit_error().is_none() && status.progress.complete;
        let programmed = match status.progress.unplanned {
            _ if !could_write => Programmed::Nothing,
            0 => Programmed::All,
            _ => Programmed::Part,
        };
        self.set(status, programmed);
        self.lock().run_ended(self.now().elapsed, programmed);
    }

    /// Records that a run has programmed a part of what it had taken, where the status stays as published.
    pub fn part_programmed(&self) {
        self.lock().run_ended(self.now().elapsed, Programmed::Part);
    }

    /// Publishes the status before the first run. Everything is a pending change then, whose age counts from now.
    pub fn publish_start(&self, status: Status) {
        self.set(status, Programmed::Nothing);
        let now = self.now().elapsed;
        let mut changes = self.lock();
        changes.run_ended(now, Programmed::All);
        changes.queued(now);
    }

    /// Publishes the status before a run. What is pending stays pending.
    pub fn publish_progress(&self, status: Status) {
        self.set(status, Programmed::Nothing);
    }

    /// Health check responses change only after programming: an external load balancer must not send traffic earlier.
    fn set(&self, mut status: Status, programmed: Programmed) {
        let before = self.status.borrow().health_checks.clone();
        match programmed {
            Programmed::All => {}
            // A long programming, or changes without end, must not keep the health check of a Service that is programmed.
            Programmed::Part => {
                let unplanned = &status.unplanned_health_checks;
                let planned = status.health_checks.iter().filter(|(service, _)| !unplanned.contains(*service));
                let kept = before.iter().filter(|(service, _)| unplanned.contains(*service));
                status.health_checks =
                    planned.chain(kept).map(|(service, check)| (service.clone(), check.clone())).collect();
            }
            Programmed::Nothing => status.health_checks = before,
        }
        // Held until the status is set, so that the Node in it cannot be older.
        let read = lock(&self.node);
        read.update(&mut status);
        self.status.send_replace(Arc::new(status));
    }

    pub fn snapshot(&self) -> StatusSnapshot {
        let (now, watches) = (self.now(), self.lock_watches());
        StatusSnapshot {
            status: self.status.borrow().clone(),
            changes: *self.lock(),
            watches: watches.times(),
            // Decided here and not by the loop: with a long audit interval, the loop may have nothing to do for an hour.
            silent_watch: watches.silent(now.elapsed, self.max_watch_silence),
            now,
        }
    }

    /// Receives each new status.
    pub fn subscribe(&self) -> watch::Receiver<Arc<Status>> {
        self.status.subscribe()
    }

    pub fn now(&self) -> Now {
        self.clock.now()
    }

    fn lock_watches(&self) -> MutexGuard<'_, Watches> {
        lock(&self.watches)
    }

    fn lock(&self) -> MutexGuard<'_, ChangeTimes> {
        lock(&self.changes)
    }
}

#[cfg(test)]
mod tests {
    use proxy::model::{Family, ServiceName};
    use proxy::{HealthCheck, HealthChecks};

    use super::*;

    #[test]
    fn a_change_is_pending_until_a_run_has_programmed_it() {
        let at = Duration::from_secs;
        let mut changes = ChangeTimes::default();
        changes.queued(at(1));
        changes.queued(at(2));
        assert_eq!(changes.oldest(), Some(at(1)));
        changes.taken();
        // The loop applies what it has taken, and has not taken this one.
        changes.queued(at(3));
        changes.run_started(at(3));
        assert_eq!(changes.oldest(), Some(at(1)));
        changes.run_ended(at(4), Programmed::All);
        assert_eq!((changes.oldest(), changes.last_programmed()), (Some(at(3)), Some(at(4))));
        // A run that fails leaves what it had taken.
        changes.taken();
        changes.run_ended(at(5), Programmed::Nothing);
        changes.taken();
        assert_eq!(changes.oldest(), Some(at(3)));
        changes.run_ended(at(6), Programmed::All);
        assert_eq!(
            changes,
            ChangeTimes { last_programmed: Some(at(6)), last_queued: Some(at(3)), ..ChangeTimes::default() }
        );
    }

    fn watches(times: &[(&'static str, Duration)]) -> Watches {
        let mut watches = Watches::default();
        times.iter().for_each(|(kind, at)| watches.of(kind).received(*at));
        watches
    }

    #[test]
    fn the_watch_that_has_been_silent_for_the_longest_time_is_named() {
        let at = Duration::from_secs;
        let silent = |times: &[(&'static str, Duration)]| {
            watches(times).silent(at(100), at(60)).map(|SilentWatch { kind, silence }| (kind, silence))
        };
        assert_eq!(silent(&[]), None, "files have no watches");
        assert_eq!(silent(&[("Node", at(40)), ("Service", at(90))]), None);
        assert_eq!(silent(&[("Node", at(39)), ("Service", at(30))]), Some(("Service", at(70))));
    }

    #[test]
    fn an_outage_of_one_kind_does_not_explain_the_silence_of_another() {
        let at = Duration::from_secs;
        let mut watches = watches(&[("Node", at(10)), ("Service", at(20))]);
        watches.of("Node").set_outage(true, at(20));
        assert_eq!(watches.silent(at(100), at(60)), Some(SilentWatch { kind: "Service", silence: at(80) }));
        watches.of("Service").set_outage(true, at(100));
        assert_eq!(watches.silent(at(200), at(60)), None);
        // The time before the outage counts.
        watches.of("Service").set_outage(false, at(200));
        assert_eq!(watches.silent(at(201), at(60)), Some(SilentWatch { kind: "Service", silence: at(181) }));
    }

    #[test]
    fn a_run_that_takes_too_long_is_unhealthy() {
        let (at, limit) = (Duration::from_secs, Duration::from_secs(10));
        let mut changes = ChangeTimes::default();
        changes.run_ended(at(0), Programmed::All);
        changes.run_started(at(100));
        assert!(changes.is_healthy(at(109), limit) && !changes.is_healthy(at(110), limit));
        changes.run_ended(at(110), Programmed::Nothing);
        assert!(changes.is_healthy(at(110), limit));
    }

    #[test]
    fn a_run_in_parts_is_unhealthy_only_if_one_part_takes_too_long() {
        let (at, limit) = (Duration::from_secs, Duration::from_secs(10));
        let mut changes = ChangeTimes::default();
        changes.run_ended(at(0), Programmed::All);
        changes.queued(at(1));
        changes.taken();
        changes.run_started(at(1));
        changes.run_ended(at(9), Programmed::Part);
        assert_eq!((changes.oldest(), changes.last_programmed()), (Some(at(1)), Some(at(0))));
        assert!(changes.is_healthy(at(18), limit) && !changes.is_healthy(at(19), limit));
        changes.run_ended(at(18), Programmed::All);
        assert_eq!(
            changes,
            ChangeTimes { last_programmed: Some(at(18)), last_queued: Some(at(1)), ..ChangeTimes::default() }
        );
    }

    #[test]
    fn what_the_source_says_of_the_node_is_published_at_once_and_stays() {
        let store = StatusStore::new(Clock::new(), Duration::MAX);
        let eligible = |eligible| Node { name: "n".into(), zone: None, ips: vec![], pod_cidrs: vec![], eligible };
        let published = || (store.snapshot().status.node.found, store.snapshot().status.node.eligible);
        store.node_read(Some(&eligible(true)));
        assert_eq!(published(), (Some(true), true));
        store.node_read(None);
        store.publish(Status::default());
        assert_eq!(published(), (Some(false), true), "the loop has not taken the change");
        store.forget_node(NodeAbsence::Eligible);
        store.publish(Status::default());
        assert_eq!(published(), (None, false));
        store.node_read(Some(&eligible(false)));
        store.node_read(None);
        assert_eq!(published(), (Some(false), true), "files without a Node");
    }

    #[test]
    fn a_health_check_changes_once_its_service_is_programmed() {
        let name = |name: &str| ServiceName::new("ns", name);
        let checks = |local: &[(&str, usize)]| -> HealthChecks {
            let check = |local| HealthCheck { port: 30000, uid: None, local: [(Family::V4, local)].into() };
            local.iter().map(|(service, local)| (name(service), check(*local))).collect()
        };
        let store = StatusStore::new(Clock::new(), Duration::MAX);
        let publish = |complete: bool, now: &HealthChecks, unplanned: &[&str]| {
            let mut status = Status { health_checks: now.clone(), ..Status::default() };
            (status.progress.complete, status.progress.unplanned) = (complete, unplanned.len());
            status.unplanned_health_checks = unplanned.iter().map(|service| name(service)).collect();
            store.publish(status);
            (store.snapshot().status.health_checks.clone(), store.snapshot().changes.last_programmed().is_some())
        };
        let first = checks(&[("a", 1), ("b", 1)]);
        assert_eq!(publish(false, &first, &[]), (HealthChecks::default(), false));
        assert_eq!(publish(true, &first, &["b", "c"]), (checks(&[("a", 1)]), false));
        assert_eq!(publish(true, &first, &[]), (first.clone(), true));
        let second = checks(&[("a", 0), ("b", 0)]);
        assert_eq!(publish(true, &second, &["a"]), (checks(&[("a", 1), ("b", 0)]), true));
        assert_eq!(publish(false, &second, &[]), (checks(&[("a", 1), ("b", 0)]), true));
        assert_eq!(publish(true, &second, &[]), (second.clone(), true));
    }
}
