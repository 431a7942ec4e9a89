//! The conditions of Services: what a Service asks for that is unsupported, or not possible yet.

use std::net::IpAddr;

use hcn::Guid;
use hcn::schema::Protocol;

use crate::frontend::Frontend;
use crate::model::{Family, ServiceName};

/// A condition of one Service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceCondition {
    pub service: ServiceName,
    pub condition: Condition,
}

impl std::fmt::Display for ServiceCondition {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Service {}: {}", self.service, self.condition)
    }
}

/// What a Service asks for and does not get. The texts say what does not work, why, and what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Condition {
    /// The virtual switch load-balances TCP and UDP only.
    #[error("port {port} is not programmed: HNS does not support {protocol}; use TCP or UDP")]
    ProtocolUnsupported { port: u16, protocol: Protocol },
    /// HNS before 11.10 and overlay networks have one family.
    #[error(
        "the {family} cluster IP is not programmed: HNS before 11.10, and overlay networks, support only the primary IP family of the node"
    )]
    FamilyUnsupported { family: Family },
    /// HNS before 12.0, or the HNS v1 API.
    #[error("session affinity is ignored: it requires HNS 12.0 and the HCN (v2) API")]
    AffinityUnsupported,
    /// The virtual switch chooses a backend by a hash of the client's address, for as long as the backends stay the same.
    #[error(
        "the session affinity timeout of {seconds} s is ignored: HNS has no timeout, clients keep their backends until the backends change"
    )]
    AffinityTimeoutIgnored { seconds: u32 },
    /// ACLs of endpoints see a packet after it was load-balanced, and remote endpoints have no ACLs.
    #[error(
        "spec.loadBalancerSourceRanges is not enforced: HNS cannot filter by source; use the external load balancer, or a NetworkPolicy"
    )]
    SourceRangesIgnored,
    /// DSR needs HNS 9.3 (of 9) or 10.2.
    #[error("externalTrafficPolicy Local is treated as Cluster: it requires direct server return (HNS 9.3 or 10.2)")]
    LocalPolicyUnsupported,
    /// DSR needs HNS 9.3 (of 9) or 10.2.
    #[error("the annotation preserve-destination is ignored: it requires direct server return (HNS 9.3 or 10.2)")]
    PreserveDestinationUnsupported,
    /// A load balancer of HNS has one port for all backends.
    #[error(
        "{frontend}: {} not used: a load balancer has one backend port, and most backends have port {port}; use one port for all",
        backends_are(*dropped)
    )]
    MixedTargetPorts { frontend: Frontend, port: u16, dropped: usize },
    /// An older Service owns the frontend.
    #[error("{frontend} is not programmed: the older Service {owner} claims it; use another address or port")]
    ClaimedByOther { frontend: Frontend, owner: ServiceName },
    /// The backend is in the host network, and HNS has no endpoint of the host.
    #[error(
        "backend {address} is not used: it is in the host network, and HNS has no endpoint {name:?} with an address of its family; \
         set --root-hnsendpoint-name"
    )]
    NoHostEndpoint { address: IpAddr, name: String },
    /// The slice arrived before the CNI created the endpoint.
    #[error("backend {address} is not used: it is on this node, and the CNI has not created its HNS endpoint yet")]
    NoLocalEndpoint { address: IpAddr },
    /// A load balancer refers to endpoints of one network.
    #[error(
        "{} not used: a load balancer is in one HNS network, and most backends are in {network:?}; use one network for all",
        backends_are(*dropped)
    )]
    SeveralNetworks { network: String, dropped: usize },
    /// One of several networks is missing, or cannot be used.
    #[error("backends in the HNS network {network:?} are not used: the network is missing, or cannot be used")]
    NetworkMissing { network: String },
    #[error(
        "{frontend}: {} not used: a load balancer has at most {limit} backends; spread them over several Services",
        backends_are(*dropped)
    )]
    TooManyBackends { frontend: Frontend, limit: usize, dropped: usize },
    /// HNS refuses the frontend with 0x803B0013.
    #[error("{frontend} is not programmed: it is in use by {holder}")]
    PortInUse { frontend: Frontend, holder: Holder },
    /// The health check load balancer has no backend.
    #[error("{frontend} is not programmed: HNS has no endpoint {name:?}; set --root-hnsendpoint-name")]
    NoRootEndpoint { frontend: Frontend, name: String },
}

fn backends_are(count: usize) -> String {
    match count {
        1 => "1 backend is".to_owned(),
        count => format!("{count} backends are"),
    }
}

impl Condition {
    /// CamelCase, for Events and metrics. Stable from version to version.
    pub fn reason(&self) -> &'static str {
        match self {
            Condition::ProtocolUnsupported { .. } => "ProtocolUnsupported",
            Condition::FamilyUnsupported { .. } => "FamilyUnsupported",
            Condition::AffinityUnsupported => "AffinityUnsupported",
            Condition::AffinityTimeoutIgnored { .. } => "AffinityTimeoutIgnored",
            Condition::SourceRangesIgnored => "SourceRangesIgnored",
            Condition::LocalPolicyUnsupported => "LocalPolicyUnsupported",
            Condition::PreserveDestinationUnsupported => "PreserveDestinationUnsupported",
            Condition::MixedTargetPorts { .. } => "MixedTargetPorts",
            Condition::SeveralNetworks { .. } => "SeveralNetworks",
            Condition::NetworkMissing { .. } => "NetworkMissing",
            Condition::TooManyBackends { .. } => "TooManyBackends",
            Condition::PortInUse { .. } => "PortInUse",
            Condition::ClaimedByOther { .. } => "FrontendClaimedTwice",
            Condition::NoHostEndpoint { .. } => "NoHostEndpoint",
            Condition::NoLocalEndpoint { .. } => "NoLocalEndpoint",
            Condition::NoRootEndpoint { .. } => "NoRootEndpoint",
        }
    }
}

/// What has a frontend that HNS refuses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Holder {
    /// A load balancer that HNS lists.
    LoadBalancer {
        id: Guid,
        /// Overlaps the refused one, and may be wider.
        frontend: Frontend,
        /// None if the load balancer is foreign.
        service: Option<ServiceName>,
    },
    /// A port where this process answers health checks: its own, or a Service's.
    OwnHealthCheck {
        /// None for `/healthz`.
        service: Option<ServiceName>,
    },
    /// Nothing that HNS lists: another process, a reservation of the host, or a port that HNS leaked (Server 2019).
    Unknown,
}

impl std::fmt::Display for Holder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Holder::LoadBalancer { id, frontend, service: Some(service) } => {
                write!(f, "load balancer {id} of Service {service} on {frontend}")
            }
            Holder::LoadBalancer { id, frontend, service: None } => {
                write!(f, "foreign load balancer {id} on {frontend}")
            }
            Holder::OwnHealthCheck { service: Some(service) } => {
                write!(f, "the health check of Service {service} in this process")
            }
            Holder::OwnHealthCheck { service: None } => f.write_str("/healthz of this process"),
            Holder::Unknown => f.write_str(
                "a process or a port reservation of the host; check netstat -ano, and netsh int ipv4 show \
                 excludedportrange tcp",
            ),
        }
    }
}
