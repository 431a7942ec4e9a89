//! Objects of clusters: Services with different backends, and the Services of DNS and the API server.

use std::net::Ipv4Addr;

use serde_json::{Value, json};

/// The name of the node on which the proxy runs.
pub(crate) const NODE: &str = "here";

/// The objects of a cluster. The Services of DNS and the API server are the last two.
pub(crate) fn objects(services: u32, backends: u32) -> Vec<Value> {
    let of_services = (0..services).flat_map(|number| [service(number), slice(number, backends)]);
    let dns = named("kube-system", "kube-dns", 0x0a60_fffe, &[Ipv4Addr::new(10, 255, 0, 1)]);
    let api = named("default", "kubernetes", 0x0a60_ffff, &[Ipv4Addr::new(192, 168, 77, 9)]);
    std::iter::once(node()).chain(of_services).chain(dns).chain(api).collect()
}

/// The node on which the proxy runs.
pub(crate) fn node() -> Value {
    json!({
        "apiVersion": "v1", "kind": "Node", "metadata": {"name": NODE, "uid": "11111111-2222-3333-4444-555555555555"},
        "spec": {"podCIDR": "10.244.1.0/24", "podCIDRs": ["10.244.1.0/24"]},
        "status": {"addresses": [{"type": "InternalIP", "address": "192.168.77.1"}, {"type": "Hostname", "address": NODE}]},
    })
}

fn named(namespace: &str, name: &str, cluster_ip: u32, backends: &[Ipv4Addr]) -> [Value; 2] {
    [a_service(namespace, name, Ipv4Addr::from_bits(cluster_ip)), a_slice(namespace, name, backends)]
}

/// The name of a Service.
pub(crate) fn name(number: u32) -> String {
    format!("service-{number:05}")
}

pub(crate) fn service(number: u32) -> Value {
    a_service("bench", &name(number), service_address(number))
}

/// The address of a Service.
pub(crate) fn service_address(number: u32) -> Ipv4Addr {
    Ipv4Addr::from_bits(0x0a60_0001 + number)
}

/// The slice of a Service, with its first backends.
pub(crate) fn slice(number: u32, backends: u32) -> Value {
    let addresses: Vec<_> = (0..backends).map(|backend| address(number, backend)).collect();
    a_slice("bench", &name(number), &addresses)
}

/// The slice of a Service with backends at addresses.
pub(crate) fn slice_of(number: u32, addresses: &[Ipv4Addr]) -> Value {
    a_slice("bench", &name(number), addresses)
}

/// The address of a backend.
pub(crate) fn address(service: u32, backend: u32) -> Ipv4Addr {
    Ipv4Addr::from_bits(0x0b00_0001 + service * 128 + backend)
}

fn a_service(namespace: &str, name: &str, cluster_ip: Ipv4Addr) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Service",
        "metadata": {
            "namespace": namespace, "name": name, "creationTimestamp": "2026-01-01T00:00:00Z",
            "labels": {"app.kubernetes.io/name": name, "app.kubernetes.io/managed-by": "bench"},
        },
        "spec": {
            "type": "ClusterIP", "clusterIP": cluster_ip, "clusterIPs": [cluster_ip], "ipFamilies": ["IPv4"],
            "ipFamilyPolicy": "SingleStack", "internalTrafficPolicy": "Cluster", "sessionAffinity": "None",
            "selector": {"app.kubernetes.io/name": name},
            "ports": [{"name": "http", "protocol": "TCP", "port": 80, "targetPort": 8080}],
        },
        "status": {"loadBalancer": {}},
    })
}

fn a_slice(namespace: &str, service: &str, addresses: &[Ipv4Addr]) -> Value {
    let endpoint = |address: &Ipv4Addr| {
        json!({
            "addresses": [address], "conditions": {"ready": true, "serving": true, "terminating": false},
            "nodeName": "there", "targetRef": {"kind": "Pod", "namespace": namespace, "name": format!("{service}-{address}")},
        })
    };
    json!({
        "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
        "metadata": {
            "namespace": namespace, "name": format!("{service}-x7k2p"), "generateName": format!("{service}-"),
            "labels": {
                "kubernetes.io/service-name": service,
                "endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io",
            },
        },
        "ports": [{"name": "http", "protocol": "TCP", "port": 8080}],
        "endpoints": addresses.iter().map(endpoint).collect::<Vec<_>>(),
    })
}
