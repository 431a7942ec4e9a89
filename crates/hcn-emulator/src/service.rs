//! An emulator offered over TCP, to any number of clients at once.
//!
//! What the emulator holds outlives every client. A client that sends rubbish, or goes away in the middle of a call, loses its
//! connection and nothing else happens; when the last connection of a client has ended, its handles are closed. Whoever reaches the
//! address may do anything: it is meant for the loopback interface of a test rig.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream, ToSocketAddrs};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::emulator::Emulator;
use crate::host::Host;
use crate::session;
use crate::shared::{Registered, Shared};

/// After a failure to accept, lack of file descriptors for instance, others are given this time to free some.
const PAUSE: Duration = Duration::from_millis(100);
/// Within this time, the service's own address takes a connection, or never will.
const WAKE_TIMEOUT: Duration = Duration::from_secs(1);

/// An emulator at a TCP address. Connections are taken once it [serves](Self::serve) or is [spawned](Self::spawn).
#[derive(Debug)]
pub struct Service {
    listener: TcpListener,
    shared: Arc<Shared>,
}

impl Service {
    /// Takes an address. Port 0 lets the system choose one.
    ///
    /// # Errors
    /// If the address can't be taken.
    pub fn bind(address: impl ToSocketAddrs, emulator: Arc<Emulator>) -> io::Result<Self> {
        let listener = TcpListener::bind(address)?;
        let facts = Host { hns_version: emulator.build().name, ..Host::default() };
        Ok(Self { listener, shared: Arc::new(Shared::new(emulator, facts)) })
    }

    /// Has the host document of the control interface carry a host's facts about itself.
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
    /// If the system can't tell.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves as long as the process lives.
    pub fn serve(self) {
        accept(&self.listener, &self.shared);
    }

    /// Serves on a thread of its own, until the result is stopped or dropped.
    ///
    /// # Errors
    /// If the system gives no address or no thread.
    pub fn spawn(self) -> io::Result<Running> {
        let address = self.local_addr()?;
        let shared = self.shared.clone();
        let thread = thread::Builder::new().name("emulator-accept".into()).spawn(move || self.serve())?;
        Ok(Running { address, shared, thread: Some(thread) })
    }
}

/// A service that runs. Dropping it stops it.
#[derive(Debug)]
#[must_use = "dropping it stops the service"]
pub struct Running {
    address: SocketAddr,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl Running {
    /// The address that clients connect to.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// How many clients there are. A client is one however many connections it has.
    pub fn clients(&self) -> usize {
        self.shared.clients().count()
    }

    /// Frees the address and ends all connections. Calls that the emulator carries out at this moment are still carried out; nobody
    /// hears their answer. The emulator itself goes on, and can be served again.
    pub fn stop(self) {
        drop(self);
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.shared.set_stopping();
        // The thread waits for a connection: it gets one.
        let mut own = self.address;
        match own.ip() {
            IpAddr::V4(ip) if ip.is_unspecified() => own.set_ip(Ipv4Addr::LOCALHOST.into()),
            IpAddr::V6(ip) if ip.is_unspecified() => own.set_ip(Ipv6Addr::LOCALHOST.into()),
            _ => {}
        }
        let woken = TcpStream::connect_timeout(&own, WAKE_TIMEOUT);
        if let Err(error) = &woken {
            tracing::warn!(address = %own, %error, "the emulator's service could not be woken to stop");
        } else if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
        // After the thread has ended, there are no new ones.
        self.shared.end_connections();
    }
}

/// Gives each connection a thread of its own, until the service stops.
fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    loop {
        let accepted = listener.accept();
        if shared.is_stopping() {
            return;
        }
        let started = accepted.and_then(|(stream, peer)| start(stream, peer, shared));
        if let Err(error) = started {
            tracing::warn!(%error, "the emulator could not take a connection");
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
