//! The state that all connections share, behind one lock with a condition variable.

use std::collections::{BTreeMap, HashMap};
use std::net::{Shutdown, TcpStream};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::Value;

use crate::fault_mode::Behaviour;
use crate::kind::Kind;
use crate::store::Store;

#[derive(Debug)]
pub(crate) struct Shared {
    all: Mutex<All>,
    /// Notified at each change of the state.
    changed: Condvar,
}

#[derive(Debug)]
pub(crate) struct All {
    pub(crate) store: Store,
    pub(crate) behaviour: Behaviour,
    pub(crate) received: Vec<Received>,
    pub(crate) events: Vec<Value>,
    /// The bytes of endless bodies that were sent.
    pub(crate) endless_bytes: u64,
    pub(crate) connections: HashMap<u64, Connection>,
    numbers: u64,
}

/// An open connection. One that is not registered has ended or is about to end.
#[derive(Debug)]
pub(crate) struct Connection {
    stream: TcpStream,
    /// The number of the long answer in progress, and its kind if it is a watch.
    pub(crate) busy: Option<(u64, Option<Kind>)>,
}

/// A request as the server received it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Received {
    /// The verb of Kubernetes: get, list, watch, create, patch.
    pub verb: &'static str,
    /// The path without the query.
    pub path: String,
    /// The decoded query.
    pub query: BTreeMap<String, String>,
    /// Headers by names in lower case.
    pub headers: BTreeMap<String, String>,
}

impl Shared {
    pub(crate) fn new() -> Self {
        let all = All {
            store: Store::new(),
            behaviour: Behaviour::default(),
            received: Vec::new(),
            events: Vec::new(),
            endless_bytes: 0,
            connections: HashMap::new(),
            numbers: 0,
        };
        Self { all: Mutex::new(all), changed: Condvar::new() }
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, All> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the state and wakes all threads that wait for a change.
    pub(crate) fn change<T>(&self, change: impl FnOnce(&mut All) -> T) -> T {
        let result = change(&mut self.lock());
        self.changed.notify_all();
        result
    }

    /// Waits for a change, with a timeout if one is given.
    pub(crate) fn wait<'a>(&self, all: MutexGuard<'a, All>, time: Option<Duration>) -> MutexGuard<'a, All> {
        match time {
            None => self.changed.wait(all).unwrap_or_else(PoisonError::into_inner),
            Some(time) => self.changed.wait_timeout(all, time).unwrap_or_else(PoisonError::into_inner).0,
        }
    }
}

impl All {
    pub(crate) fn number(&mut self) -> u64 {
        self.numbers += 1;
        self.numbers
    }

    pub(crate) fn connect(&mut self, stream: TcpStream) -> u64 {
        let id = self.number();
        self.connections.insert(id, Connection { stream, busy: None });
        id
    }

    /// Closes one connection, in the middle of its answer.
    pub(crate) fn cut(&mut self, id: u64) {
        if let Some(connection) = self.connections.remove(&id) {
            // Fails if the client has closed it already.
            let _ = connection.stream.shutdown(Shutdown::Both);
        }
    }

    pub(crate) fn cut_all(&mut self) {
        let ids: Vec<u64> = self.connections.keys().copied().collect();
        ids.into_iter().for_each(|id| self.cut(id));
    }
}
