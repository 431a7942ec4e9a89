//! The open connections of all listeners: how many there may be, how long each may take, and which one is closed to make room.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tokio::sync::{Notify, oneshot};
use tokio::time::Instant;

use super::answers::Answers;
use crate::mutex::lock;

#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// The number of connections of one listener.
    pub(super) per_listener: usize,
    /// The number of connections of all listeners.
    pub(super) total: usize,
    /// From the connection until the first request is complete.
    pub(super) request_timeout: Duration,
    /// From one request or answer to the next. Not less than `request_timeout`.
    pub(super) idle_timeout: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            // A flood of one address leaves room for the others.
            per_listener: 256,
            // Half of the descriptors that a process usually has on Linux: the rest of the program needs some, too.
            total: 512,
            // A probe sends its request as soon as it is connected.
            request_timeout: Duration::from_secs(10),
            // Longer than the default scrape interval of Prometheus, which is one minute.
            idle_timeout: Duration::from_secs(75),
        }
    }
}

/// What a connection does, and since when. The order is that in which connections are closed to make room: a client that has never sent
/// a request before one that has, and the oldest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Phase {
    /// No request is complete yet.
    Opened(Instant),
    /// The last request is answered.
    Idle(Instant),
    Answering(Instant),
}

#[derive(Debug)]
struct Entry {
    listener: u64,
    phase: Phase,
    /// None once the connection has to close.
    close: Option<oneshot::Sender<()>>,
}

#[derive(Debug, Default)]
struct State {
    next_listener: u64,
    next_connection: u64,
    open: BTreeMap<u64, Entry>,
}

#[derive(Debug)]
pub(super) struct Connections {
    limits: Limits,
    state: Mutex<State>,
    answers: Arc<Answers>,
    /// Notified at the end of each connection.
    ended: Notify,
}

/// An open connection, which counts until this is dropped.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) slot: Slot,
    /// Resolves, with an error, when the connection has to make room for another one.
    pub(super) evicted: oneshot::Receiver<()>,
}

/// The place of a connection among the others.
#[derive(Debug)]
pub(super) struct Slot {
    connections: Arc<Connections>,
    number: u64,
}

impl Connections {
    pub(super) fn new(limits: Limits) -> Self {
        Self { limits, state: Mutex::default(), answers: Arc::default(), ended: Notify::new() }
    }

    /// A number for a listener.
    pub(super) fn add_listener(&self) -> u64 {
        let mut state = self.lock();
        state.next_listener += 1;
        state.next_listener
    }

    /// Adds a connection of a listener. Closes another one if there is no room, and waits for its end. That does not depend on a client.
    pub(super) async fn admit(self: &Arc<Self>, listener: u64) -> Connection {
        loop {
            let ended = self.ended.notified();
            if let Some(connection) = self.try_admit(listener) {
                return connection;
            }
            ended.await;
        }
    }

    /// Adds the connection, or evicts another one.
    fn try_admit(self: &Arc<Self>, listener: u64) -> Option<Connection> {
        let mut state = self.lock();
        let State { next_connection, open, .. } = &mut *state;
        if open.values().filter(|entry| entry.listener == listener).count() >= self.limits.per_listener {
            evict(open, listener);
            return None;
        }
        if open.len() >= self.limits.total {
            largest(open).into_iter().for_each(|largest| evict(open, largest));
            return None;
        }
        let (close, evicted) = oneshot::channel();
        *next_connection += 1;
        open.insert(*next_connection, Entry { listener, phase: Phase::Opened(Instant::now()), close: Some(close) });
        Some(Connection { slot: Slot { connections: self.clone(), number: *next_connection }, evicted })
    }

