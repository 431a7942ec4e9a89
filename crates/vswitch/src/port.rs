//! The ports of the switch.

use std::fmt;

use hcn::Guid;

/// A port of the switch. Packets enter and leave through ports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum PortId {
    /// The virtual network adapter of the node itself.
    Host,
    /// The physical network.
    Uplink,
    /// The physical network, inside VXLAN: packets of overlay networks from and to other nodes. The packet is the inner one.
    Tunnel,
    /// A local endpoint: a pod, or the endpoint that the CNI created for the source VIP.
    Endpoint(Guid),
}

impl fmt::Display for PortId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Host => f.write_str("host"),
            Self::Uplink => f.write_str("uplink"),
            Self::Tunnel => f.write_str("tunnel"),
            Self::Endpoint(id) => write!(f, "endpoint {id}"),
        }
    }
}
