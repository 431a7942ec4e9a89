//! This node's Node: its addresses, pod CIDRs, taints, and what happens without it.

use hcn_emulator::Host;
use serde_json::{Value, json};
use test_api_server::{ApiServer, Credentials, Kind};

use super::Live;
use crate::support::cluster::{Cluster, service, slice};
use crate::support::hns::Hns;
use crate::support::http::{get, wait_for_page};
use crate::support::program::hnsproxy;
use crate::support::recording::{flags, host, recorded};
use crate::support::running::Running;
use crate::support::wait::wait_until;

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
fn without_addresses(name: &str) -> Hns {
    Hns::on(&Host { node: String::new(), node_ips: Vec::new(), ..host(name) })
}

#[test]
fn the_addresses_of_the_node_are_those_of_its_object() {
    for name in ["boutique-overlay", "mixed-l2bridge"] {
        let cluster = Cluster::recorded(name);
        let (kubeconfig, flags) = (cluster.flag(&Credentials::None), flags(&recorded(name)));
        let run = |hns: &Hns| {
            let hns = hns.flag();
            let mut arguments = vec!["run", &kubeconfig, &hns, "--once", "-o=json", "--hostname-override=WIN-1"];
            arguments.extend(flags.iter().map(String::as_str));
            let state = hnsproxy(&arguments).expect(0).json();
            (state["endpoints"].clone(), state["loadBalancers"].clone())
        };
        assert_eq!(run(&without_addresses(name)), run(&Hns::of(name)), "{name}");
    }
}

#[test]
fn nothing_is_programmed_before_the_node_has_an_address() {
    let (cluster, hns) = (Cluster::empty(), without_addresses("boutique-l2bridge"));
    cluster.server.put(node(json!({}), json!({}))).unwrap();
    node_port(&cluster.server);
    let running = Running::start(&[&cluster.flag(&Credentials::None), &hns.flag(), "--hostname-override=win-9"]);
    running.wait_until_waiting_for("NodeIncomplete");
    assert_eq!(hns.emulator.writes(), 0);
    cluster.server.put(node(addresses("192.168.77.1"), json!({}))).unwrap();
    let state = running.wait_until_in_sync();
    assert_eq!(state["node"]["addresses"], json!(["192.168.77.1"]));
    hns.wait_for_frontend("10.96.9.1");
}

#[test]
fn the_addresses_of_the_node_are_followed() {
    let (cluster, hns) = (Cluster::empty(), without_addresses("boutique-l2bridge"));
    cluster.server.put(node(addresses("192.168.77.1"), json!({}))).unwrap();
    let running = Running::start(&[&cluster.flag(&Credentials::None), &hns.flag(), "--hostname-override=win-9"]);
    let has = |address: &str| {
        let addresses = json!([address]);
        running.wait_for_state("the address of the Node", |state| state["node"]["addresses"] == addresses);
    };
    has("192.168.77.1");
    cluster.server.put(node(addresses("192.168.77.4"), json!({}))).unwrap();
    has("192.168.77.4");
}

#[test]
fn a_node_that_is_deleted_keeps_its_addresses() {
    let (cluster, hns) = (Cluster::empty(), without_addresses("boutique-l2bridge"));
    cluster.server.put(node(addresses("192.168.77.1"), json!({}))).unwrap();
    let running = Running::start(&[&cluster.flag(&Credentials::None), &hns.flag(), "--hostname-override=win-9"]);
    running.wait_until_in_sync();
    cluster.server.delete(Kind::Node, "", "win-9");
    let state = running.wait_until_waiting_for("NodeDeleted");
    assert_eq!(state["node"]["addresses"], json!(["192.168.77.1"]));
    cluster.server.put(node(addresses("192.168.77.1"), json!({}))).unwrap();
    running.wait_until_in_sync();
}

#[test]
fn other_addresses_and_the_deletion_of_the_node_cause_no_unneeded_write() {
    let (cluster, hns) = (Cluster::empty(), without_addresses("boutique-l2bridge"));
    cluster.server.put(node(addresses("192.168.77.1"), json!({}))).unwrap();
    cluster.put_web("a", "10.96.9.1");
    let running = Running::start(&[&cluster.flag(&Credentials::None), &hns.flag(), "--hostname-override=win-9"]);
    running.wait_until_in_sync();
    let writes = hns.emulator.writes();
    cluster.server.put(node(addresses("192.168.77.9"), json!({}))).unwrap();
    running.wait_for_state("the address of the Node", |state| state["node"]["addresses"] == json!(["192.168.77.9"]));
    cluster.server.delete(Kind::Node, "", "win-9");
    running.wait_until_waiting_for("NodeDeleted");
    hns.wait_for_audit();
    assert_eq!(hns.emulator.writes(), writes);
}

