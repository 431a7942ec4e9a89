//! What a Service proxy reads of a Node: its zone, its addresses, and whether it is to stay.

use std::net::IpAddr;

use smol_str::SmolStr;

use super::{address, object};

/// The label of a node's zone.
const ZONE: &str = "topology.kubernetes.io/zone";
/// The taint by which the cluster autoscaler says that a node is to go.
const TO_BE_DELETED: &str = "ToBeDeletedByClusterAutoscaler";

/// A node, as far as it concerns a Service proxy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// The name.
    pub name: SmolStr,
    /// The zone, where the node has one.
    pub zone: Option<SmolStr>,
    /// Its addresses, internal ones first: the first is the primary one.
    pub ips: Vec<IpAddr>,
    /// The ranges of its pods' addresses.
    pub pod_cidrs: Vec<String>,
    /// Whether load balancers may send it traffic: it is not about to go.
    pub eligible: bool,
}

impl Node {
    /// A Node of which nothing but the name is known.
    pub fn unknown(name: &str) -> Self {
        Self { name: SmolStr::new(name), zone: None, ips: Vec::new(), pod_cidrs: Vec::new(), eligible: true }
    }
}

/// Translates a node.
pub fn convert(object: &object::Node) -> Node {
    let zone = object.metadata.labels.get(ZONE).filter(|zone| !zone.is_empty());
    let of_type = |kind: &'static str| {
        let of_type = object.status.addresses.iter().filter(move |address| address.r#type == kind);
        of_type.filter_map(|entry| address::parse(&entry.address))
    };
    let ips = of_type("InternalIP").chain(of_type("ExternalIP")).collect();
    let to_go = object.metadata.deletion_timestamp.is_some()
        || object.spec.taints.iter().any(|taint| taint.key == TO_BE_DELETED);
    Node {
        name: SmolStr::new(&object.metadata.name),
        zone: zone.map(SmolStr::new),
        ips,
        pod_cidrs: object.spec.pod_cidrs.clone(),
        eligible: !to_go,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_node_that_is_about_to_go_is_not_eligible() {
        let eligible = |metadata, taints| {
            let object = json!({"metadata": metadata, "spec": {"taints": taints}});
            convert(&serde_json::from_value(object).unwrap()).eligible
        };
        assert!(eligible(json!({"name": "a"}), json!(null)));
        assert!(eligible(json!({"name": "a"}), json!([{"key": "os", "value": "windows", "effect": "NoSchedule"}])));
        assert!(!eligible(json!({"name": "a"}), json!([{"key": TO_BE_DELETED, "effect": "PreferNoSchedule"}])));
        assert!(!eligible(json!({"name": "a", "deletionTimestamp": "2026-01-01T00:00:00Z"}), json!([])));
    }
}
