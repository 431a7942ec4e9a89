//! Writes a cluster as Kubernetes objects with only the fields that a Service proxy reads. Reading them results in an equal cluster.

use jiff::Timestamp;
use proxy::model::{Service, ServiceKind, Slice, SliceBackend};
use serde_json::{Map, Value, json};
use smol_str::SmolStr;

use crate::catalog::Catalog;
use crate::kubernetes::node::{Node, TO_BE_DELETED, ZONE};
use crate::kubernetes::service::PRESERVE_DESTINATION;
use crate::kubernetes::slice::{SERVICE_NAME, TRIGGERED};

impl Catalog {
    /// A List of the Services, EndpointSlices and Nodes, as [`Files`](crate::files::Files) read it.
    pub fn to_list(&self) -> Value {
        let nodes = self.nodes.values().map(|node| self::node(node));
        let services = self.services.values().map(|service| self::service(service));
        let slices = self.slices.values().map(|slice| self::slice(slice));
        let items: Vec<_> = nodes.chain(services).chain(slices).collect();
        json!({"apiVersion": "v1", "kind": "List", "items": items})
    }
}

fn node(node: &Node) -> Value {
    let Node { name, zone, ips, pod_cidrs, eligible } = node;
    let labels: Map<_, _> = zone.iter().map(|zone| (ZONE.to_owned(), json!(zone))).collect();
    // Addresses are sorted by type when they are read, so a single type keeps their order.
    let addresses: Vec<_> = ips.iter().map(|ip| json!({"type": "InternalIP", "address": ip})).collect();
    let taint = (!eligible).then(|| json!({"key": TO_BE_DELETED, "effect": "NoSchedule"}));
    json!({
        "apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "labels": labels},
        "spec": {"podCIDRs": pod_cidrs, "taints": Vec::from_iter(taint)}, "status": {"addresses": addresses},
    })
}

fn service(service: &Service) -> Value {
    let policy = |local: bool| if local { "Local" } else { "Cluster" };
    let created = Timestamp::from_second(service.created).unwrap_or_default();
    let annotations = if service.preserve_destination { json!({PRESERVE_DESTINATION: "true"}) } else { json!({}) };
    let families: Vec<_> = service.cluster_ips.iter().map(|ip| if ip.is_ipv4() { "IPv4" } else { "IPv6" }).collect();
    let ports: Vec<_> = service
        .ports
        .iter()
        .map(|port| {
            json!({"name": port.name, "protocol": port.protocol.to_string(), "port": port.port, "nodePort": port.node_port})
        })
        .collect();
    let kind = match service.kind {
        ServiceKind::ClusterIp => "ClusterIP",
        ServiceKind::NodePort => "NodePort",
        ServiceKind::LoadBalancer => "LoadBalancer",
    };
    let ingress: Vec<_> = service.ingress_ips.iter().map(|ip| json!({"ip": ip})).collect();
    json!({
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {
            "namespace": service.name.namespace,
            "name": service.name.name,
            "uid": service.uid,
            "creationTimestamp": created.to_string(),
            "annotations": annotations,
        },
        "spec": {
            "type": kind,
            "clusterIP": service.cluster_ips.first(),
            "clusterIPs": service.cluster_ips,
            "ipFamilies": families,
            "externalIPs": service.external_ips,
            "ports": ports,
            "internalTrafficPolicy": policy(service.internal_local),
            "externalTrafficPolicy": policy(service.external_local),
            "sessionAffinity": if service.client_ip_affinity { "ClientIP" } else { "None" },
            "sessionAffinityConfig": {"clientIP": {"timeoutSeconds": service.affinity_timeout}},
            "loadBalancerSourceRanges": service.source_ranges,
            "healthCheckNodePort": service.health_check_node_port,
        },
        "status": {"loadBalancer": {"ingress": ingress}},
    })
}

fn slice(slice: &Slice) -> Value {
    let triggered = slice.triggered.and_then(|at| Timestamp::from_nanosecond(at.into()).ok());
    let annotations: Map<_, _> = triggered.iter().map(|at| (TRIGGERED.to_owned(), json!(at.to_string()))).collect();
    let ports: Vec<_> = slice
        .ports
        .iter()
        .map(|port| json!({"name": port.name, "protocol": port.protocol.to_string(), "port": port.port}))
        .collect();
    json!({
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "namespace": slice.name.namespace,
            "name": slice.name.name,
            "labels": {SERVICE_NAME: slice.service.name},
            "annotations": annotations,
        },
        "addressType": slice.family.to_string(),
        "ports": ports,
        "endpoints": slice.backends.iter().map(backend).collect::<Vec<_>>(),
    })
}

