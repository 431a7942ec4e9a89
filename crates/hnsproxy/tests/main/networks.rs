//! Several networks: which of them serve, and what happens without one or all of them.

use std::fs;
use std::path::PathBuf;

use hcn_emulator::testing;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::cluster::{service, slice};
use crate::support::hns::Hns;
use crate::support::program::{Ended, command, ended, from};

/// A host with the networks `cbr0` (10.244.1.0/24) and `Azure net` (10.245.1.0/24), and a Service with two backends in the second and one
/// in neither.
struct TwoNetworks {
    directory: TempDir,
    hns: Hns,
}

impl TwoNetworks {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let mut host = testing::host("15.5", &["L2Bridge", "L2Bridge"]);
        host.objects[1]["Name"] = json!("Azure net");
        let mut slice = slice("web", "10.245.1.7");
        slice["endpoints"] =
            json!([{"addresses": ["10.245.1.7"]}, {"addresses": ["10.245.1.8"]}, {"addresses": ["10.9.9.9"]}]);
        let list = json!({"apiVersion": "v1", "kind": "List", "items": [service("web", "10.96.0.1"), slice]});
        let networks = Self { directory, hns: Hns::on(&host) };
        fs::write(networks.cluster(), list.to_string()).unwrap();
        networks
    }

    fn cluster(&self) -> PathBuf {
        self.directory.path().join("cluster.json")
    }

    fn run(&self, flags: &[&str], kube_network: Option<&str>) -> Ended {
        let (from, hns) = (from(&self.cluster()), self.hns.flag());
        let mut command = command(&[&[from.as_str(), &hns, "--once", "-o=json"], flags].concat());
        command.envs(kube_network.map(|name| ("KUBE_NETWORK", name)));
        ended(&mut command)
    }

    fn backends(&self, names: &str) -> Value {
        self.run(&[&format!("--network-name={names}")], None).expect(0).json()["loadBalancers"][0]["backends"].clone()
    }
}

#[test]
fn backends_outside_of_the_network_of_a_load_balancer_are_left_out() {
    assert_eq!(TwoNetworks::new().backends("cbr0, azure net"), json!(["10.245.1.7", "10.245.1.8"]));
}

#[test]
fn a_missing_network_leaves_the_services_of_the_other_programmed() {
    assert_eq!(TwoNetworks::new().backends("cbr0,other"), json!(["10.245.1.7", "10.245.1.8", "10.9.9.9"]));
}

#[test]
fn without_any_of_its_networks_a_run_fails_and_writes_nothing() {
    let networks = TwoNetworks::new();
    networks.run(&["--network-name=other,another"], None).expect(1);
    networks.run(&[], None).expect(1);
    assert_eq!(networks.hns.emulator.writes(), 0);
}

#[test]
fn kube_network_names_the_networks_where_no_flag_does() {
    let state = TwoNetworks::new().run(&[], Some("Azure net,cbr0")).expect(0).json();
    // An address in no subnet counts for the first network of the list, which is that of the other backends here.
    assert_eq!(state["loadBalancers"][0]["backends"], json!(["10.245.1.7", "10.245.1.8", "10.9.9.9"]));
}
