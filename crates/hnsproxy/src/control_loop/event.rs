//! What wakes the control loop, and the queue in which it waits.
//!
//! The queue is coalesced: while the control loop is busy, it holds at most one change for each object of the cluster, the last configuration, each
//! kind of notification once, and the requests whose clients still wait.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use cluster_source::Change;

use crate::config;
use crate::mutex::lock;
use crate::serve::ObservationRequest;
use crate::source::{ClusterChanges, Coalesced, Origin};
use crate::status::ProbeReport;
use crate::status::StatusStore;

pub enum Event {
    /// The cluster has changed.
    Cluster(Origin, Vec<Change>),
    /// The configuration file has changed.
    Config(config::Change),
    /// HNS sent a notification.
    Hns(hcn::Event),
    /// An HTTP client requests what was observed in HNS.
    Observe(ObservationRequest),
    /// The findings of the VIP probe have changed.
    Probed(ProbeReport),
    Shutdown,
}

/// The events that wait. Clones share them.
#[derive(Clone)]
pub struct EventQueue(Arc<Shared>);

struct Shared {
    waiting: Mutex<Waiting>,
    arrived: Condvar,
    /// Whether anything waits that a run is interrupted for. Read before each job, so it needs no lock.
    interrupts: AtomicBool,
    store: Arc<StatusStore>,
}

#[derive(Default)]
struct Waiting {
    shutdown: bool,
    feeds: Vec<WaitingFeed>,
    configuration: Vec<config::Change>,
    notifications: Vec<hcn::Event>,
    observations: Vec<ObservationRequest>,
    probed: Option<ProbeReport>,
    /// Whether anything waits.
    any: bool,
}

/// The changes that one feed has sent.
struct WaitingFeed {
    origin: Origin,
    changes: Coalesced,
}

/// The events that the control loop takes together.
#[derive(Default)]
pub struct Events {
    pub shutdown: bool,
    pub cluster: ClusterChanges,
    /// At most two: the last valid configuration, and why the file is invalid since.
    pub configuration: Vec<config::Change>,
    /// Each once.
    pub notifications: Vec<hcn::Event>,
    pub observations: Vec<ObservationRequest>,
    /// The last report, with the replacements of all queued reports.
    pub probed: Option<ProbeReport>,
}

impl Events {
    /// Whether nothing has happened.
    pub fn is_empty(&self) -> bool {
        let Self { shutdown, cluster, configuration, notifications, observations, probed } = self;
        !shutdown
            && cluster.is_empty()
            && configuration.is_empty()
            && notifications.is_empty()
            && observations.is_empty()
            && probed.is_none()
    }
}

impl EventQueue {
    pub fn new(store: Arc<StatusStore>) -> Self {
        Self(Arc::new(Shared {
            waiting: Mutex::default(),
            arrived: Condvar::new(),
            interrupts: AtomicBool::new(false),
            store,
        }))
    }

    /// Adds an event, from any thread.
    pub fn send(&self, event: Event) {
        let mut waiting = self.waiting();
        // A notification only makes the next audit earlier, and a report of the VIP probe can wait until the run ends.
        let interrupts = !matches!(event, Event::Hns(_) | Event::Probed(_));
        waiting.add(event, &self.0.store);
        waiting.any = true;
        self.0.interrupts.fetch_or(interrupts, Ordering::SeqCst);
        drop(waiting);
        self.0.arrived.notify_all();
    }

    /// Whether anything waits that a long run is interrupted for.
    pub fn interrupts(&self) -> bool {
        self.0.interrupts.load(Ordering::SeqCst)
    }

    /// Waits until there is an event, for at most this time, and removes all. Changes from another feed than `origin` are dropped: it is the
    /// predecessor of the present one.
    pub fn take(&self, origin: &Origin, wait: Duration) -> Events {
        let idle = |waiting: &mut Waiting| !waiting.any;
        let waited = self.0.arrived.wait_timeout_while(self.waiting(), wait, idle);
        let (mut waiting, _) = waited.unwrap_or_else(PoisonError::into_inner);
        self.0.interrupts.store(false, Ordering::SeqCst);
        self.0.store.changes_taken();
        waiting.take(origin)
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        // Each change of the queue is complete in itself.
        lock(&self.0.waiting)
    }
}

