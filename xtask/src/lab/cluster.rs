//! The cluster of the lab: one Service with three kinds of addresses, and its EndpointSlice.

use std::net::{IpAddr, Ipv4Addr};

use serde_json::{Value, json};

use crate::cluster::objects;

pub(super) const NODE_ADDRESS: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 168, 77, 1));
/// A pod of the node that sends requests.
pub(super) const CLIENT_POD: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 244, 1, 100));
/// A computer outside of the cluster that sends requests.
pub(super) const CLIENT_OUTSIDE: IpAddr = IpAddr::V4(Ipv4Addr::new(198, 51, 100, 7));
pub(super) const CLUSTER_IP: Ipv4Addr = Ipv4Addr::new(10, 96, 0, 80);
pub(super) const EXTERNAL_IP: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 80);
pub(super) const PORT: u16 = 80;
pub(super) const NODE_PORT: u16 = 30_080;
/// The port of the servers.
pub(super) const TARGET_PORT: u16 = 8080;

pub(super) const NAMESPACE: &str = "lab";
const SERVICE: &str = "web";

/// The cluster without the slice of the Service.
pub(super) fn cluster() -> Vec<Value> {
    let mut all = objects(0, 0);
    all.push(json!({
        "apiVersion": "v1", "kind": "Service",
        "metadata": {"namespace": NAMESPACE, "name": SERVICE, "creationTimestamp": "2026-01-01T00:00:00Z"},
        "spec": {
            "type": "NodePort", "clusterIP": CLUSTER_IP, "clusterIPs": [CLUSTER_IP], "ipFamilies": ["IPv4"],
            "ipFamilyPolicy": "SingleStack", "internalTrafficPolicy": "Cluster", "externalTrafficPolicy": "Cluster",
            "sessionAffinity": "None", "externalIPs": [EXTERNAL_IP], "selector": {"app": SERVICE},
            "ports": [{"name": "http", "protocol": "TCP", "port": PORT, "targetPort": TARGET_PORT, "nodePort": NODE_PORT}],
        },
        "status": {"loadBalancer": {}},
    }));
    all
}

/// The slice of the Service with the records of its pods.
pub(super) fn slice(records: &[Value]) -> Value {
    json!({
        "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
        "metadata": {
            "namespace": NAMESPACE, "name": format!("{SERVICE}-x7k2p"), "labels": {"kubernetes.io/service-name": SERVICE},
        },
        "ports": [{"name": "http", "protocol": "TCP", "port": TARGET_PORT}],
        "endpoints": records,
    })
}
