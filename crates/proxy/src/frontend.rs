//! Frontends, and the load balancers and endpoints wanted for them.

use std::net::IpAddr;

use hcn::Guid;
use hcn::schema::{DistributionType, LoadBalancer, LoadBalancerFlags, PortMapping, PortMappingFlags, Protocol};
use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

use crate::model::Family;
use crate::network::Network;

/// What HNS allows one load balancer of: a family, an address, a protocol and a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub struct Frontend {
    /// The family.
    pub family: Family,
    /// The address; none: every address of the node.
    pub address: Option<IpAddr>,
    /// The protocol.
    pub protocol: Protocol,
    /// The port.
    pub port: u16,
}

impl Frontend {
    /// The frontends of a load balancer in HNS. The family is the address's; without an address, the load balancer's flag tells.
    pub fn of(document: &LoadBalancer) -> impl Iterator<Item = Frontend> + '_ {
        let anywhere = document.frontend_vips.is_empty().then_some(None);
        let addresses = move || document.vips().map(Some).chain(anywhere);
        let flagged = if document.flags.contains(LoadBalancerFlags::IPV6) { Family::V6 } else { Family::V4 };
        document.port_mappings.iter().flat_map(move |mapping| {
            addresses().map(move |address| Frontend {
                family: address.map_or(flagged, Family::of),
                address,
                protocol: mapping.protocol,
                port: mapping.external_port,
            })
        })
    }
}

impl std::fmt::Display for Frontend {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (self.address, self.family) {
            (Some(IpAddr::V4(address)), _) => write!(f, "{address}:{}/{}", self.port, self.protocol),
            (Some(IpAddr::V6(address)), _) => write!(f, "[{address}]:{}/{}", self.port, self.protocol),
            (None, Family::V4) => write!(f, "node:{}/{}", self.port, self.protocol),
            (None, Family::V6) => write!(f, "node[IPv6]:{}/{}", self.port, self.protocol),
        }
    }
}

/// What a frontend is to its Service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum FrontendKind {
    /// The Service's own address.
    ClusterIp,
    /// A port of every node.
    NodePort,
    /// An external address of the specification.
    ExternalIp,
    /// An address of a load balancer.
    IngressIp,
    /// The port by which a load balancer asks whether this node serves.
    HealthCheck,
}

impl FrontendKind {
    /// In words.
    pub fn words(self) -> &'static str {
        match self {
            FrontendKind::ClusterIp => "cluster IP",
            FrontendKind::NodePort => "node port",
            FrontendKind::ExternalIp => "external IP",
            FrontendKind::IngressIp => "load balancer IP",
            FrontendKind::HealthCheck => "health check",
        }
    }
}

impl std::fmt::Display for FrontendKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.words())
    }
}

/// A backend as a load balancer refers to it, before it is known which endpoint that is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Target {
    /// The endpoint of an address.
    Address {
        /// The address.
        address: IpAddr,
        /// Whether it runs on this node, so that only the endpoint made by the CNI will do.
        local: bool,
    },
    /// The host's own endpoint, found by its name.
    Root,
}

impl Target {
    /// The address, where it is known without HNS.
    pub fn address(self) -> Option<IpAddr> {
        match self {
            Target::Address { address, .. } => Some(address),
            Target::Root => None,
        }
    }
}

/// A load balancer wanted for a frontend. Targets are sorted; none: the frontend is claimed, and must be silent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoadBalancerSpec {
    /// The frontend.
    pub frontend: Frontend,
    /// What it is to the Service.
    pub kind: FrontendKind,
    /// The Service's port.
    pub port_name: SmolStr,
    /// Whether a traffic policy, or the annotation `preserve-destination`, keeps its traffic on this node.
    pub local_only: bool,
    /// The backends.
    pub targets: Vec<Target>,
    /// The port of the backends.
    pub internal_port: u16,
    /// Direct server return, IPv6.
    pub flags: LoadBalancerFlags,
    /// How the traffic arrives.
    pub mapping_flags: PortMappingFlags,
    /// Affinity.
    pub distribution: DistributionType,
    /// The source address of translated traffic, where it is on an overlay network.
    pub source_vip: Option<IpAddr>,
}

impl LoadBalancerSpec {
    /// The document, for backends resolved to endpoints of a network.
    pub fn document(&self, endpoints: &[Guid], network: &Network) -> LoadBalancer {
        LoadBalancer {
            host_compute_endpoints: endpoints.iter().map(Guid::to_string).collect(),
            source_vip: self.source_vip.filter(|_| network.overlay).map(|ip| ip.to_string()).unwrap_or_default(),
            frontend_vips: self.frontend.address.iter().map(IpAddr::to_string).collect(),
            port_mappings: vec![PortMapping {
                protocol: self.frontend.protocol,
                internal_port: self.internal_port,
                external_port: self.frontend.port,
                distribution_type: self.distribution,
                flags: self.mapping_flags,
            }],
            flags: self.flags,
            ..LoadBalancer::default()
        }
    }
}

/// What an endpoint of our making is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub enum EndpointPurpose {
    /// A backend on another node.
    Backend,
    /// A Service's address, which overlay networks answer for; winkernel 3.3.
    ServiceAddress,
    /// The source address of translated traffic, a local endpoint; winkernel 3.3.
    SourceVip,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frontends_of_a_load_balancer_are_every_address_with_every_port() {
        let mapping = |external_port| PortMapping { protocol: Protocol::TCP, external_port, ..Default::default() };
        let document = LoadBalancer {
            frontend_vips: vec!["10.0.0.1".into(), "10.0.0.2".into()],
            port_mappings: vec![mapping(80), mapping(81)],
            ..LoadBalancer::default()
        };
        let texts: Vec<_> = Frontend::of(&document).map(|f| f.to_string()).collect();
        assert_eq!(texts, ["10.0.0.1:80/TCP", "10.0.0.2:80/TCP", "10.0.0.1:81/TCP", "10.0.0.2:81/TCP"]);
    }

    #[test]
    fn without_an_address_the_flag_tells_the_family() {
        let document = LoadBalancer {
            port_mappings: vec![PortMapping { protocol: Protocol::UDP, external_port: 30000, ..Default::default() }],
            flags: LoadBalancerFlags::IPV6,
            ..LoadBalancer::default()
        };
        let texts: Vec<_> = Frontend::of(&document).map(|f| f.to_string()).collect();
        assert_eq!(texts, ["node[IPv6]:30000/UDP"]);
    }
}
