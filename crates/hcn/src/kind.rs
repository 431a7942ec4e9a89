//! The kinds of HNS objects.

use serde::{Deserialize, Serialize};

/// A kind of HNS object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Kind {
    /// A virtual network.
    Network,
    /// A port of a virtual network: a pod, the host, or an address on another node.
    Endpoint,
    /// A load balancer: a frontend and its backends.
    LoadBalancer,
    /// A network namespace (compartment).
    Namespace,
    /// An SDN route.
    Route,
}

impl Kind {
    /// The name as in the names of HCN functions in the singular (`HcnOpenSdnRoute`).
    pub fn name(self) -> &'static str {
        match self {
            Kind::Network => "Network",
            Kind::Endpoint => "Endpoint",
            Kind::LoadBalancer => "LoadBalancer",
            Kind::Namespace => "Namespace",
            Kind::Route => "SdnRoute",
        }
    }
}
