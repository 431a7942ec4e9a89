//! The inputs that must have the same result if they come from an API server.

use serde_json::Value;
use test_api_server::Credentials;

use super::{hns, input, load_balancers};
use crate::support::cluster::Cluster;
use crate::support::hns::Hns;
use crate::support::http::get;
use crate::support::running::Running;
use crate::support::wait::wait_until;

/// An API server with the objects of a file.
fn cluster(path: &str) -> Cluster {
    let text = std::fs::read_to_string(input(path)).unwrap();
    let objects: Vec<Value> = serde_saphyr::from_multiple(&text).unwrap();
    let cluster = Cluster::empty();
    cluster.server.load(objects.into()).unwrap();
    cluster
}

/// The program with the cluster, once HNS is in sync with it.
fn in_sync(cluster: &Cluster, hns: &Hns) -> Running {
    let running = Running::start(&[&cluster.flag(&Credentials::None), &hns.flag(), "--enable-dsr=true"]);
    running.wait_until_in_sync();
    running
}

#[test]
fn case_02_reused_ip_live() {
    const SERVES: [&str; 2] = ["*:30080/TCP -> 10.244.1.12 port 8080", "10.96.10.2:80/TCP -> 10.244.1.12 port 8080"];
    for (file, expected) in [
        ("a-old-new", &SERVES[..]),
        ("b-new-old", &SERVES),
        ("c-oldserving-new", &SERVES),
        ("d-new-oldserving", &SERVES),
        ("e-oldserving-newnotready", &[]),
        ("f-new-notready", &SERVES),
        ("g-notready-new", &SERVES),
        ("j-both-ready-local-first", &SERVES),
    ] {
        let hns = hns();
        let _running = in_sync(&cluster(&format!("02-reused-ip/{file}.yaml")), &hns);
        assert_eq!(load_balancers(&hns), expected, "{file}");
    }
}

#[test]
fn case_10_node_address_vip_live() {
    let hns = hns();
    let running = in_sync(&cluster("10-node-address-vip/in.yaml"), &hns);
    let of_self = |all: &[String]| -> Vec<String> {
        all.iter().filter_map(|one| Some(one.split_once(":80/TCP")?.0.to_owned())).collect()
    };
    assert_eq!(of_self(&load_balancers(&hns)), ["10.244.2.9", "10.96.10.11"]);
    let explained = || get(running.metrics, "/debug/explain/kube-system/self").map(|answer| answer.json());
    let forbidden = |explained: &Option<Value>| {
        let conditions = explained.as_ref().and_then(|explained| explained["conditions"].as_array());
        conditions.is_some_and(|all| all.iter().filter(|one| one["reason"] == "AddressForbidden").count() == 5)
    };
    wait_until("conditions of the addresses", explained, forbidden);
}
