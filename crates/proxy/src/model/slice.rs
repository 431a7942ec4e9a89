//! An EndpointSlice: some of a Service's backends.

use std::net::IpAddr;

use smol_str::SmolStr;

use super::{Family, Protocol, ServiceName};

/// The name of a slice: namespace and name.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SliceName {
    /// The namespace.
    pub namespace: SmolStr,
    /// The name in the namespace.
    pub name: SmolStr,
}

impl std::fmt::Display for SliceName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

/// Some backends of a Service, of one family. Every backend has every port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slice {
    /// Its name.
    pub name: SliceName,
    /// The Service it belongs to.
    pub service: ServiceName,
    /// The family of its addresses.
    pub family: Family,
    /// The ports.
    pub ports: Vec<SlicePort>,
    /// The backends.
    pub backends: Vec<SliceBackend>,
    /// When what it says last began to change, in nanoseconds of Unix time: the annotation
    /// `endpoints.kubernetes.io/last-change-trigger-time`.
    pub triggered: Option<i64>,
}

/// A port of a slice. Meets the Service's port of the same name and protocol.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SlicePort {
    /// Its name.
    pub name: SmolStr,
    /// Its protocol.
    pub protocol: Protocol,
    /// The port of the backends.
    pub port: u16,
}

/// A backend of a slice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SliceBackend {
    /// Its address.
    pub address: IpAddr,
    /// The node it runs on, where the slice says so.
    pub node: Option<SmolStr>,
    /// The zone it runs in, where the slice says so.
    pub zone: Option<SmolStr>,
    /// Takes new connections. Absent in the slice: true.
    pub ready: bool,
    /// Answers, even if it is terminating. Absent in the slice: true.
    pub serving: bool,
    /// Is going away. Absent in the slice: false.
    pub terminating: bool,
    /// The zones it is meant for; empty without hints.
    pub for_zones: Vec<SmolStr>,
    /// The nodes it is meant for; empty without hints.
    pub for_nodes: Vec<SmolStr>,
}