/// The Node with a pod CIDR.
fn with_pod_cidr(range: &str) -> Value {
    node(addresses("192.168.77.1"), json!({"podCIDR": range, "podCIDRs": [range]}))
}

/// The program in sync on a Node whose pod CIDR then changes.
fn after_another_pod_cidr(mode: &str) -> (Cluster, Hns, Running) {
    let (cluster, hns) = (Cluster::empty(), Hns::of("boutique-l2bridge"));
    cluster.server.put(with_pod_cidr("10.244.1.0/24")).unwrap();
    let flags = [&cluster.flag(&Credentials::None), &hns.flag(), "--hostname-override=win-9", mode];
    let running = Running::start(&flags);
    running.wait_until_in_sync();
    wait_until("the Node to be watched", || cluster.server.watches(Kind::Node), |watches| *watches > 0);
    cluster.server.put(with_pod_cidr("10.244.2.0/24")).unwrap();
    (cluster, hns, running)
}

#[test]
fn other_pod_cidrs_end_the_program_where_local_traffic_is_detected_by_them() {
    let (_cluster, _hns, running) = after_another_pod_cidr("--detect-local-mode=NodeCIDR");
    assert_eq!(running.exit_code(), Some(1));
}

#[test]
fn other_pod_cidrs_change_nothing_elsewhere() {
    let (cluster, hns, _running) = after_another_pod_cidr("--detect-local-mode=");
    node_port(&cluster.server);
    hns.wait_for_frontend("10.96.9.1");
}

/// The program with its Node `win-9`, and the answers of `/healthz` to load balancers.
struct Watched(Live);

impl Watched {
    fn start() -> Self {
        Self(Live::start_on(Cluster::empty(), "boutique-l2bridge", &["--hostname-override=win-9"]))
    }

    fn server(&self) -> &ApiServer {
        &self.0.cluster.server
    }

    /// Puts the Node with a taint.
    fn taint(&self, key: &str) {
        let taints = json!({"taints": [{"key": key, "effect": "NoSchedule"}]});
        self.server().put(node(addresses("192.168.77.1"), taints)).unwrap();
    }

    /// Waits until `/healthz` has this `nodeEligible`. The node is healthy and alive in either case.
    #[track_caller]
    fn wait_until_eligible(&self, eligible: bool) {
        let health = self.0.running.health;
        let healthz = wait_for_page(health, "/healthz", |answer| answer.json()["nodeEligible"] == eligible);
        assert_eq!((healthz.code, &healthz.json()["healthy"]), (if eligible { 200 } else { 503 }, &json!(true)));
        assert_eq!(get(health, "/livez").unwrap().code, 200);
    }

    /// Deletes the Node, and checks that `/healthz` stays as it was.
    #[track_caller]
    fn delete_stays(&self, eligible: bool) {
        self.server().delete(Kind::Node, "", "win-9");
        self.0.running.wait_for_state("the Node to be gone", |state| state["node"]["found"] == false);
        self.wait_until_eligible(eligible);
    }
}

#[test]
fn a_node_that_was_not_seen_is_not_eligible() {
    Watched::start().wait_until_eligible(false);
}

#[test]
fn a_node_with_the_taint_of_the_autoscaler_is_not_eligible_until_it_is_removed() {
    let watched = Watched::start();
    watched.taint("ToBeDeletedByClusterAutoscaler");
    watched.0.running.wait_for_state("the Node", |state| state["node"]["found"] == true);
    watched.wait_until_eligible(false);
    watched.taint("os");
    watched.wait_until_eligible(true);
}

#[test]
fn a_deleted_node_stays_as_eligible_as_it_was() {
    let watched = Watched::start();
    watched.taint("os");
    watched.wait_until_eligible(true);
    watched.delete_stays(true);
    watched.taint("ToBeDeletedByClusterAutoscaler");
    watched.wait_until_eligible(false);
    watched.delete_stays(false);
}

#[test]
fn a_node_that_is_being_deleted_is_not_eligible() {
    let watched = Watched::start();
    watched.taint("os");
    watched.wait_until_eligible(true);
    let mut deleting = node(addresses("192.168.77.1"), json!({}));
    deleting["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
    watched.server().put(deleting).unwrap();
    watched.wait_until_eligible(false);
}
