//! A rule: one frontend of a load balancer, compiled.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use hcn::Guid;
use hcn::schema::{DistributionType, LoadBalancer, LoadBalancerFlags, PortMapping, PortMappingFlags, Protocol};
use smallvec::SmallVec;

use super::Resolved;

/// What a packet must have for a rule to match. The unspecified address of a family stands for all addresses of the node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Frontend {
    pub(crate) protocol: Protocol,
    pub(crate) address: IpAddr,
    pub(crate) port: u16,
}

impl Frontend {
    /// The frontend of a load balancer without a VIP.
    pub(crate) fn of_node(self) -> Self {
        let unspecified: IpAddr =
            if self.address.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
        Self { address: unspecified, ..self }
    }
}

/// A backend of a load balancer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Backend {
    /// The endpoint.
    pub endpoint: Guid,
    /// The address of the family of the frontend, and the internal port.
    pub address: SocketAddr,
}

/// A frontend of a load balancer, and what happens to packets to it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Rule {
    pub(crate) load_balancer: Guid,
    pub(crate) frontend: Frontend,
    /// The network of the backends. `None` if no backend is known.
    pub(crate) network: Option<Guid>,
    pub(crate) is_dsr: bool,
    /// Whether only packets from this node match (ILB).
    pub(crate) is_internal: bool,
    pub(crate) preserves_destination: bool,
    /// Whether mapping flag 16 is set.
    pub(crate) has_external_flag: bool,
    pub(crate) distribution: DistributionType,
    pub(crate) source_vip: Option<IpAddr>,
    pub(crate) backends: Vec<Backend>,
}

/// The rules of a load balancer: one for each port mapping and VIP. An invalid VIP has none.
pub(crate) fn compile(id: Guid, document: &LoadBalancer, resolved: &Resolved) -> SmallVec<[Rule; 1]> {
    let mut vips: SmallVec<[IpAddr; 1]> = document.vips().collect();
    if document.frontend_vips.is_empty() {
        let is_ipv6 = document.flags.contains(LoadBalancerFlags::IPV6);
        vips.push(if is_ipv6 { Ipv6Addr::UNSPECIFIED.into() } else { Ipv4Addr::UNSPECIFIED.into() });
    }
    let mappings = document.port_mappings.iter();
    mappings.flat_map(|mapping| vips.iter().map(move |vip| rule(id, document, mapping, *vip, resolved))).collect()
}

fn rule(id: Guid, document: &LoadBalancer, mapping: &PortMapping, vip: IpAddr, resolved: &Resolved) -> Rule {
    let backends = resolved.addresses.iter().filter_map(|(endpoint, addresses)| {
        let address = addresses.iter().find(|address| address.is_ipv4() == vip.is_ipv4())?;
        Some(Backend { endpoint: *endpoint, address: SocketAddr::new(*address, mapping.internal_port) })
    });
    Rule {
        load_balancer: id,
        frontend: Frontend { protocol: mapping.protocol, address: vip, port: mapping.external_port },
        network: resolved.network,
        is_dsr: document.flags.contains(LoadBalancerFlags::DSR),
        is_internal: mapping.flags.contains(PortMappingFlags::ILB),
        preserves_destination: mapping.flags.contains(PortMappingFlags::PRESERVE_DIP),
        has_external_flag: mapping.flags.contains(PortMappingFlags::VIP_EXTERNAL_IP),
        distribution: mapping.distribution_type,
        source_vip: document.source_vip.parse().ok(),
        backends: backends.collect(),
    }
}
