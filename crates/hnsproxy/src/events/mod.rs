//! Events on Services and on the Node, for cluster administrators.
//!
//! The background thread sends them; nothing waits for that. Conditions come from the [`StatusStore`], other Events from a
//! [`Recorder`]. Without an API server there are no Events; the log has the same messages.

mod condition;
mod correlator;
mod document;
mod event;
mod sink;

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use cluster_source::cluster::Access;
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};

use crate::background::{Background, Task};
use crate::metrics::Metrics;
use crate::mutex::lock;
use crate::status::StatusStore;
use correlator::Correlator;
pub use event::{Event, EventType, ObjectReference};
use sink::Sink;

/// How often the conditions are read at most. A large start publishes many statuses in this time.
const MIN_INTERVAL: Duration = Duration::from_secs(1);
/// How long a shutdown waits for the last Events.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(2);
const RECORDER_CAPACITY: usize = 256;

/// The reporter of the Events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reporter {
    pub node_name: String,
    /// As the operating system has it.
    pub host_name: String,
}

/// Records Events, from any thread. Without a [`Broadcaster`], nothing is recorded.
#[derive(Debug, Clone, Default)]
pub struct Recorder(Option<mpsc::Sender<Event>>);

impl Recorder {
    pub fn record(&self, event: Event) {
        if let Some(sender) = &self.0 {
            // Dropped if the capacity is used up: the caller has logged it.
            let _ = sender.try_send(event);
        }
    }
}

/// The correlator. It outlives a change of the configuration, after which no condition is sent a second time. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct SharedCorrelator(Arc<Mutex<Correlator>>);

impl SharedCorrelator {
    fn lock(&self) -> MutexGuard<'_, Correlator> {
        lock(&self.0)
    }
}

/// Sends Events until it is dropped. Dropping it sends the pending Events first, for at most `SHUTDOWN_TIMEOUT`.
#[derive(Debug)]
pub struct Broadcaster {
    recorder: Recorder,
    _task: Task,
}

impl Broadcaster {
    pub fn start(
        background: &Background,
        access: Arc<Access>,
        reporter: Reporter,
        store: Arc<StatusStore>,
        metrics: Arc<Metrics>,
        correlator: SharedCorrelator,
    ) -> Self {
        let (sender, received) = mpsc::channel(RECORDER_CAPACITY);
        let task = background.spawn(move |stopped| async move {
            let sink = Sink::new(access, reporter, metrics);
            let mut worker = Worker { correlator, received, store, sink };
            tokio::select! {
                () = worker.run() => {}
                // The sender is dropped to stop the task.
                _ = stopped => {}
            }
            // An Event that is not sent by then is lost: the log has it.
            let _ = timeout(SHUTDOWN_TIMEOUT, worker.send()).await;
        });
        Self { recorder: Recorder(Some(sender)), _task: task }
    }

    pub fn recorder(&self) -> Recorder {
        self.recorder.clone()
    }
}

struct Worker {
    correlator: SharedCorrelator,
    received: mpsc::Receiver<Event>,
    store: Arc<StatusStore>,
    sink: Sink,
}

impl Worker {
    /// Sends Events until it is cancelled.
    async fn run(&mut self) {
        let mut status = self.store.subscribe();
        loop {
            let conditions = condition::events(&status.borrow_and_update());
            let now = self.store.now().elapsed;
            self.correlator.lock().set_conditions(conditions, now);
            self.send().await;
            sleep(MIN_INTERVAL).await;
            let now = self.store.now().elapsed;
            let due = self.correlator.lock().due(now).map_or(Duration::MAX, |due| due.saturating_sub(now));
            tokio::select! {
                changed = status.changed() => if changed.is_err() { return },
                Some(event) = self.received.recv() => self.correlator.lock().add(event),
                () = sleep(due) => {}
            }
        }
    }

    /// Sends the Events that are due.
    async fn send(&mut self) {
        while let Ok(event) = self.received.try_recv() {
            self.correlator.lock().add(event);
        }
        self.sink.count_dropped(self.correlator.lock().take_dropped());
        while let Some(event) = {
            let now = self.store.now();
            // The time in nanoseconds is unique for this reporter, as in client-go.
            let number = u64::try_from(now.wall.as_nanosecond()).unwrap_or_default();
            self.correlator.lock().next(now.elapsed, number)
        } {
            self.sink.send(&event).await;
        }
    }
}
