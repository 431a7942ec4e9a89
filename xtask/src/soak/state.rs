//! What HNS should have, and what it has, as values that can be compared: one entry for each frontend and each remote endpoint.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::Ipv4Addr;

/// The name of an entry.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Key {
    /// A load balancer; without an address, that of a node port.
    Frontend {
        address: Option<Ipv4Addr>,
        port: u16,
        protocol: &'static str,
    },
    RemoteEndpoint(Ipv4Addr),
    /// An object that hnsproxy must leave alone.
    Foreign(&'static str),
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Frontend { address: Some(address), port, protocol } => write!(f, "{address}:{port}/{protocol}"),
            Self::Frontend { address: None, port, protocol } => write!(f, "node:{port}/{protocol}"),
            Self::RemoteEndpoint(address) => write!(f, "endpoint {address}"),
            Self::Foreign(name) => write!(f, "foreign {name}"),
        }
    }
}

/// What an entry is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Entry {
    LoadBalancer {
        port: u64,
        backends: BTreeSet<Ipv4Addr>,
    },
    RemoteEndpoint,
    Foreign,
    /// Something that is never right, for example two load balancers on one frontend.
    Invalid(String),
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::LoadBalancer { port, backends } => {
                let backends: Vec<String> = backends.iter().map(Ipv4Addr::to_string).collect();
                write!(f, "{} port {port}", backends.join(","))
            }
            Self::RemoteEndpoint | Self::Foreign => f.write_str("present"),
            Self::Invalid(reason) => f.write_str(reason),
        }
    }
}

pub(super) type State = BTreeMap<Key, Entry>;

/// An entry, or its absence, for people.
pub(super) fn describe(entry: Option<&Entry>) -> String {
    entry.map_or_else(|| "absent".to_owned(), Entry::to_string)
}

/// The protocol of a number in HNS or a name in Kubernetes.
pub(super) fn protocol(text: &str) -> &'static str {
    match text {
        "6" | "TCP" => "TCP",
        "17" | "UDP" => "UDP",
        _ => "?",
    }
}
