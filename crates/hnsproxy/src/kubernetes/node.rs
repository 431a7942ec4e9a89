//! What a Service proxy reads of a Node: its zone and its addresses.

use std::net::IpAddr;

use smol_str::SmolStr;

use super::{address, object};

/// The label of a node's zone.
const ZONE: &str = "topology.kubernetes.io/zone";

/// A node's name, zone and addresses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// The name.
    pub name: SmolStr,
    /// The zone, where the node has one.
    pub zone: Option<SmolStr>,
    /// Its addresses, internal ones first: the first is the primary one.
    pub ips: Vec<IpAddr>,
}

/// Translates a node.
pub fn convert(object: &object::Node) -> Node {
    let zone = object.metadata.labels.get(ZONE).filter(|zone| !zone.is_empty());
    let of_type = |kind: &'static str| {
        let of_type = object.status.addresses.iter().filter(move |address| address.r#type == kind);
        of_type.filter_map(|entry| address::parse(&entry.address))
    };
    let ips = of_type("InternalIP").chain(of_type("ExternalIP")).collect();
    Node { name: SmolStr::new(&object.metadata.name), zone: zone.map(SmolStr::new), ips }
}
