//! The conditions of Services: what a Service asks for and cannot have, or not yet.

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

/// What a Service asks for and does not get. The texts say what follows from it, and what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Condition {
    /// The virtual switch load-balances TCP and UDP only.
    #[error("port {port} is {protocol}, which the Windows virtual switch can't balance; the port is left out")]
    ProtocolUnsupported { port: u16, protocol: Protocol },
    /// HNS before 11.10 and overlay networks have one family.
    #[error(
        "its {family} address can't be served: this HNS, or an overlay network, has the node's primary family only"
    )]
    FamilyUnsupported { family: Family },
    /// HNS before 12.0, or the HNS v1 API.
    #[error("session affinity needs HNS 12.0 or later and its v2 interface; connections are spread without it")]
    AffinityUnsupported,
    /// The virtual switch chooses a backend by a hash of the client's address, for as long as the backends stay the same.
    #[error(
        "HNS keeps clients on their backends while the backends stay the same; it can't end that after {seconds} seconds"
    )]
    AffinityTimeoutIgnored { seconds: u32 },
    /// ACLs of endpoints see a packet after it was load-balanced, and remote endpoints have no ACLs.
    #[error(
        "HNS can't keep sources outside spec.loadBalancerSourceRanges away; the load balancer itself, or a NetworkPolicy, must"
    )]
    SourceRangesIgnored,
    /// DSR needs HNS 9.3 (of 9) or 10.2.
    #[error("externalTrafficPolicy Local needs direct server return, HNS 9.3 or 10.2; it is taken for Cluster")]
    LocalPolicyUnsupported,
    /// DSR needs HNS 9.3 (of 9) or 10.2.
    #[error("the annotation preserve-destination needs direct server return, HNS 9.3 or 10.2; it is ignored")]
    PreserveDestinationUnsupported,
    /// A load balancer of HNS has one port for all backends.
    #[error("{frontend}: its backends have different ports; only those on port {port} serve, {dropped} are left out")]
    MixedTargetPorts { frontend: Frontend, port: u16, dropped: usize },
    /// An older Service owns the frontend.
    #[error("{frontend} belongs to Service {owner}, which is older; this one takes over when it is free")]
    ClaimedByOther { frontend: Frontend, owner: ServiceName },
    /// The backend is in the host's network, and HNS has no endpoint that stands for the host.
    #[error(
        "backend {address} uses this node's own network, and HNS has no endpoint {name:?} with an address of that family to \
         stand for it; it is left out; set --root-hnsendpoint-name"
    )]
    NoHostEndpoint { address: IpAddr, name: String },
    /// The slice arrived before the CNI created the endpoint.
    #[error("backend {address} runs on this node but has no HNS endpoint; it is left out until there is one")]
    NoLocalEndpoint { address: IpAddr },
    /// A load balancer refers to endpoints of one network.
    #[error(
        "its backends are in several HNS networks, and a load balancer has one: those in {network:?} serve, the others ({dropped}) are left out"
    )]
    SeveralNetworks { network: String, dropped: usize },
    /// One of several networks is missing, or cannot be used.
    #[error("it has backends in the HNS network {network:?}, which can't be used at present; they wait for it")]
    NetworkMissing { network: String },
    #[error(
        "{frontend}: {dropped} of its backends are left out; a load balancer takes {limit} at most, near ones first"
    )]
    TooManyBackends { frontend: Frontend, limit: usize, dropped: usize },
    /// HNS refuses the frontend with 0x803B0013.
    #[error("{frontend} is in use: {holder}")]
    PortInUse { frontend: Frontend, holder: Holder },
    /// The health check load balancer has no backend.
    #[error("{frontend}: no HNS endpoint has the name {name:?}; set --root-hnsendpoint-name")]
    NoRootEndpoint { frontend: Frontend, name: String },
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
                write!(f, "load balancer {id} of Service {service} has {frontend}")
            }
            Holder::LoadBalancer { id, frontend, service: None } => {
                write!(f, "load balancer {id} of others has {frontend}")
            }
            Holder::OwnHealthCheck { service: Some(service) } => {
                write!(f, "this program answers the health checks of Service {service} there")
            }
            Holder::OwnHealthCheck { service: None } => f.write_str("this program answers /healthz there"),
            Holder::Unknown => f.write_str(
                "no load balancer that HNS lists has it; a process may (netstat -ano), or a reservation of the host \
                 (netsh int ipv4 show excludedportrange tcp)",
            ),
        }
    }
}
