//! What a Service proxy reads of a Node: its zone.

use smol_str::SmolStr;

use super::object;

/// The label of a node's zone.
const ZONE: &str = "topology.kubernetes.io/zone";

/// A node's name and zone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// The name.
    pub name: SmolStr,
    /// The zone, where the node has one.
    pub zone: Option<SmolStr>,
}

/// Translates a node.
pub fn convert(object: &object::Node) -> Node {
    let zone = object.metadata.labels.get(ZONE).filter(|zone| !zone.is_empty());
    Node { name: SmolStr::new(&object.metadata.name), zone: zone.map(SmolStr::new) }
}
