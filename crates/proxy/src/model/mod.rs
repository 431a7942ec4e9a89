//! The cluster in our words: Services, EndpointSlices and the node, with what selection needs of them and nothing else.
//!
//! Kubernetes endpoints are *backends* here; *endpoint*, *network* and *load balancer* always mean HNS objects.

mod cluster;
mod service;
mod slice;

use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

pub use cluster::{Cluster, ServiceEntry, Slices};
pub use hcn::schema::Protocol;
pub use service::{Service, ServiceKind, ServicePort};
pub use slice::{Slice, SliceBackend, SliceName, SlicePort};

/// An IP family.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

impl Family {
    /// Both families.
    pub const ALL: [Family; 2] = [Family::V4, Family::V6];

    /// The family of an address.
    pub fn of(address: IpAddr) -> Self {
        if address.is_ipv4() { Family::V4 } else { Family::V6 }
    }
}

impl std::fmt::Display for Family {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Family::V4 => "IPv4",
            Family::V6 => "IPv6",
        })
    }
}

/// The name of a Service: namespace and name. Cheap to copy.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ServiceName {
    /// The namespace.
    pub namespace: SmolStr,
    /// The name in the namespace.
    pub name: SmolStr,
}

impl ServiceName {
    /// A name from its two parts.
    pub fn new(namespace: impl Into<SmolStr>, name: impl Into<SmolStr>) -> Self {
        Self { namespace: namespace.into(), name: name.into() }
    }
}

impl std::fmt::Display for ServiceName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}
