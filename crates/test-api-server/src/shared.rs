//! What all connections share, behind one lock; and who wakes whom.

use std::collections::{BTreeMap, HashMap};
use std::net::{Shutdown, TcpStream};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::Value;

use crate::kind::Kind;
use crate::mood::Behaviour;
use crate::store::Store;

#[derive(Debug)]
pub(crate) struct Shared {
    all: Mutex<All>,
    /// Something has changed.
    changed: Condvar,
}

#[derive(Debug)]
pub(crate) struct All {
    pub(crate) store: Store,
    pub(crate) behaviour: Behaviour,
    pub(crate) received: Vec<Received>,
    pub(crate) events: Vec<Value>,
    pub(crate) connections: HashMap<u64, Connection>,
    numbers: u64,
}

/// A connection that is open. One that is not here has ended, or is about to.
#[derive(Debug)]
pub(crate) struct Connection {
    stream: TcpStream,
    /// The long answer it is busy with: a watch of a kind, or silence.
    pub(crate) busy: Option<(u64, Option<Kind>)>,
}

/// A request that was received.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Received {
    /// As Kubernetes has it: get, list, watch, create, patch.
    pub verb: &'static str,
    /// Without the query.
    pub path: String,
    /// The query, decoded.
    pub query: BTreeMap<String, String>,
    /// With their names in small letters.
    pub headers: BTreeMap<String, String>,
}

impl Shared {
    pub(crate) fn new() -> Self {
        let all = All {
            store: Store::new(),
            behaviour: Behaviour::default(),
            received: Vec::new(),
            events: Vec::new(),
            connections: HashMap::new(),
            numbers: 0,
        };
        Self { all: Mutex::new(all), changed: Condvar::new() }
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, All> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes something, and wakes whoever waits for it.
    pub(crate) fn change<T>(&self, change: impl FnOnce(&mut All) -> T) -> T {
        let result = change(&mut self.lock());
        self.changed.notify_all();
        result
    }

    /// Waits for a change, and for some time at most where one is given.
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

    /// Ends one connection, in the middle of whatever it says.
    pub(crate) fn cut(&mut self, id: u64) {
        if let Some(connection) = self.connections.remove(&id) {
            // What has ended already can't be ended, and nothing is wrong with that.
            let _ = connection.stream.shutdown(Shutdown::Both);
        }
    }

    pub(crate) fn cut_all(&mut self) {
        let ids: Vec<u64> = self.connections.keys().copied().collect();
        ids.into_iter().for_each(|id| self.cut(id));
    }
}
