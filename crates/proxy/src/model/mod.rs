//! The part of the cluster that programming depends on: Services, EndpointSlices and the node.
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
    V4,
    V6,
}

impl Family {
    pub const ALL: [Family; 2] = [Family::V4, Family::V6];

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

/// The Service names under which kubeadm and most distributions, CoreDNS' chart, and RKE2 run the DNS of the cluster.
const DNS: [&str; 3] = ["kube-dns", "coredns", "rke2-coredns-rke2-coredns"];

/// Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ServiceName {
    pub namespace: SmolStr,
    pub name: SmolStr,
}

impl ServiceName {
    pub fn new(namespace: impl Into<SmolStr>, name: impl Into<SmolStr>) -> Self {
        Self { namespace: namespace.into(), name: name.into() }
    }

    /// Whether it is the Service of the API server.
    pub fn is_api_server(&self) -> bool {
        self.namespace == "default" && self.name == "kubernetes"
    }

    /// The Service of the API server.
    pub fn api_server() -> Self {
        Self::new("default", "kubernetes")
    }

    /// Whether it is the DNS of the cluster, by the names that most distributions use.
    pub fn is_dns(&self) -> bool {
        self.namespace == "kube-system" && DNS.contains(&self.name.as_str())
    }

    /// The Services that can be the cluster DNS. A cluster has only some of them.
    pub fn dns() -> impl Iterator<Item = Self> {
        DNS.into_iter().map(|name| Self::new("kube-system", name))
    }
}

impl std::fmt::Display for ServiceName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}
