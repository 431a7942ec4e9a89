//! What a Service asks for and can't have, or not yet.

use std::net::IpAddr;

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
    /// The slice is earlier than the CNI, or the pod uses the host's network.
    #[error("backend {address} runs on this node but has no HNS endpoint; it is left out until there is one")]
    NoLocalEndpoint {
        /// The backend.
        address: IpAddr,
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
