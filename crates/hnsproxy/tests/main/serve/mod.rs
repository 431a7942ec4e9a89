//! What the program answers over HTTP: health checks of the node and of Services, and the pages at the address of metrics.

mod addresses;
#[cfg(unix)]
mod flood;
mod health;
mod history;
mod memory;
mod pages;
mod process;
mod service_health;
mod status_api;
mod tls;
mod ui;

use std::path::Path;

use serde_json::json;

use crate::support::hns::Hns;
use crate::support::recording::cluster_flag;
use crate::support::running::Running;

const MIXED: &str = "mixed-l2bridge";

/// Starts the program on the cluster of a recording, with further flags.
fn start(hns: &Hns, flags: &[&str]) -> Running {
    let (cluster, at) = (cluster_flag(MIXED), hns.flag());
    Running::start(&[&[cluster.as_str(), &at, "--enable-dsr"], flags].concat())
}

/// As [`start`], on the HNS of the recording, in sync.
fn in_sync(flags: &[&str]) -> (Hns, Running) {
    let hns = Hns::of(MIXED);
    let running = start(&hns, flags);
    running.wait_until_in_sync();
    (hns, running)
}

/// Writes a cluster of the Service `ns/web`, with a health check where a port is given, its backends (whether each is ready, and the name
/// of its node), and the Node `win-1` with a taint.
fn write_cluster(path: &Path, health_check_port: Option<u16>, backends: &[(bool, &str)], taint: &str) {
    let check = health_check_port.map_or(
        json!({"type": "ClusterIP"}),
        |port| json!({"type": "LoadBalancer", "externalTrafficPolicy": "Local", "healthCheckNodePort": port}),
    );
    let mut service = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"namespace": "ns", "name": "web"},
        "spec": {"clusterIP": "10.96.9.9", "ports": [{"port": 80, "nodePort": 30080}]}});
    service["spec"].as_object_mut().unwrap().extend(check.as_object().unwrap().clone());
    let backends: Vec<_> = backends
        .iter()
        .enumerate()
        .map(|(index, (ready, node))| {
            json!({"addresses": [format!("10.244.7.{}", index + 1)], "nodeName": node, "conditions": {"ready": ready}})
        })
        .collect();
    let slice = json!({"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
        "metadata": {"namespace": "ns", "name": "web-1", "labels": {"kubernetes.io/service-name": "web"}},
        "ports": [{"name": "", "port": 8080}], "endpoints": backends});
    let node = json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "win-1"},
        "spec": {"taints": [{"key": taint, "effect": "NoSchedule"}]}});
    let list = json!({"apiVersion": "v1", "kind": "List", "items": [service, slice, node]});
    std::fs::write(path, list.to_string()).unwrap();
}
