//! An EndpointSlice, reduced to what programming depends on.

use std::net::IpAddr;

use smol_str::SmolStr;

use super::{Family, Protocol, ServiceName};

#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SliceName {
    pub namespace: SmolStr,
    pub name: SmolStr,
}

impl std::fmt::Display for SliceName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

/// Some backends of a Service, all of one family. Every backend has every port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slice {
    pub name: SliceName,
    pub service: ServiceName,
    pub family: Family,
    pub ports: Vec<SlicePort>,
    pub backends: Vec<SliceBackend>,
    /// The annotation `endpoints.kubernetes.io/last-change-trigger-time`, in nanoseconds since the Unix epoch.
    pub triggered: Option<i64>,
}

/// It belongs to the port of the Service with the same name and protocol.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SlicePort {
    pub name: SmolStr,
    pub protocol: Protocol,
    pub port: u16,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct SliceBackend {
    pub address: IpAddr,
    /// `nodeName`.
    pub node: Option<SmolStr>,
    /// `zone`.
    pub zone: Option<SmolStr>,
    /// `conditions.ready`; true if absent.
    pub ready: bool,
    /// `conditions.serving`; true if absent.
    pub serving: bool,
    /// `conditions.terminating`; false if absent.
    pub terminating: bool,
    /// `hints.forZones`; empty without hints.
    pub for_zones: Vec<SmolStr>,
    /// `hints.forNodes`; empty without hints.
    pub for_nodes: Vec<SmolStr>,
}
