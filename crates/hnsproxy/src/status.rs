//! How the proxy stands, as a value: made by the thread that programs HNS after each run, read by whoever answers questions.
//!
//! The [`Board`] holds the last one. Beside it stands since when changes wait: that is noted by whoever brings them, since the thread
//! that programs may be held up in a call.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hcn::Generation;
use proxy::desire::TrafficPolicy;
use proxy::model::{Family, ServiceName};
use proxy::settings::Capabilities;
use proxy::{HealthChecks, Liveness, Notice, Progress, Reconciler, Remark};
use tokio::sync::watch;
use uuid::Uuid;

use crate::clock::{Clock, Now};
use crate::sync::chain;

/// Why nothing is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trouble {
    /// In one word, for Events.
    pub reason: &'static str,
    /// In words.
    pub text: String,
}

/// How the proxy stands.
#[derive(Debug, Clone, PartialEq)]
pub struct Status {
    /// Which HNS this is, and with what it is programmed.
    pub note: String,
    /// Whether load balancers may send this node traffic, as far as its Node tells.
    pub node_eligible: bool,
    /// The families that are programmed.
    pub families: Vec<Family>,
    /// How far HNS is brought in step.
    pub progress: Progress,
    /// How HNS does.
    pub liveness: Liveness,
    /// Why the cluster can't be asked for changes at present, if so.
    pub cluster_trouble: Option<String>,
    /// What is waited for before HNS is looked at, if anything.
    pub awaited: Option<String>,
    /// Why nothing is written at present, if so.
    pub trouble: Option<Trouble>,
    /// The version of HNS, once it was looked at.
    pub hns_version: Option<String>,
    /// The generation of HNS's interface that is used.
    pub generation: Generation,
    /// What HNS can do, once it was looked at.
    pub capabilities: Option<Capabilities>,
    /// How many ports a policy Local keeps traffic from all that serve: by policy and family.
    pub without_local: Vec<(TrafficPolicy, Family, usize)>,
    /// What is not as the Services ask.
    pub notices: Vec<Notice>,
    /// The uids of the Services that these are about.
    pub uids: BTreeMap<ServiceName, Uuid>,
    /// What an operator should know of the host.
    pub remarks: Vec<Remark>,
    /// What health checks of Services are answered.
    pub health_checks: HealthChecks,
}

impl Default for Status {
    fn default() -> Self {
        Self {
            note: String::new(),
            node_eligible: false,
            families: Vec::new(),
            progress: Progress::default(),
            liveness: Liveness::Up,
            cluster_trouble: None,
            awaited: None,
            trouble: None,
            hns_version: None,
            generation: Generation::V2,
            capabilities: None,
            without_local: Vec::new(),
            notices: Vec::new(),
            uids: BTreeMap::new(),
            remarks: Vec::new(),
            health_checks: HealthChecks::default(),
        }
    }
}

impl Status {
    /// How a proxy stands that programs HNS by a generation of its interface.
    pub fn of(reconciler: &Reconciler, generation: Generation, note: String, node_eligible: bool) -> Self {
        let families = reconciler.families();
        let notices = reconciler.notices();
        let uid = |name: &ServiceName| Some((name.clone(), reconciler.cluster().get(name)?.service.as_ref()?.uid?));
        let ways =
            TrafficPolicy::ALL.into_iter().flat_map(|policy| families.iter().map(move |family| (policy, *family)));
        let without_local =
            ways.map(|(policy, family)| (policy, family, reconciler.without_local(policy, family))).collect();
        Self {
            note,
            node_eligible,
            without_local,
            families,
            progress: reconciler.progress(),
            liveness: reconciler.liveness(),
            cluster_trouble: None,
            awaited: None,
            trouble: reconciler.trouble().map(|trouble| Trouble { reason: trouble.reason(), text: chain(trouble) }),
            hns_version: reconciler.version().map(|version| version.to_string()),
            generation,
            capabilities: reconciler.capabilities().copied(),
            uids: notices.iter().filter_map(|notice| uid(&notice.service)).collect(),
            notices,
            remarks: reconciler.remarks(),
            health_checks: reconciler.health_checks().clone(),
        }
    }

    /// What has to come before HNS holds all that it should, in words. Nothing: it does.
    pub fn waits_for(&self) -> Vec<String> {
        let Progress { complete, load_balancers, endpoints, backlog, failed, .. } = self.progress;
        let mut waits = Vec::new();
        if !complete {
            waits.push("the complete lists of Services and EndpointSlices".to_owned());
            waits.extend(self.cluster_trouble.clone());
        }
        waits.extend(self.awaited.clone());
        waits.extend(self.trouble.iter().map(|trouble| trouble.text.clone()));
        if self.liveness == Liveness::Restarted {
            waits.push("HNS to hold again what it held before".to_owned());
        }
        for (what, tally) in [("load balancers", load_balancers), ("endpoints", endpoints)] {
            let open = tally.desired - tally.confirmed;
            if open > 0 {
                waits.push(format!("{open} of {} {what}", tally.desired));
            }
        }
        if failed > 0 {
            waits.push(format!("{failed} frontends and addresses that failed and are tried again"));
        }
        if waits.is_empty() && backlog > 0 {
            waits.push(format!("{backlog} Services, frontends and addresses to be looked at"));
        }
        waits
    }
}

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
    use proxy::Tally;

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

    #[test]
    fn what_is_waited_for_is_named() {
        let mut status = Status::default();
        assert_eq!(status.waits_for(), ["the complete lists of Services and EndpointSlices"]);
        status.progress.complete = true;
        assert_eq!(status.waits_for(), Vec::<String>::new());
        status.progress.load_balancers = Tally { desired: 7, confirmed: 4 };
        status.progress.failed = 1;
        status.trouble = Some(Trouble { reason: "HNSUnavailable", text: "HNS could not be read".into() });
        assert_eq!(
            status.waits_for(),
            [
                "HNS could not be read",
                "3 of 7 load balancers",
                "1 frontends and addresses that failed and are tried again"
            ]
        );
    }
}
