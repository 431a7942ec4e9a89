//! Serves an emulator over TCP, to any number of clients.
//!
//! The objects outlive all clients. A client that sends invalid data, or disconnects during a call, only loses its connection. The
//! handles of a client are closed with its last connection. There is no authentication: serve on the loopback interface.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream, ToSocketAddrs};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::emulator::Emulator;
use crate::host::Host;
use crate::session;
use crate::shared::{Registered, Shared};

/// The pause after a failed accept, for example without free file descriptors: other threads may close some meanwhile.
const PAUSE: Duration = Duration::from_millis(100);
/// The timeout for a connection to the service's own address.
const WAKE_TIMEOUT: Duration = Duration::from_secs(1);

/// An emulator at a TCP address. It accepts connections once it [serves](Self::serve) or is [spawned](Self::spawn).
#[derive(Debug)]
pub struct Service {
    listener: TcpListener,
    shared: Arc<Shared>,
}

impl Service {
    /// Binds an address. Port 0 lets the system choose one.
    ///
    /// # Errors
    /// If the address cannot be bound.
    pub fn bind(address: impl ToSocketAddrs, emulator: Arc<Emulator>) -> io::Result<Self> {
        let listener = TcpListener::bind(address)?;
        let facts = Host { hns_version: emulator.build().name, ..Host::default() };
        Ok(Self { listener, shared: Arc::new(Shared::new(emulator, facts)) })
    }

    /// Sets the host's facts about itself in the host document of the control interface.
    #[must_use]
    pub fn with_facts(mut self, facts: &Host) -> Self {
        if let Some(shared) = Arc::get_mut(&mut self.shared) {
            shared.facts = Host { objects: Vec::new(), ..facts.clone() };
        }
        self
    }

    /// The address, with the port that the system chose.
    ///
    /// # Errors
    /// If the system does not report it.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves until the process ends.
    pub fn serve(self) {
        accept(&self.listener, &self.shared);
    }

    /// Serves on a thread of its own, until the result is stopped or dropped.
    ///
    /// # Errors
    /// If the system reports no address, or cannot start a thread.
    pub fn spawn(self) -> io::Result<Running> {
        let address = self.local_addr()?;
        let shared = self.shared.clone();
        let thread = thread::Builder::new().name("emulator-accept".into()).spawn(move || self.serve())?;
        Ok(Running { address, shared, thread: Some(thread) })
    }
}

/// A running service. Dropping it stops it.
#[derive(Debug)]
#[must_use = "dropping it stops the service"]
pub struct Running {
    address: SocketAddr,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl Running {
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The number of clients. A client counts once, however many connections it has.
    pub fn clients(&self) -> usize {
        self.shared.clients().count()
    }

    /// Frees the address and closes all connections. Calls in progress complete, and their results are lost. The emulator continues, and
    /// can be served again.
    pub fn stop(self) {
        drop(self);
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.shared.set_stopping();
        // The thread waits for a connection, and ends after this one.
        let mut own = self.address;
        match own.ip() {
            IpAddr::V4(ip) if ip.is_unspecified() => own.set_ip(Ipv4Addr::LOCALHOST.into()),
            IpAddr::V6(ip) if ip.is_unspecified() => own.set_ip(Ipv6Addr::LOCALHOST.into()),
            _ => {}
        }
        let woken = TcpStream::connect_timeout(&own, WAKE_TIMEOUT);
        if let Err(error) = &woken {
            tracing::warn!(address = %own, %error, "cannot stop the emulator's service: no connection to its own address");
        } else if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
        // The thread has ended: there are no new connections.
        self.shared.end_connections();
    }
}

/// Serves each connection on a thread of its own, until the service stops.
fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    loop {
        let accepted = listener.accept();
        if shared.is_stopping() {
            return;
        }
        let started = accepted.and_then(|(stream, peer)| start(stream, peer, shared));
        if let Err(error) = started {
            tracing::warn!(%error, "cannot accept a connection to the emulator");
            thread::sleep(PAUSE);
        }
    }
}

fn start(stream: TcpStream, peer: SocketAddr, shared: &Arc<Shared>) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let registered = Registered::new(&stream, shared.clone())?;
    let session = move || {
        session::run(&stream, peer, &registered.shared);
        drop(registered);
    };
    thread::Builder::new().name("emulator-client".into()).spawn(session).map(drop)
}
