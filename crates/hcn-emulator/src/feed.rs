//! The change feed: what happens to the objects and to the service of HNS, for subscribers in this process.
//!
//! The changes of one call are published together, when it ends: one change per object, with the document after the call.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use hcn::{Guid, Kind};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// One change of HNS.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Change {
    /// Since the start of the emulator, to the microsecond.
    #[serde(with = "microseconds")]
    pub at: Duration,
    #[serde(flatten)]
    pub what: What,
}

/// What changed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "change", rename_all = "camelCase")]
pub enum What {
    /// An object was created or modified. The document has the v2 schema, with the members that HNS fills in.
    Stored { kind: Kind, id: Guid, document: Value },
    /// An object was deleted, or lost when the service stopped.
    Removed { kind: Kind, id: Guid },
    /// The service stopped. The objects that it lost with it are removed after this change.
    ServiceStopped,
    /// The service started again.
    ServiceStarted,
    /// The changes before this one are the state at the time of the subscription.
    InitialStateEnd,
}

/// Why a feed has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum FeedEnd {
    /// The changes before the missing ones were received.
    #[error("change feed ended: more than {capacity} changes were waiting; subscribe again")]
    TooSlow { capacity: usize },
    #[error("change feed ended: closed by its subscriber")]
    Closed,
    #[error("change feed ended: the emulator ended")]
    EmulatorEnded,
}

/// A subscription to the changes of an emulator: first its state, then each change. Dropping it ends the subscription.
#[derive(Debug)]
pub struct ChangeFeed(Arc<Queue>);

impl ChangeFeed {
    /// Waits for the next change.
    ///
    /// # Errors
    /// After the last change, why the feed has ended.
    pub fn recv(&self) -> Result<Change, FeedEnd> {
        let waits = |waiting: &mut Waiting| waiting.is_empty() && waiting.end.is_none();
        let waiting = self.0.waiting();
        let mut waiting = self.0.woken.wait_while(waiting, waits).unwrap_or_else(PoisonError::into_inner);
        waiting.take().ok_or(waiting.end.unwrap_or(FeedEnd::Closed))
    }

    /// The next change, if there is one already.
    ///
    /// # Errors
    /// After the last change, why the feed has ended.
    pub fn try_recv(&self) -> Result<Option<Change>, FeedEnd> {
        let mut waiting = self.0.waiting();
        match (waiting.take(), waiting.end) {
            (None, Some(end)) => Err(end),
            (change, _) => Ok(change),
        }
    }

    /// Ends the subscription from another thread.
    pub fn closer(&self) -> Closer {
        Closer(self.0.clone())
    }
}

/// Ends a subscription. The changes that wait can still be received.
#[derive(Debug, Clone)]
pub struct Closer(Arc<Queue>);

impl Closer {
    pub fn close(&self) {
        self.0.end(FeedEnd::Closed);
    }
}

#[derive(Debug)]
struct Queue {
    /// The number of changes that may wait, in addition to the initial state.
    capacity: usize,
    waiting: Mutex<Waiting>,
    woken: Condvar,
}

#[derive(Debug, Default)]
struct Waiting {
    initial: VecDeque<Change>,
    changes: VecDeque<Change>,
    end: Option<FeedEnd>,
}

impl Waiting {
    fn is_empty(&self) -> bool {
        self.initial.is_empty() && self.changes.is_empty()
    }

    fn take(&mut self) -> Option<Change> {
        self.initial.pop_front().or_else(|| self.changes.pop_front())
    }
}

impl Queue {
    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn end(&self, end: FeedEnd) {
        self.waiting().end.get_or_insert(end);
        self.woken.notify_all();
    }

    /// Whether the subscription goes on.
    fn push(&self, changes: &[Change]) -> bool {
        let mut waiting = self.waiting();
        for change in changes {
            if waiting.end.is_some() {
                break;
            }
            if waiting.changes.len() < self.capacity {
                waiting.changes.push_back(change.clone());
            } else {
                waiting.end = Some(FeedEnd::TooSlow { capacity: self.capacity });
            }
        }
        self.woken.notify_all();
        waiting.end.is_none()
    }
}

/// The subscriptions of an emulator.
#[derive(Debug, Default)]
pub(crate) struct ChangeFeeds(Vec<Weak<Queue>>);

impl ChangeFeeds {
    /// Begins a subscription with a state.
    pub(crate) fn add(&mut self, at: Duration, state: impl Iterator<Item = What>, capacity: usize) -> ChangeFeed {
        let initial = state.chain([What::InitialStateEnd]).map(|what| change(at, what)).collect();
        let waiting = Mutex::new(Waiting { initial, ..Waiting::default() });
        let queue = Arc::new(Queue { capacity, waiting, woken: Condvar::new() });
        self.0.push(Arc::downgrade(&queue));
        ChangeFeed(queue)
    }

    /// Publishes what happened. Returns whether a subscription is left.
    pub(crate) fn publish(&mut self, at: Duration, happened: Vec<What>) -> bool {
        if !happened.is_empty() {
            let changes: Vec<Change> = happened.into_iter().map(|what| change(at, what)).collect();
            self.0.retain(|queue| queue.upgrade().is_some_and(|queue| queue.push(&changes)));
        }
        !self.0.is_empty()
    }
}

impl Drop for ChangeFeeds {
    fn drop(&mut self) {
        self.0.iter().filter_map(Weak::upgrade).for_each(|queue| queue.end(FeedEnd::EmulatorEnded));
    }
}

fn change(at: Duration, what: What) -> Change {
    Change { at: Duration::from_micros(microseconds::of(at)), what }
}

/// Times as whole microseconds.
mod microseconds {
    use std::time::Duration;

    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn of(at: Duration) -> u64 {
        u64::try_from(at.as_micros()).unwrap_or(u64::MAX)
    }

    pub(super) fn serialize<S: Serializer>(at: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(of(*at))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        u64::deserialize(deserializer).map(Duration::from_micros)
    }
}