fn backend(backend: &SliceBackend) -> Value {
    let SliceBackend { address, node, zone, ready, serving, terminating, for_zones, for_nodes } = backend;
    let named = |names: &[SmolStr]| names.iter().map(|name| json!({"name": name})).collect::<Vec<_>>();
    json!({
        "addresses": [address],
        "conditions": {"ready": ready, "serving": serving, "terminating": terminating},
        "nodeName": node,
        "zone": zone,
        "hints": {"forZones": named(for_zones), "forNodes": named(for_nodes)},
    })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::files::Files;

    fn read(text: &str) -> Catalog {
        Files::of_text(Path::new("cluster.json"), text).unwrap().catalog()
    }

    #[test]
    fn written_objects_are_read_back_equal_and_have_no_other_fields() {
        let whole = json!({"kind": "List", "apiVersion": "v1", "items": [
            {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "win-1", "labels": {ZONE: "a", "other": "other-text"}},
                "spec": {"podCIDRs": ["10.244.1.0/24"], "taints": [{"key": TO_BE_DELETED}]},
                "status": {"addresses": [{"type": "ExternalIP", "address": "203.0.113.1"}, {"type": "InternalIP", "address": "fd00::1"},
                    {"type": "InternalIP", "address": "10.0.0.1"}, {"type": "Hostname", "address": "other-text"}]}},
            {"apiVersion": "v1", "kind": "Service", "metadata": {"namespace": "ns", "name": "web",
                "uid": "0b0e4d9c-5c0e-4d55-9a43-0f4d3ad7a1c5", "creationTimestamp": "2026-11-30T18:23:07Z",
                "annotations": {PRESERVE_DESTINATION: "true", "other": "other-text"}},
                "spec": {"type": "LoadBalancer", "clusterIP": "fd00:96::1", "clusterIPs": ["fd00:96::1", "10.96.0.1"],
                    "ipFamilies": ["IPv6", "IPv4"], "externalIPs": ["198.51.100.1"], "selector": {"app": "other-text"},
                    "ports": [{"name": "dns", "protocol": "UDP", "port": 53, "nodePort": 30053},
                        {"name": "sctp", "protocol": "SCTP", "port": 54}, {"name": "web", "port": 80, "targetPort": "other-text"}],
                    "internalTrafficPolicy": "Local", "externalTrafficPolicy": "Local", "sessionAffinity": "ClientIP",
                    "sessionAffinityConfig": {"clientIP": {"timeoutSeconds": 10800}},
                    "loadBalancerSourceRanges": ["192.0.2.0/24"], "healthCheckNodePort": 30054},
                "status": {"loadBalancer": {"ingress": [{"ip": "203.0.113.7"}, {"ip": "203.0.113.8", "ipMode": "Proxy"}]}}},
            {"apiVersion": "v1", "kind": "Service", "metadata": {"namespace": "ns", "name": "plain"},
                "spec": {"clusterIP": "10.96.0.2", "ports": [{"port": 80}]}},
            {"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "metadata": {"namespace": "ns", "name": "web-1",
                "labels": {SERVICE_NAME: "web"}, "annotations": {TRIGGERED: "2026-11-30T18:23:07.123Z", "other": "other-text"}},
                "addressType": "IPv4", "ports": [{"name": "web", "port": 8080}],
                "endpoints": [{"addresses": ["10.244.1.7"], "nodeName": "win-1", "zone": "a", "targetRef": {"name": "other-text"},
                    "conditions": {"ready": false, "serving": true, "terminating": true},
                    "hints": {"forZones": [{"name": "a"}], "forNodes": [{"name": "win-1"}]}}, {"addresses": ["10.244.2.7"]}]},
        ]});
        let catalog = read(&whole.to_string());
        assert_eq!((catalog.services.len(), catalog.slices.len(), catalog.nodes.len()), (2, 1, 1), "{catalog:?}");
        let list = catalog.to_list().to_string();
        assert!(!list.contains("other-text"), "{list}");
        let again = read(&list);
        assert_eq!(
            (again.services, again.slices, again.nodes, again.problems),
            (catalog.services, catalog.slices, catalog.nodes, vec![])
        );
    }
}
