//! The stack of one connection: an interface of smoltcp with at most one socket.
//!
//! A host has one for each connection, so that a packet costs the same however many connections there are.

use std::collections::VecDeque;
use std::net::SocketAddr;

use smoltcp::iface::{Config, Interface, SocketHandle, SocketSet};
use smoltcp::phy::{Device, DeviceCapabilities, Medium, RxToken, TxToken};
use smoltcp::socket::{tcp, udp};
use smoltcp::time::{Duration, Instant as Time};
use smoltcp::wire::{HardwareAddress, IpCidr};
use vswitch::Instant;

use crate::setup::Transport;

/// How long a connection may wait for an acknowledgment, in microseconds. It is broken then.
pub(crate) const CONNECTION_TIMEOUT: u64 = 10_000_000;
/// The bytes that a connection may have in flight. Messages are shorter.
const BUFFER: usize = 256;

pub(crate) struct Stack {
    interface: Interface,
    queue: Queue,
    sockets: SocketSet<'static>,
    socket: Option<(Transport, SocketHandle)>,
    remote: SocketAddr,
}

impl Stack {
    /// A host at this address that has no socket for a packet: it refuses it.
    pub(crate) fn without_socket(local: SocketAddr, remote: SocketAddr, seed: u64, now: Instant) -> Self {
        let mut config = Config::new(HardwareAddress::Ip);
        config.random_seed = seed;
        let mut queue = Queue::default();
        let mut interface = Interface::new(config, &mut queue, time(now));
        // In a network of all addresses, each destination has a route.
        let network = IpCidr::new(local.ip().into(), 0);
        interface.update_ip_addrs(|addresses| {
            let _ = addresses.push(network);
        });
        Self { interface, queue, sockets: SocketSet::new(Vec::new()), socket: None, remote }
    }

    /// A client that connects.
    pub(crate) fn client(transport: Transport, local: SocketAddr, remote: SocketAddr, seed: u64, now: Instant) -> Self {
        let mut stack = Self::with_socket(transport, local, remote, seed, now);
        if let Some((Transport::Tcp, handle)) = stack.socket {
            let socket = stack.sockets.get_mut::<tcp::Socket<'_>>(handle);
            // Fails for unspecified addresses only: the connection then counts as refused.
            let _ = socket.connect(stack.interface.context(), remote, local.port());
        }
        stack
    }

    /// A server that waits for its first packet.
    pub(crate) fn server(transport: Transport, local: SocketAddr, remote: SocketAddr, seed: u64, now: Instant) -> Self {
        let mut stack = Self::with_socket(transport, local, remote, seed, now);
        if let Some((Transport::Tcp, handle)) = stack.socket {
            // Fails for port 0 only.
            let _ = stack.sockets.get_mut::<tcp::Socket<'_>>(handle).listen(local.port());
        }
        stack
    }

    fn with_socket(transport: Transport, local: SocketAddr, remote: SocketAddr, seed: u64, now: Instant) -> Self {
        let mut stack = Self::without_socket(local, remote, seed, now);
        let handle = match transport {
            Transport::Tcp => {
                let buffer = || tcp::SocketBuffer::new(vec![0; BUFFER]);
                let mut socket = tcp::Socket::new(buffer(), buffer());
                socket.set_timeout(Some(Duration::from_micros(CONNECTION_TIMEOUT)));
                // Each message is one segment, and the other side waits for it.
                socket.set_nagle_enabled(false);
                socket.set_ack_delay(None);
                stack.sockets.add(socket)
            }
            Transport::Udp => {
                let buffer = || udp::PacketBuffer::new(vec![udp::PacketMetadata::EMPTY; 4], vec![0; BUFFER]);
                let mut socket = udp::Socket::new(buffer(), buffer());
                // Fails for port 0 only.
                let _ = socket.bind(local.port());
                stack.sockets.add(socket)
            }
        };
        stack.socket = Some((transport, handle));
        stack
    }

    pub(crate) fn receive(&mut self, packet: Vec<u8>) {
        self.queue.received.push_back(packet);
    }

