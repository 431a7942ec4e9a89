//! Converts a Node of the API: its zone, its addresses, and whether it is about to be removed.

use std::net::IpAddr;

use smol_str::SmolStr;

use super::{address, object};

pub(crate) const ZONE: &str = "topology.kubernetes.io/zone";
/// The taint that the cluster autoscaler sets before it removes a node. kube-proxy's health check honours it too (KEP-3836).
pub(crate) const TO_BE_DELETED: &str = "ToBeDeletedByClusterAutoscaler";

/// The fields of a Node that concern a Service proxy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    pub name: SmolStr,
    pub zone: Option<SmolStr>,
    /// Internal addresses first. The first address is the primary one.
    pub ips: Vec<IpAddr>,
    pub pod_cidrs: Vec<String>,
    /// Whether external load balancers may send traffic to the node, because it is not about to be removed.
    pub eligible: bool,
}

pub fn convert(object: &object::Node) -> Node {
    let zone = object.metadata.labels.get(ZONE).filter(|zone| !zone.is_empty());
    let of_type = |kind: &'static str| {
        let of_type = object.status.addresses.iter().filter(move |address| address.r#type == kind);
        of_type.filter_map(|entry| address::parse(&entry.address))
    };
    let ips = of_type("InternalIP").chain(of_type("ExternalIP")).collect();
    let leaving = object.metadata.deletion_timestamp.is_some()
        || object.spec.taints.iter().any(|taint| taint.key == TO_BE_DELETED);
    Node {
        name: SmolStr::new(&object.metadata.name),
        zone: zone.map(SmolStr::new),
        ips,
        pod_cidrs: object.spec.pod_cidrs.clone(),
        eligible: !leaving,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_node_that_is_about_to_be_removed_is_not_eligible() {
        let eligible = |metadata, taints| {
            let object = json!({"metadata": metadata, "spec": {"taints": taints}});
            convert(&serde_json::from_value(object).unwrap()).eligible
        };
        assert!(eligible(json!({"name": "a"}), json!(null)));
        assert!(eligible(json!({"name": "a"}), json!([{"key": "os", "value": "windows", "effect": "NoSchedule"}])));
        assert!(!eligible(json!({"name": "a"}), json!([{"key": TO_BE_DELETED, "effect": "PreferNoSchedule"}])));
        assert!(!eligible(json!({"name": "a", "deletionTimestamp": "2026-01-01T00:00:00Z"}), json!([])));
    }

    #[test]
    fn case_19_internal_addresses_come_before_external_ones() {
        let (internal, external, host) =
            (("InternalIP", "10.0.0.1"), ("ExternalIP", "203.0.113.1"), ("Hostname", "win-1"));
        for (addresses, expected) in [
            (vec![external, host, internal, ("InternalIP", "fd00::1")], &["10.0.0.1", "fd00::1", "203.0.113.1"][..]),
            (vec![host, external], &["203.0.113.1"]),
            (vec![host], &[]),
            (vec![("InternalIP", "not-an-ip"), ("InternalIP", ""), internal], &["10.0.0.1"]),
        ] {
            let address = |(kind, address): &(&str, &str)| json!({"type": kind, "address": address});
            let status = json!({"addresses": addresses.iter().map(address).collect::<Vec<_>>()});
            let node: object::Node = serde_json::from_value(json!({"status": status})).unwrap();
            let ips: Vec<_> = convert(&node).ips.iter().map(ToString::to_string).collect();
            assert_eq!(ips, expected, "{addresses:?}");
        }
    }
}
