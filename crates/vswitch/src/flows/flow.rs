//! One flow: a connection of TCP, or a conversation of UDP.

use std::net::{IpAddr, SocketAddr};

use hcn::Guid;
use hcn::schema::Protocol;

use crate::objects::PortIndex;
use crate::packet::TcpFlags;
use crate::rules::Revision;
use crate::{Encapsulation, Instant, Tuple};

/// A flow without packets for this long is forgotten, in microseconds. Assumed: the default of Azure's load balancers.
pub(crate) const IDLE_LIMIT: u64 = 240_000_000;

/// A TCP flow that was closed is forgotten after this long, in microseconds. Assumed: long enough for the last acknowledgements.
pub(crate) const CLOSED_LIMIT: u64 = 2_000_000;

/// Where packets of one direction of a flow enter, and with which addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    port: PortIndex,
    source: IpAddr,
    destination: IpAddr,
    source_port: u16,
    destination_port: u16,
    protocol: u8,
}

impl Key {
    pub(crate) fn new(port: PortIndex, tuple: &Tuple) -> Self {
        Self {
            port: port.of_flows(),
            source: tuple.source.ip(),
            destination: tuple.destination.ip(),
            source_port: tuple.source.port(),
            destination_port: tuple.destination.port(),
            protocol: tuple.protocol.0 as u8,
        }
    }

    pub(crate) fn tuple(&self) -> Tuple {
        Tuple {
            protocol: Protocol(self.protocol.into()),
            source: SocketAddr::new(self.source, self.source_port),
            destination: SocketAddr::new(self.destination, self.destination_port),
        }
    }
}

/// What the load balancer of a flow decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Balanced {
    pub(crate) load_balancer: Guid,
    pub(crate) revision: Revision,
    pub(crate) backend: (IpAddr, u16),
}

/// A flow.
#[derive(Debug, Clone)]
pub(crate) struct Flow {
    /// The packets of the client.
    pub(crate) client: Key,
    /// The replies.
    pub(crate) server: Key,
    /// Where the client's packets enter.
    pub(crate) ingress: PortIndex,
    /// Where the client's packets leave.
    pub(crate) egress: PortIndex,
    pub(crate) encapsulation: Option<Encapsulation>,
    pub(crate) reply_encapsulation: Option<Encapsulation>,
    pub(crate) balanced: Option<Balanced>,
    /// The generation of the ingress port with which the flow was compared.
    pub(crate) generation: u32,
    pub(crate) last_packet: Instant,
    pub(crate) progress: Progress,
}

/// Which sides of a TCP connection have closed it, and whether it was reset.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Progress {
    client_finished: bool,
    server_finished: bool,
    is_reset: bool,
}

impl Progress {
    fn is_closed(self) -> bool {
        self.is_reset || (self.client_finished && self.server_finished)
    }

    fn record(&mut self, direction: Direction, flags: TcpFlags) {
        match direction {
            Direction::Client => self.client_finished |= flags.fin,
            Direction::Server => self.server_finished |= flags.fin,
        }
        self.is_reset |= flags.rst;
    }
}

/// The direction of a packet of a flow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Direction {
    Client,
    Server,
}

impl Flow {
    /// The key of the packets of a direction.
    pub(crate) fn key(&self, direction: Direction) -> &Key {
        match direction {
            Direction::Client => &self.client,
            Direction::Server => &self.server,
        }
    }

    /// How packets of a direction leave: the port, the addresses and the encapsulation.
    pub(crate) fn exit(&self, direction: Direction) -> (PortIndex, Tuple, Option<Encapsulation>) {
        match direction {
            Direction::Client => (self.egress, self.server.tuple().reversed(), self.encapsulation),
            Direction::Server => {
                // A client without a provider address is not in the overlay network.
                let is_outside_vxlan = self.ingress == PortIndex::TUNNEL && self.reply_encapsulation.is_none();
                let egress = if is_outside_vxlan { PortIndex::UPLINK } else { self.ingress };
                (egress, self.client.tuple().reversed(), self.reply_encapsulation)
            }
        }
    }

    pub(crate) fn is_expired(&self, now: Instant) -> bool {
        let limit = if self.progress.is_closed() { CLOSED_LIMIT } else { IDLE_LIMIT };
        now - self.last_packet > limit
    }

    pub(crate) fn record(&mut self, direction: Direction, flags: TcpFlags, now: Instant) {
        self.progress.record(direction, flags);
        self.last_packet = now;
    }
}
