//! Frontends, and the load balancers and endpoints desired for them.

use std::net::IpAddr;

use hcn::Guid;
use hcn::schema::{DistributionType, LoadBalancer, LoadBalancerFlags, PortMapping, PortMappingFlags, Protocol};
use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

use crate::model::Family;
use crate::network::Network;

/// Family, address, protocol and port. HNS allows one load balancer for each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub struct Frontend {
    pub family: Family,
    /// None: every address of the node (a node port).
    pub address: Option<IpAddr>,
    pub protocol: Protocol,
    pub port: u16,
}

impl Frontend {
    /// The frontends of a load balancer in HNS: each address with each port. A load balancer without an address gets
    /// its family from the IPv6 flag.
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

/// The role of a frontend in its Service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum FrontendKind {
    ClusterIp,
    NodePort,
    /// An address of `spec.externalIPs`.
    ExternalIp,
    /// An address of `status.loadBalancer.ingress`.
    IngressIp,
    /// The load balancer for health checks on an ingress address (`--forward-healthcheck-vip`).
    HealthCheck,
}

impl FrontendKind {
    pub fn as_str(self) -> &'static str {
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
        f.pad(self.as_str())
    }
}

/// A backend, before it is resolved to an HNS endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Target {
    /// A backend at an address.
    Address {
        address: IpAddr,
        /// Whether it runs on this node. If so, the CNI creates its endpoint, and hnsproxy never does.
        local: bool,
    },
    /// The host's own endpoint, named by `--root-hnsendpoint-name`.
    Root,
}

impl Target {
    /// None for the host's own endpoint, whose addresses only HNS knows.
    pub fn address(self) -> Option<IpAddr> {
        match self {
            Target::Address { address, .. } => Some(address),
            Target::Root => None,
        }
    }
}

/// The load balancer desired for a frontend.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoadBalancerSpec {
    pub frontend: Frontend,
    pub kind: FrontendKind,
    /// The name of the Service's port; empty if the Service has a single unnamed port.
    pub port_name: SmolStr,
    /// Whether a traffic policy, or the annotation `preserve-destination`, keeps its traffic on this node.
    pub local_only: bool,
    /// The backends, sorted. None: the Service owns the frontend, and HNS must have no load balancer there.
    pub targets: Vec<Target>,
    /// The port of the backends. A load balancer has one for all of them.
    pub internal_port: u16,
    /// The DSR and IPv6 flags.
    pub flags: LoadBalancerFlags,
    pub mapping_flags: PortMappingFlags,
    pub distribution: DistributionType,
    /// The source address of translated traffic in overlay networks.
    pub source_vip: Option<IpAddr>,
    /// The same in other networks.
    pub source_vip_outside_overlay: Option<IpAddr>,
}

impl LoadBalancerSpec {
    /// The HNS document, with the endpoints of its backends, which are in a network.
    pub fn document(&self, endpoints: &[Guid], network: &Network) -> LoadBalancer {
        let source_vip = if network.overlay { self.source_vip } else { self.source_vip_outside_overlay };
        LoadBalancer {
            host_compute_endpoints: endpoints.iter().map(Guid::to_string).collect(),
            source_vip: source_vip.map(|ip| ip.to_string()).unwrap_or_default(),
            frontend_vips: self.frontend.address.iter().map(IpAddr::to_string).collect(),
            port_mappings: vec![PortMapping {
                protocol: self.frontend.protocol,
                internal_port: self.internal_port,
                external_port: self.frontend.port,
                distribution_type: self.distribution,
                flags: self.mapping_flags,
                ..PortMapping::default()
            }],
            flags: self.flags,
            ..LoadBalancer::default()
        }
    }
}

/// The purpose of an endpoint of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub enum EndpointPurpose {
    /// A backend on another node.
    Backend,
    /// A cluster IP. An overlay network routes the address only if an endpoint has it; kube-proxy creates the same
    /// endpoint.
    ServiceAddress,
    /// The source VIP of overlay networks: a local endpoint, as kube-proxy creates it.
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
    fn the_ipv6_flag_sets_the_family_of_a_frontend_without_an_address() {
        let document = LoadBalancer {
            port_mappings: vec![PortMapping { protocol: Protocol::UDP, external_port: 30000, ..Default::default() }],
            flags: LoadBalancerFlags::IPV6,
            ..LoadBalancer::default()
        };
        let texts: Vec<_> = Frontend::of(&document).map(|f| f.to_string()).collect();
        assert_eq!(texts, ["node[IPv6]:30000/UDP"]);
    }
}