    /// Processes what was received and what is due. Returns the packets to send.
    pub(crate) fn poll(&mut self, now: Instant) -> Vec<Vec<u8>> {
        self.interface.poll(time(now), &mut self.queue, &mut self.sockets);
        std::mem::take(&mut self.queue.sent)
    }

    /// When it has to be polled again, if nothing is received before.
    pub(crate) fn wakes_at(&mut self, now: Instant) -> Option<Instant> {
        let at = self.interface.poll_at(time(now), &self.sockets)?;
        Some(Instant(u64::try_from(at.total_micros()).unwrap_or_default()).max(now))
    }

    /// Sends a message, if the connection is open.
    pub(crate) fn send(&mut self, message: &[u8]) {
        match self.socket {
            Some((Transport::Tcp, handle)) => {
                // A connection that cannot send is closed, or is about to be aborted.
                let _ = self.sockets.get_mut::<tcp::Socket<'_>>(handle).send_slice(message);
            }
            Some((Transport::Udp, handle)) => {
                let _ = self.sockets.get_mut::<udp::Socket<'_>>(handle).send_slice(message, self.remote);
            }
            None => {}
        }
    }

    /// What was received since the last call.
    pub(crate) fn take_received(&mut self) -> Vec<u8> {
        let mut received = vec![0; BUFFER];
        let length = match self.socket {
            Some((Transport::Tcp, handle)) => {
                self.sockets.get_mut::<tcp::Socket<'_>>(handle).recv_slice(&mut received).unwrap_or_default()
            }
            Some((Transport::Udp, handle)) => {
                let socket = self.sockets.get_mut::<udp::Socket<'_>>(handle);
                socket.recv_slice(&mut received).map_or(0, |(length, _)| length)
            }
            None => 0,
        };
        received.truncate(length);
        received
    }

    pub(crate) fn close(&mut self) {
        if let Some((Transport::Tcp, handle)) = self.socket {
            self.sockets.get_mut::<tcp::Socket<'_>>(handle).close();
        }
    }

    fn state(&self) -> Option<tcp::State> {
        match self.socket {
            Some((Transport::Tcp, handle)) => Some(self.sockets.get::<tcp::Socket<'_>>(handle).state()),
            _ => None,
        }
    }

    pub(crate) fn is_datagram(&self) -> bool {
        matches!(self.socket, Some((Transport::Udp, _)))
    }

    /// Whether the handshake is complete, and neither side has closed. UDP is always open.
    pub(crate) fn is_open(&self) -> bool {
        self.state().is_none_or(|state| state == tcp::State::Established)
    }

    /// Whether the other side has closed or reset the connection, or it was aborted.
    pub(crate) fn was_closed_by_peer(&self) -> bool {
        self.state().is_some_and(|state| matches!(state, tcp::State::CloseWait | tcp::State::Closed))
    }

    /// Whether nothing is left to do for the connection.
    pub(crate) fn has_ended(&self) -> bool {
        self.state().is_some_and(|state| matches!(state, tcp::State::Closed | tcp::State::TimeWait))
    }
}

fn time(now: Instant) -> Time {
    Time::from_micros(i64::try_from(now.0).unwrap_or(i64::MAX))
}

/// The device of an interface.
#[derive(Debug, Default)]
struct Queue {
    received: VecDeque<Vec<u8>>,
    sent: Vec<Vec<u8>>,
}

impl Device for Queue {
    type RxToken<'a> = Received;
    type TxToken<'a> = Sent<'a>;

    fn receive(&mut self, _: Time) -> Option<(Received, Sent<'_>)> {
        Some((Received(self.received.pop_front()?), Sent(&mut self.sent)))
    }

    fn transmit(&mut self, _: Time) -> Option<Sent<'_>> {
        Some(Sent(&mut self.sent))
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ip;
        capabilities.max_transmission_unit = 1500;
        capabilities
    }
}

struct Received(Vec<u8>);

impl RxToken for Received {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, read: F) -> R {
        read(&self.0)
    }
}

struct Sent<'a>(&'a mut Vec<Vec<u8>>);

impl TxToken for Sent<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, length: usize, write: F) -> R {
        let mut packet = vec![0; length];
        let result = write(&mut packet);
        self.0.push(packet);
        result
    }
}
