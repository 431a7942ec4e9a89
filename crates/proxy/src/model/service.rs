//! A Service, reduced to what programming depends on.

use std::net::IpAddr;

use ipnet::IpNet;
use smol_str::SmolStr;
use uuid::Uuid;

use super::{Family, Protocol, ServiceName};

/// A Service with cluster IPs. Headless and ExternalName Services, and those of other proxies, are filtered out before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Service {
    pub name: ServiceName,
    pub uid: Option<Uuid>,
    /// The time of its creation, in seconds since the Unix epoch: of two Services that claim one frontend, the older owns it.
    pub created: i64,
    pub kind: ServiceKind,
    /// At most one for each family.
    pub cluster_ips: Vec<IpAddr>,
    /// `spec.externalIPs`.
    pub external_ips: Vec<IpAddr>,
    /// The addresses of `status.loadBalancer.ingress` with `ipMode` absent or `VIP`: their packets arrive with the address unchanged.
    pub ingress_ips: Vec<IpAddr>,
    pub ports: Vec<ServicePort>,
    /// `internalTrafficPolicy: Local`.
    pub internal_local: bool,
    /// `externalTrafficPolicy: Local`.
    pub external_local: bool,
    /// `sessionAffinity: ClientIP`.
    pub client_ip_affinity: bool,
    /// `sessionAffinityConfig.clientIP.timeoutSeconds`; the API server fills in three hours.
    pub affinity_timeout: Option<u32>,
    /// `loadBalancerSourceRanges`.
    pub source_ranges: Vec<IpNet>,
    /// The annotation `preserve-destination: "true"`.
    pub preserve_destination: bool,
    /// `healthCheckNodePort`, if the type is LoadBalancer and `externalTrafficPolicy` is `Local`.
    pub health_check_node_port: Option<u16>,
}

impl Service {
    pub fn cluster_ip(&self, family: Family) -> Option<IpAddr> {
        self.cluster_ips.iter().copied().find(|ip| Family::of(*ip) == family)
    }

    /// Whether `loadBalancerSourceRanges` restricts the clients of a family. A range such as 0.0.0.0/0 removes the
    /// restriction.
    pub fn restricts_sources(&self, family: Family) -> bool {
        let mut ranges = self.source_ranges.iter().filter(|range| Family::of(range.addr()) == family).peekable();
        ranges.peek().is_some() && ranges.all(|range| range.prefix_len() > 0)
    }

    /// Whether a family has frontends for traffic from outside the cluster.
    pub fn is_external(&self, family: Family) -> bool {
        let mut addresses = self.external_ips.iter().chain(&self.ingress_ips);
        self.ports.iter().any(|port| port.node_port.is_some()) || addresses.any(|ip| Family::of(*ip) == family)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ServiceKind {
    #[default]
    ClusterIp,
    NodePort,
    LoadBalancer,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServicePort {
    /// Empty if the Service has one port without a name.
    pub name: SmolStr,
    pub protocol: Protocol,
    /// The port of all frontends except the node port.
    pub port: u16,
    pub node_port: Option<u16>,
}
