//! State shared by the connections of a service: the emulator, the clients, and the connections that a stop has to end.

use std::collections::HashMap;
use std::io;
use std::net::{Shutdown, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::clients::Clients;
use crate::emulator::Emulator;
use crate::host::Host;

#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) emulator: Arc<Emulator>,
    /// The host's facts about itself, without objects.
    pub(crate) facts: Host,
    clients: Mutex<Clients>,
    connections: Mutex<Connections>,
    stopping: AtomicBool,
}

/// Open connections, each by a unique number.
#[derive(Debug, Default)]
struct Connections {
    streams: HashMap<u64, TcpStream>,
    next: u64,
}

impl Shared {
    pub(crate) fn new(emulator: Arc<Emulator>, facts: Host) -> Self {
        Self {
            emulator,
            facts,
            clients: Mutex::default(),
            connections: Mutex::default(),
            stopping: AtomicBool::new(false),
        }
    }

    pub(crate) fn clients(&self) -> MutexGuard<'_, Clients> {
        self.clients.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::SeqCst)
    }

    pub(crate) fn set_stopping(&self) {
        self.stopping.store(true, Ordering::SeqCst);
    }

    /// Shuts all registered connections down.
    pub(crate) fn end_connections(&self) {
        for stream in self.connections().streams.values() {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    fn connections(&self) -> MutexGuard<'_, Connections> {
        self.connections.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A connection that a stop of the service ends. Dropping it removes the registration.
pub(crate) struct Registered {
    pub(crate) shared: Arc<Shared>,
    number: u64,
}

impl Registered {
    pub(crate) fn new(stream: &TcpStream, shared: Arc<Shared>) -> io::Result<Self> {
        let stream = stream.try_clone()?;
        let mut connections = shared.connections();
        connections.next += 1;
        let number = connections.next;
        connections.streams.insert(number, stream);
        drop(connections);
        Ok(Self { shared, number })
    }
}

impl Drop for Registered {
    fn drop(&mut self) {
        self.shared.connections().streams.remove(&self.number);
    }
}