    /// Evicts half of the connections, since the process has no descriptors left: other parts of the program need some, too.
    pub(super) fn evict_half(&self) {
        let mut state = self.lock();
        let mut open: Vec<&mut Entry> = state.open.values_mut().collect();
        open.sort_by_key(|entry| entry.phase);
        let half = open.len().div_ceil(2);
        open.into_iter().take(half).for_each(|entry| drop(entry.close.take()));
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

impl Slot {
    pub(super) fn answering(&self) {
        self.set(Phase::Answering(Instant::now()));
    }

    pub(super) fn answered(&self) {
        self.set(Phase::Idle(Instant::now()));
    }

    /// Those of all connections.
    pub(super) fn answers(&self) -> &Arc<Answers> {
        &self.connections.answers
    }

    /// When the connection has taken too long.
    pub(super) fn deadline(&self) -> Instant {
        let Connections { limits, .. } = &*self.connections;
        match self.connections.lock().open.get(&self.number).map(|entry| entry.phase) {
            Some(Phase::Opened(since)) => since + limits.request_timeout,
            Some(Phase::Idle(since) | Phase::Answering(since)) => since + limits.idle_timeout,
            None => Instant::now(),
        }
    }

    fn set(&self, phase: Phase) {
        if let Some(entry) = self.connections.lock().open.get_mut(&self.number) {
            entry.phase = phase;
        }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.connections.lock().open.remove(&self.number);
        self.connections.ended.notify_waiters();
    }
}

/// Evicts a connection of a listener, unless one is closing already.
fn evict(open: &mut BTreeMap<u64, Entry>, listener: u64) {
    let of_listener = || open.values().filter(|entry| entry.listener == listener);
    if of_listener().any(|entry| entry.close.is_none()) {
        return;
    }
    let first = open.values_mut().filter(|entry| entry.listener == listener).min_by_key(|entry| entry.phase);
    first.into_iter().for_each(|entry| drop(entry.close.take()));
}

/// The listener with the most connections, so that a flood of one address does not close connections of another.
fn largest(open: &BTreeMap<u64, Entry>) -> Option<u64> {
    let mut counts: BTreeMap<u64, usize> = BTreeMap::new();
    open.values().for_each(|entry| *counts.entry(entry.listener).or_default() += 1);
    counts.into_iter().max_by_key(|(listener, count)| (*count, Reverse(*listener))).map(|(listener, _)| listener)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn connections(per_listener: usize, total: usize) -> Arc<Connections> {
        Arc::new(Connections::new(Limits { per_listener, total, ..Limits::default() }))
    }

    /// Adds a connection that has room.
    fn admitted(connections: &Arc<Connections>, listener: u64) -> Connection {
        connections.try_admit(listener).unwrap()
    }

    fn is_evicted(connection: &mut Connection) -> bool {
        connection.evicted.try_recv() == Err(oneshot::error::TryRecvError::Closed)
    }

    #[test]
    fn the_oldest_client_that_has_sent_no_request_makes_room_first() {
        let connections = connections(3, 10);
        let mut all = [(); 3].map(|()| admitted(&connections, 1));
        all[0].slot.answering();
        all[1].slot.answered();
        assert!(connections.try_admit(1).is_none());
        // Also waits for one that is closing.
        assert!(connections.try_admit(1).is_none());
        assert_eq!(all.each_mut().map(is_evicted), [false, false, true]);
        let [answering, idle, opened] = all;
        drop(opened);
        let mut all = [answering, idle, admitted(&connections, 1)];
        all[2].slot.answering();
        assert!(connections.try_admit(1).is_none());
        assert_eq!(all.each_mut().map(is_evicted), [false, true, false]);
    }

    #[test]
    fn at_the_limit_of_all_listeners_the_one_with_the_most_connections_makes_room() {
        let connections = connections(10, 3);
        let [mut single, mut flood, mut later] = [1, 2, 2].map(|listener| admitted(&connections, listener));
        assert!(connections.try_admit(1).is_none());
        assert_eq!([&mut single, &mut flood, &mut later].map(is_evicted), [false, true, false]);
        drop(flood);
        admitted(&connections, 1);
    }

    #[test]
    fn a_connection_is_admitted_when_another_has_ended() {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async {
            let connections = connections(1, 1);
            let Connection { slot, evicted } = admitted(&connections, 1);
            let next = connections.admit(1);
            let end = async {
                let _ = evicted.await;
                drop(slot);
            };
            tokio::join!(next, end);
        });
    }

    #[test]
    fn without_descriptors_half_of_the_connections_make_room() {
        let connections = connections(9, 9);
        let mut all = [1, 2, 1].map(|listener| admitted(&connections, listener));
        all[0].slot.answered();
        connections.evict_half();
        assert_eq!(all.each_mut().map(is_evicted), [false, true, true]);
    }
}
