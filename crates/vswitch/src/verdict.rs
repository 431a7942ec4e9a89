//! What the switch does with a packet.

use std::fmt;
use std::net::IpAddr;

use crate::PortId;

/// What the switch does with a packet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// The packet leaves through a port, with its addresses translated.
    Deliver(Delivery),
    /// The switch answers, and the answer leaves through the port that the packet came from: a TCP reset.
    Reply(Vec<u8>),
    /// The packet is lost.
    Drop(DropReason),
}

/// A packet that leaves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// The port.
    pub port: PortId,
    /// The IP packet, with valid checksums.
    pub packet: Vec<u8>,
    /// Where the packet is sent inside VXLAN; `Some` exactly if the port is [`PortId::Tunnel`].
    pub encapsulation: Option<Encapsulation>,
}

/// The outer addresses of a packet in an overlay network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Encapsulation {
    /// The provider address: the address of the other node.
    pub provider_address: IpAddr,
    /// The virtual subnet id (VSID) of the network; 0 if the network has none.
    pub isolation_id: u32,
}

/// Why a packet is lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum DropReason {
    /// It is not a valid IPv4 or IPv6 packet, or is a fragment without ports.
    Malformed,
    /// It enters through a port that the switch does not have.
    UnknownPort,
    /// Its flow, or its frontend, had a load balancer that is now missing.
    NoLoadBalancer,
    /// No endpoint of the load balancer has an address of the family.
    NoBackend,
    /// The load balancer needs a source VIP and has none.
    NoSourceVip,
    /// All source ports of the source VIP are in use for this backend.
    NoSourcePort,
    /// The flow had a backend that was removed.
    BackendRemoved,
    /// Another flow has the same reply addresses.
    ReplyConflict,
    /// The backend is the client itself, and its endpoint has no loopback policy.
    Hairpin,
    /// The destination is in an overlay network, and no remote endpoint or remote subnet has its provider address.
    NoProviderAddress,
    /// The port of the flow's destination no longer exists.
    PortRemoved,
    /// A packet from outside has a destination that is neither a local endpoint nor an address of the node.
    NotLocal,
}

impl fmt::Display for DropReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Malformed => "malformed packet",
            Self::UnknownPort => "unknown port",
            Self::NoLoadBalancer => "load balancer missing",
            Self::NoBackend => "no backend with an address of the family",
            Self::NoSourceVip => "no source VIP",
            Self::NoSourcePort => "no source port left",
            Self::BackendRemoved => "backend removed",
            Self::ReplyConflict => "another flow has the same reply addresses",
            Self::Hairpin => "the backend is the client, without a loopback policy",
            Self::NoProviderAddress => "no provider address for the destination",
            Self::PortRemoved => "port removed",
            Self::NotLocal => "not an address of this node",
        })
    }
}
