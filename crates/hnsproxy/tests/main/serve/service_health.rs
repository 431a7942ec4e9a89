//! The health checks of Services.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};

use serde_json::{Value, json};
use test_api_server::Credentials;

use super::write_cluster;
use crate::support::cluster::{Cluster, service, slice};
use crate::support::hns::Hns;
use crate::support::http::{get, request, wait_for_page};
use crate::support::program::{free_addresses, from};
use crate::support::running::Running;
use crate::support::wait::wait_until;

const WEIGHT: &str = "x-load-balancing-endpoint-weight";

/// The program on a cluster file in a directory, at an HNS.
struct Checked {
    directory: tempfile::TempDir,
    _hns: Hns,
    _running: Running,
}

impl Checked {
    fn start(port: Option<u16>, backends: &[(bool, &str)]) -> Self {
        let (directory, hns) = (tempfile::tempdir().unwrap(), Hns::of("boutique-l2bridge"));
        let file = directory.path().join("cluster.json");
        write_cluster(&file, port, backends, "os");
        let running = Running::start(&[&from(&file), &hns.flag(), "--hostname-override=win-1"]);
        Self { directory, _hns: hns, _running: running }
    }

    fn write(&self, port: Option<u16>, backends: &[(bool, &str)]) {
        write_cluster(&self.directory.path().join("cluster.json"), port, backends, "os");
    }
}

#[test]
fn the_health_check_answers_as_kube_proxy_does() {
    let [check] = free_addresses();
    let _checked = Checked::start(Some(check.port()), &[(true, "win-1"), (true, "lin-1")]);
    let answer = wait_for_page(check, "/any/path", |answer| answer.code == 200);
    let body = "{\n\t\"service\": {\n\t\t\"namespace\": \"ns\",\n\t\t\"name\": \"web\"\n\t},\n\t\"localEndpoints\": 1,\n\t\"serviceProxyHealthy\": true\n}";
    assert_eq!(answer.body, body);
    assert_eq!(answer.header("content-type"), "application/json");
    assert_eq!(answer.header("x-content-type-options"), "nosniff");
    assert_eq!(answer.header(WEIGHT), "1");
    let refused = request("POST", check, "/any/path").unwrap();
    assert_eq!((refused.code, refused.header("allow")), (405, "GET,HEAD"));
}

#[test]
fn the_health_check_of_a_service_follows_its_backends() {
    let [check] = free_addresses();
    let port = Some(check.port());
    let checked = Checked::start(port, &[(true, "win-1"), (true, "lin-1")]);
    wait_for_page(check, "/", |answer| answer.code == 200 && answer.header(WEIGHT) == "1");
    checked.write(port, &[(true, "win-1"), (true, "win-1")]);
    wait_for_page(check, "/", |answer| answer.code == 200 && answer.header(WEIGHT) == "2");
    checked.write(port, &[(false, "win-1"), (true, "lin-1")]);
    let none = wait_for_page(check, "/", |answer| answer.code == 503);
    assert_eq!((&none.json()["localEndpoints"], none.header(WEIGHT)), (&json!(0), "0"));
}

#[test]
fn the_health_check_of_a_service_follows_its_port() {
    let [before, after] = free_addresses();
    let checked = Checked::start(Some(before.port()), &[(true, "win-1")]);
    wait_for_page(before, "/", |answer| answer.code == 200);
    checked.write(Some(after.port()), &[(true, "win-1")]);
    wait_for_page(after, "/", |answer| answer.code == 200);
    assert_eq!(get(before, "/"), None);
    checked.write(None, &[(true, "win-1")]);
    wait_until("the port to be closed", || get(after, "/"), Option::is_none);
}

#[test]
fn a_taken_port_of_a_health_check_is_retried() {
    let taken = TcpListener::bind("0.0.0.0:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let (mut checked, mut backends) = (service("web", "10.96.9.9"), slice("web", "10.244.7.7"));
    checked["spec"]["type"] = json!("LoadBalancer");
    checked["spec"]["externalTrafficPolicy"] = json!("Local");
    checked["spec"]["healthCheckNodePort"] = json!(port);
    backends["endpoints"][0]["nodeName"] = json!("win-1");
    // Only an API server gets the Event that the port was tried.
    let (cluster, hns) = (Cluster::empty(), Hns::of("boutique-l2bridge"));
    cluster.server.load(json!([checked, backends])).unwrap();
    let kubeconfig = cluster.flag(&Credentials::None);
    let _running = Running::start(&[&kubeconfig, &hns.flag(), "--hostname-override=win-1"]);
    let tried = |events: &Vec<Value>| events.iter().any(|event| event["reason"] == "FailedToStartServiceHealthcheck");
    wait_until("an Event of the taken port", || cluster.server.events(), tried);
    drop(taken);
    wait_for_page(SocketAddr::new(Ipv4Addr::LOCALHOST.into(), port), "/", |answer| answer.code == 200);
}

#[test]
fn each_family_of_a_service_has_its_own_health_check() {
    let Ok(taken) = TcpListener::bind("[::1]:0") else {
        eprintln!("skipped: this host has no IPv6");
        return;
    };
    drop(taken);
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("cluster.json");
    let [four] = free_addresses();
    let slice = |name: &str, family: &str, backends: &[&str]| {
        let backends: Vec<_> = backends.iter().map(|ip| json!({"addresses": [ip], "nodeName": "win-1"})).collect();
        json!({"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": family,
            "metadata": {"namespace": "ns", "name": name, "labels": {"kubernetes.io/service-name": "web"}},
            "ports": [{"name": "", "port": 8080}], "endpoints": backends})
    };
    let service = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"namespace": "ns", "name": "web"},
        "spec": {"type": "LoadBalancer", "externalTrafficPolicy": "Local", "healthCheckNodePort": four.port(),
            "clusterIP": "10.96.9.9", "clusterIPs": ["10.96.9.9", "fd00:96::9"], "ipFamilies": ["IPv4", "IPv6"],
            "ports": [{"port": 80}]}});
    let items =
        [service, slice("web-4", "IPv4", &["10.244.7.1", "10.244.7.2"]), slice("web-6", "IPv6", &["fd00:244::1"])];
    std::fs::write(&file, json!({"apiVersion": "v1", "kind": "List", "items": items}).to_string()).unwrap();
    let hns = Hns::of("mixed-l2bridge");
    let _running = Running::start(&[&from(&file), &hns.flag(), "--hostname-override=win-1"]);
    let six = SocketAddr::new(Ipv6Addr::LOCALHOST.into(), four.port());
    for (address, local) in [(four, "2"), (six, "1")] {
        let answer = wait_for_page(address, "/", |answer| answer.code == 200);
        assert_eq!(answer.header(WEIGHT), local, "{address}: {answer:#?}");
    }
}
