//! What a Service asks for and can't have, or not yet.

use std::net::IpAddr;

use hcn::Guid;
use hcn::schema::Protocol;

use crate::frontend::Frontend;
use crate::model::{Family, ServiceName};

/// Something that is not as a Service asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// The Service.
    pub service: ServiceName,
    /// What is not.
    pub problem: Problem,
}

impl std::fmt::Display for Notice {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Service {}: {}", self.service, self.problem)
    }
}

/// What is not as asked. The texts say what follows from it, and what helps.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// The virtual switch balances TCP and UDP only.
    #[error("port {port} is {protocol}, which the Windows virtual switch can't balance; the port is left out")]
    ProtocolUnsupported {
        /// The port.
        port: u16,
        /// Its protocol.
        protocol: Protocol,
    },
    /// This HNS, or overlay, has one family only.
    #[error(
        "its {family} address can't be served: this HNS, or an overlay network, has the node's primary family only"
    )]
    FamilyUnsupported {
        /// The family.
        family: Family,
    },
    /// HNS below 12.0, or its first generation.
    #[error("session affinity needs HNS 12.0 or later and its v2 interface; connections are spread without it")]
    AffinityUnsupported,
    /// The virtual switch chooses by a hash of the client's address, for as long as the backends stay the same.
    #[error(
        "HNS keeps clients on their backends while the backends stay the same; it can't end that after {seconds} seconds"
    )]
    AffinityTimeoutIgnored {
        /// What was asked for.
        seconds: u32,
    },
    /// Policies of endpoints see what is left of a packet after it was balanced, and remote endpoints have none.
    #[error(
        "HNS can't keep sources outside spec.loadBalancerSourceRanges away; the load balancer itself, or a NetworkPolicy, must"
    )]
    SourceRangesIgnored,
    /// HNS before 9.3 or 10.2.
    #[error("externalTrafficPolicy Local needs direct server return, HNS 9.3 or 10.2; it is taken for Cluster")]
    LocalPolicyUnsupported,
    /// HNS before 9.3 or 10.2.
    #[error("the annotation preserve-destination needs direct server return, HNS 9.3 or 10.2; it is ignored")]
    PreserveDestinationUnsupported,
    /// A load balancer of HNS has one port for all backends.
    #[error("{frontend}: its backends have different ports; only those on port {port} serve, {dropped} are left out")]
    MixedTargetPorts {
        /// The frontend.
        frontend: Frontend,
        /// The port of the largest group.
        port: u16,
        /// How many have another.
        dropped: usize,
    },
    /// Two Services claim a frontend.
    #[error("{frontend} belongs to Service {owner}, which is older; this one takes over when it is free")]
    ClaimedByOther {
        /// The frontend.
        frontend: Frontend,
        /// The Service that has it.
        owner: ServiceName,
    },
    /// A pod of the host's network, and no endpoint stands for the host.
    #[error(
        "backend {address} uses this node's own network, and HNS has no endpoint {name:?} with an address of that family to \
         stand for it; it is left out; set --root-hnsendpoint-name"
    )]
    NoHostEndpoint {
        /// The backend.
        address: IpAddr,
        /// The name looked for.
        name: String,
    },
    /// The slice is earlier than the CNI.
    #[error("backend {address} runs on this node but has no HNS endpoint; it is left out until there is one")]
    NoLocalEndpoint {
        /// The backend.
        address: IpAddr,
    },
    /// A load balancer refers to endpoints of one network.
    #[error(
        "its backends are in several HNS networks, and a load balancer has one: those in {network:?} serve, the others ({dropped}) are left out"
    )]
    SeveralNetworks {
        /// The network of the largest group.
        network: String,
        /// How many are in another.
        dropped: usize,
    },
    /// One of several networks is not there, or can't be used.
    #[error("it has backends in the HNS network {network:?}, which can't be used at present; they wait for it")]
    NetworkMissing {
        /// The network.
        network: String,
    },
    /// A load balancer takes so many backends and no more.
    #[error(
        "{frontend}: {dropped} of its backends are left out; a load balancer takes {limit} at most, near ones first"
    )]
    TooManyBackends {
        /// The frontend.
        frontend: Frontend,
        /// How many a load balancer takes.
        limit: usize,
        /// How many are left out.
        dropped: usize,
    },
    /// HNS says that the port is taken.
    #[error("{frontend} is in use: {holder}")]
    PortInUse {
        /// The frontend.
        frontend: Frontend,
        /// Who has it.
        holder: Holder,
    },
    /// Health load balancers have no backend.
    #[error("{frontend}: no HNS endpoint has the name {name:?}; set --root-hnsendpoint-name")]
    NoRootEndpoint {
        /// The frontend.
        frontend: Frontend,
        /// The name looked for.
        name: String,
    },
}

impl Problem {
    /// The problem's kind in one word, for Events and metrics. It stays the same from version to version.
    pub fn reason(&self) -> &'static str {
        match self {
            Problem::ProtocolUnsupported { .. } => "ProtocolUnsupported",
            Problem::FamilyUnsupported { .. } => "FamilyUnsupported",
            Problem::AffinityUnsupported => "AffinityUnsupported",
            Problem::AffinityTimeoutIgnored { .. } => "AffinityTimeoutIgnored",
            Problem::SourceRangesIgnored => "SourceRangesIgnored",
            Problem::LocalPolicyUnsupported => "LocalPolicyUnsupported",
            Problem::PreserveDestinationUnsupported => "PreserveDestinationUnsupported",
            Problem::MixedTargetPorts { .. } => "MixedTargetPorts",
            Problem::SeveralNetworks { .. } => "SeveralNetworks",
            Problem::NetworkMissing { .. } => "NetworkMissing",
            Problem::TooManyBackends { .. } => "TooManyBackends",
            Problem::PortInUse { .. } => "PortInUse",
            Problem::ClaimedByOther { .. } => "FrontendClaimedTwice",
            Problem::NoHostEndpoint { .. } => "NoHostEndpoint",
            Problem::NoLocalEndpoint { .. } => "NoLocalEndpoint",
            Problem::NoRootEndpoint { .. } => "NoRootEndpoint",
        }
    }
}

/// Who has a frontend that HNS refuses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Holder {
    /// A load balancer that HNS lists.
    LoadBalancer {
        /// Its id.
        id: Guid,
        /// Its frontend, which may be wider than the one refused.
        frontend: Frontend,
        /// The Service that it serves; none: it is others'.
        service: Option<ServiceName>,
    },
    /// A port on which this program answers health checks: its own, or a Service's.
    OwnHealthCheck {
        /// The Service, where it is one's.
        service: Option<ServiceName>,
    },
    /// Nothing that HNS lists: a process, a reservation of the host, or a port that HNS has leaked.
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
