//! What the switch knows of its node that HNS documents do not say.

use std::net::IpAddr;

/// The node of a switch.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Node {
    /// The addresses of the node. The first one of a family is its management address.
    pub addresses: Vec<IpAddr>,
    /// The names of the local endpoints that belong to the host and not to a pod, for example `cbr0`. Packets to their addresses leave
    /// through [`PortId::Host`](crate::PortId::Host).
    pub host_endpoints: Vec<String>,
}

impl Node {
    /// The management address of the family of an address.
    pub(crate) fn management_address(&self, family_of: IpAddr) -> Option<IpAddr> {
        self.addresses.iter().copied().find(|address| address.is_ipv4() == family_of.is_ipv4())
    }
}