impl Waiting {
    fn add(&mut self, event: Event, store: &StatusStore) {
        match event {
            Event::Cluster(origin, changes) => {
                self.add_changes(origin, changes, store);
                // Recorded here and not by the loop: while an HNS call blocks the loop, the age of a change has to count.
                store.change_queued(self.feeds.iter().map(|feed| feed.changes.count()).sum());
            }
            Event::Config(change) => {
                if let config::Change::Valid(_) = change {
                    self.configuration.clear();
                }
                self.configuration.retain(|earlier| matches!(earlier, config::Change::Valid(_)));
                self.configuration.push(change);
            }
            Event::Hns(event) => {
                if !self.notifications.contains(&event) {
                    self.notifications.push(event);
                }
            }
            Event::Observe(request) => {
                // The number of clients is limited, but not how often they give up and ask again.
                self.observations.retain(|waiting| !waiting.0.is_closed());
                self.observations.push(request);
            }
            Event::Probed(mut report) => {
                let before = self.probed.take().map(|before| before.replace).unwrap_or_default();
                report.replace.splice(0..0, before);
                self.probed = Some(report);
            }
            Event::Shutdown => self.shutdown = true,
        }
    }

    fn add_changes(&mut self, origin: Origin, changes: Vec<Change>, store: &StatusStore) {
        let position = self.feeds.iter().position(|feed| Arc::ptr_eq(&feed.origin, &origin));
        let position = position.unwrap_or_else(|| {
            self.feeds.push(WaitingFeed { origin, changes: Coalesced::default() });
            self.feeds.len() - 1
        });
        let Some(feed) = self.feeds.get_mut(position) else { return };
        for change in changes {
            // Published here and not by the loop: whether this node gets traffic must not depend on HNS.
            if let Change::Node(node) = &change {
                store.node_read(node.as_ref());
            }
            feed.changes.add(change);
        }
    }

    fn take(&mut self, origin: &Origin) -> Events {
        let mut cluster = ClusterChanges::default();
        self.feeds.retain_mut(|feed| {
            let is_present = Arc::ptr_eq(&feed.origin, origin);
            if is_present {
                cluster = feed.changes.take();
            }
            is_present
        });
        self.any = false;
        Events {
            shutdown: std::mem::take(&mut self.shutdown),
            cluster,
            configuration: std::mem::take(&mut self.configuration),
            notifications: std::mem::take(&mut self.notifications),
            observations: std::mem::take(&mut self.observations),
            probed: self.probed.take(),
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::oneshot;

    use super::*;
    use crate::clock::Clock;

    fn queue() -> (EventQueue, Origin) {
        (EventQueue::new(Arc::new(StatusStore::new(Clock::new(), Duration::MAX))), Origin::default())
    }

    fn gone() -> Vec<Change> {
        vec![Change::Outage(Some("gone".into()))]
    }

    #[test]
    fn changes_of_a_predecessor_are_dropped() {
        let (queue, origin) = queue();
        queue.send(Event::Cluster(Origin::default(), gone()));
        assert_eq!(queue.take(&origin, Duration::ZERO).cluster, ClusterChanges::default());
        queue.send(Event::Cluster(origin.clone(), gone()));
        assert_eq!(queue.take(&origin, Duration::ZERO).cluster.changes, gone());
    }

    #[test]
    fn a_run_is_interrupted_for_all_but_notifications() {
        let (queue, origin) = queue();
        queue.send(Event::Hns(hcn::Event::NetworkCreate));
        queue.send(Event::Hns(hcn::Event::NetworkCreate));
        assert!(!queue.interrupts());
        queue.send(Event::Cluster(origin.clone(), gone()));
        assert!(queue.interrupts());
        assert_eq!(queue.take(&origin, Duration::MAX).notifications, [hcn::Event::NetworkCreate]);
        assert!(!queue.interrupts());
    }

    #[test]
    fn the_last_configuration_is_kept_with_the_error_after_it() {
        let (queue, origin) = queue();
        let invalid = |why: &str| config::Change::Invalid(why.into());
        for change in [invalid("a"), invalid("b")] {
            queue.send(Event::Config(change));
        }
        assert_eq!(queue.take(&origin, Duration::ZERO).configuration, [invalid("b")]);
    }

    #[test]
    fn requests_of_clients_that_have_gone_are_dropped() {
        let (queue, origin) = queue();
        let ask = || {
            let (reply, answer) = oneshot::channel();
            queue.send(Event::Observe(ObservationRequest(reply)));
            answer
        };
        (0..10).for_each(|_| drop(ask()));
        let _waiting = ask();
        assert_eq!(queue.take(&origin, Duration::ZERO).observations.len(), 1);
    }
}
