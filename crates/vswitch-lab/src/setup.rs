//! What is played: the history of HNS, the hosts, and the traffic.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use hcn_emulator::Change;
use vswitch::Node;

/// One history of a node. All times are since the first change.
#[derive(Debug, Clone)]
pub struct Setup {
    pub node: Node,
    /// What HNS had, and when. It begins with the initial state.
    pub changes: Vec<Change>,
    pub hosts: Vec<Host>,
    pub traffic: Traffic,
}

/// A host with a stack of its own: a pod, the node, or a computer outside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Host {
    pub address: IpAddr,
    pub place: Place,
    /// Other addresses that its stack accepts packets for: those of load balancers that preserve the destination.
    pub other_addresses: Vec<IpAddr>,
    /// The ports that its server listens on, for TCP and UDP.
    pub ports: Vec<u16>,
    /// When it becomes unready. Without a time it stays ready.
    pub ready_until: Option<Duration>,
    /// When its server ends: it closes its connections, and refuses new ones.
    pub serves_until: Option<Duration>,
}

impl Host {
    /// A host that stays ready.
    pub fn new(address: IpAddr, place: Place, ports: &[u16]) -> Self {
        let ports = ports.to_vec();
        Self { address, place, other_addresses: Vec::new(), ports, ready_until: None, serves_until: None }
    }
}

/// Where a host is, seen from the switch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// A pod of the node. Its port is that of the local endpoint with its address.
    Pod,
    /// The node itself.
    Node,
    /// Behind the physical network: a client outside of the cluster, or a pod of another node without an overlay network.
    Outside,
    /// A pod of another node, in an overlay network.
    Tunnel,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Transport {
    Tcp,
    Udp,
}

/// An address that clients connect to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Frontend {
    pub transport: Transport,
    pub address: SocketAddr,
}

/// What clients do. Each connection has a random client and frontend, at a random time: connections at fixed intervals of a second would
/// all meet the same moment of each retry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Traffic {
    /// The hosts that connect.
    pub clients: Vec<IpAddr>,
    pub frontends: Vec<Frontend>,
    /// The TCP connections that are opened during the first second and used until the end.
    pub held: u32,
    /// The mean number of connections, or UDP queries, that are opened each second for one answer.
    pub new_per_second: u32,
    pub begin: Duration,
    pub end: Duration,
}
