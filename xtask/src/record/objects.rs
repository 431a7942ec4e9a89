//! The Kubernetes objects of a timeline.

use std::net::IpAddr;

use serde_json::{Value, json};
use vswitch_lab::timeline::{NAMESPACE, Service, node_of};

/// A Service and its EndpointSlice.
pub(super) fn of(service: &Service) -> [Value; 2] {
    let Service { name, cluster_ip, external_ip, has_client_ip_affinity, ports, ready, terminating } = service;
    let service_port = |port: &vswitch_lab::timeline::Port| json!({"name": port.name, "protocol": "TCP", "port": port.number, "targetPort": port.target});
    let slice_port =
        |port: &vswitch_lab::timeline::Port| json!({"name": port.name, "protocol": "TCP", "port": port.target});
    let affinity = if *has_client_ip_affinity {
        json!({"sessionAffinity": "ClientIP", "sessionAffinityConfig": {"clientIP": {"timeoutSeconds": 10_800}}})
    } else {
        json!({"sessionAffinity": "None"})
    };
    let mut spec = json!({
        "type": "ClusterIP", "clusterIP": cluster_ip, "clusterIPs": [cluster_ip], "ipFamilies": ["IPv4"],
        "ipFamilyPolicy": "SingleStack", "internalTrafficPolicy": "Cluster", "externalIPs": Vec::from_iter(external_ip),
        "selector": {"app": name}, "ports": ports.iter().map(service_port).collect::<Vec<_>>(),
    });
    if let (Value::Object(spec), Value::Object(affinity)) = (&mut spec, affinity) {
        spec.extend(affinity);
    }
    let endpoint = |address: &IpAddr, is_ready: bool| {
        json!({
            "addresses": [address], "nodeName": node_of(*address),
            "conditions": {"ready": is_ready, "serving": true, "terminating": !is_ready},
            "targetRef": {"kind": "Pod", "namespace": NAMESPACE, "name": format!("{name}-{address}")},
        })
    };
    let ready = ready.iter().map(|address| endpoint(address, true));
    let endpoints: Vec<Value> = ready.chain(terminating.iter().map(|address| endpoint(address, false))).collect();
    let slice = json!({
        "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
        "metadata": {
            "namespace": NAMESPACE, "name": format!("{name}-1"), "labels": {"kubernetes.io/service-name": name},
        },
        "ports": ports.iter().map(slice_port).collect::<Vec<_>>(), "endpoints": endpoints,
    });
    let service = json!({
        "apiVersion": "v1", "kind": "Service",
        "metadata": {"namespace": NAMESPACE, "name": name, "creationTimestamp": "2026-01-01T00:00:00Z"},
        "spec": spec, "status": {"loadBalancer": {}},
    });
    [service, slice]
}
