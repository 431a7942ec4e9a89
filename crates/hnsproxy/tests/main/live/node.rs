//! What the own Node says.

use serde_json::{Value, json};
use test_api_server::{ApiServer, Credentials, Kind};

use super::{Cluster, Live, service, slice};
use crate::hns::Hns;
use crate::http::{get, wait};
use crate::program::{Running, emulated, hnsproxy, recording, until};
use crate::support::recording::{flags as flags_of, recorded};

fn node(status: Value, spec: Value) -> Value {
    json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "win-9"}, "spec": spec, "status": status})
}

fn addresses(address: &str) -> Value {
    json!({"addresses": [{"type": "Hostname", "address": "win-9"}, {"type": "InternalIP", "address": address}]})
}

/// A Service with a port on every node.
fn node_port(server: &ApiServer) {
    let mut service = service("a", "10.96.9.1");
    service["spec"]["type"] = json!("NodePort");
    service["spec"]["ports"] = json!([{"port": 80, "nodePort": 30080}]);
    server.load(json!([service, slice("a", "192.168.77.4")])).unwrap();
}

/// A host of a recording that does not know its own name and addresses.
fn bare(cluster: &Cluster, name: &str) -> String {
    let text = std::fs::read_to_string(recording(name, "host.json")).unwrap();
    let mut host: Value = serde_json::from_str(&text).unwrap();
    for member in ["node", "nodeIPs"] {
        host.as_object_mut().unwrap().remove(member);
    }
    let file = cluster.file("host.json");
    std::fs::write(&file, host.to_string()).unwrap();
    emulated(&file)
}

#[test]
fn the_addresses_of_the_node_are_those_of_its_object() {
    for name in ["boutique-overlay", "mixed-l2bridge"] {
        let cluster = Cluster::recorded(name);
        let (kubeconfig, flags) = (cluster.flag(&Credentials::None), flags_of(&recorded(name)));
        let end = |hns: &str| {
            let mut arguments = vec!["run", &kubeconfig, hns, "--once", "-o=json", "--hostname-override=WIN-1"];
            arguments.extend(flags.iter().map(String::as_str));
            let held = hnsproxy(&arguments).expect(0).json();
            (held["endpoints"].clone(), held["loadBalancers"].clone())
        };
        assert_eq!(end(&bare(&cluster, name)), end(&emulated(&recording(name, "host.json"))), "{name}");
    }
}

#[cfg(unix)]
#[test]
fn addresses_are_waited_for_and_followed() {
    let cluster = Cluster::of(ApiServer::start().unwrap());
    let server = &cluster.server;
    server.put(node(json!({}), json!({}))).unwrap();
    node_port(server);
    let (kubeconfig, hns) = (cluster.flag(&Credentials::None), bare(&cluster, "boutique-l2bridge"));
    let saved = cluster.file("saved.json");
    let save = format!("--save-hns={}", saved.display());
    let running = Running::start(&[&kubeconfig, &hns, &save, "--hostname-override=win-9", "-v=2"]);
    running.wait_for("addresses of the Node win-9 is waited for");
    server.put(node(addresses("192.168.77.1"), json!({}))).unwrap();
    let lines = running.lines_to("HNS holds all that it should");
    assert!(lines.iter().any(|line| line.contains("this node has the addresses 192.168.77.1")), "{lines:#?}");
    server.put(node(addresses("192.168.77.4"), json!({}))).unwrap();
    running.wait_for("this node has the addresses 192.168.77.4");
    server.delete(Kind::Node, "", "win-9");
    running.wait_for("there is no Node win-9");
    running.end();
}

#[test]
fn other_pod_cidrs_end_the_program_where_they_are_needed() {
    let cluster = Cluster::of(ApiServer::start().unwrap());
    let server = &cluster.server;
    let of = |range: &str| node(addresses("192.168.77.1"), json!({"podCIDR": range, "podCIDRs": [range]}));
    server.put(of("10.244.1.0/24")).unwrap();
    let (kubeconfig, hns) = (cluster.flag(&Credentials::None), Hns::of("boutique-l2bridge"));
    let start = |mode: &str| {
        let flags = [&kubeconfig, &hns.flag(), "--hostname-override=win-9", mode];
        let running = Running::start(&flags);
        running.wait_for("HNS holds all that it should");
        until("the Node is watched", || server.watches(Kind::Node) > 0);
        running
    };
    let (strict, lax) = (start("--detect-local-mode=NodeCIDR"), start("--detect-local-mode="));
    server.put(of("10.244.2.0/24")).unwrap();
    strict.wait_for("the podCIDRs of the Node win-9 are no longer 10.244.1.0/24 but 10.244.2.0/24");
    assert_eq!(strict.code(), Some(1));
    node_port(server);
    until("the other goes on", || hns.has("10.96.9.1"));
    drop(lax);
}

#[test]
fn load_balancers_are_told_whether_the_node_stays_as_it_was_last_seen() {
    let live =
        Live::start_on(Cluster::of(ApiServer::start().unwrap()), "boutique-l2bridge", &["--hostname-override=win-9"]);
    let server = &live.cluster.server;
    let healthz = |code: u16| {
        let body = wait(live.running.health, "/healthz", |answer| answer.code == code).json();
        assert_eq!((&body["nodeEligible"], &body["healthy"]), (&json!(code == 200), &json!(true)));
        assert_eq!(get(live.running.health, "/livez").unwrap().code, 200);
    };
    let tainted =
        |key: &str| node(addresses("192.168.77.1"), json!({"taints": [{"key": key, "effect": "NoSchedule"}]}));
    // What came before a Service that is told to be programmed was taken too.
    let delete = |service: &str, address: &str| {
        server.delete(Kind::Node, "", "win-9");
        live.running.wait_for("there is no Node win-9");
        live.settle(service, address);
        let confirmed = json!(live.hns.load_balancers().len());
        wait(live.running.metrics, "/readyz", |answer| answer.json()["load_balancers"]["confirmed"] == confirmed);
    };
    healthz(503);
    server.put(tainted("os")).unwrap();
    healthz(200);
    delete("a", "10.96.9.1");
    healthz(200);
    server.put(tainted("ToBeDeletedByClusterAutoscaler")).unwrap();
    healthz(503);
    delete("b", "10.96.9.2");
    healthz(503);
    server.put(tainted("os")).unwrap();
    healthz(200);
    let mut going = tainted("os");
    going["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
    server.put(going).unwrap();
    healthz(503);
}
