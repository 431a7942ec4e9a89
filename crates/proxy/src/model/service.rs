//! A Service, reduced to what is programmed.

use std::net::IpAddr;

use ipnet::IpNet;
use smol_str::SmolStr;
use uuid::Uuid;

use super::{Family, Protocol, ServiceName};

/// A Service that has cluster addresses. Headless and ExternalName Services, and those of other proxies, never get this far.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Service {
    /// Its name.
    pub name: ServiceName,
    /// The uid that the API server gave it.
    pub uid: Option<Uuid>,
    /// When it was created, in seconds of Unix time: of two Services that claim one frontend, the older has it.
    pub created: i64,
    /// Its type.
    pub kind: ServiceKind,
    /// Its cluster addresses, at most one a family.
    pub cluster_ips: Vec<IpAddr>,
    /// External addresses of the specification.
    pub external_ips: Vec<IpAddr>,
    /// Addresses of load balancers that deliver packets with the address unchanged (`ipMode` absent or `VIP`).
    pub ingress_ips: Vec<IpAddr>,
    /// Its ports.
    pub ports: Vec<ServicePort>,
    /// `internalTrafficPolicy: Local`.
    pub internal_local: bool,
    /// `externalTrafficPolicy: Local`.
    pub external_local: bool,
    /// `sessionAffinity: ClientIP`.
    pub client_ip_affinity: bool,
    /// How long affinity lasts, in seconds; the API server fills in three hours.
    pub affinity_timeout: Option<u32>,
    /// `loadBalancerSourceRanges`.
    pub source_ranges: Vec<IpNet>,
    /// The annotation `preserve-destination: "true"`.
    pub preserve_destination: bool,
    /// `healthCheckNodePort`, where type and policy give it a meaning.
    pub health_check_node_port: Option<u16>,
}

impl Service {
    /// The cluster address of a family.
    pub fn cluster_ip(&self, family: Family) -> Option<IpAddr> {
        self.cluster_ips.iter().copied().find(|ip| Family::of(*ip) == family)
    }

    /// Whether the addresses of load balancers of a family are for some clients only. A range of everything lifts the restriction.
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

/// The type of a Service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ServiceKind {
    /// Cluster addresses, and perhaps external ones.
    #[default]
    ClusterIp,
    /// A port on every node too.
    NodePort,
    /// Addresses of a load balancer too.
    LoadBalancer,
}

/// A port of a Service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServicePort {
    /// Its name, empty where a Service has one port only.
    pub name: SmolStr,
    /// Its protocol.
    pub protocol: Protocol,
    /// The port of the frontends.
    pub port: u16,
    /// The port on every node.
    pub node_port: Option<u16>,
}
