//! The output of `explain packet`, as text and as JSON, and its errors.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::Logged;
use crate::support::program::{Ended, emulated, free_addresses, hnsproxy};

fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(name)
}

/// A dump of a node with an L2Bridge network, in the HNS v1 schema.
fn dump() -> String {
    emulated(&file("dumps/node.json"))
}

/// A node with an overlay network. Its load balancer has an endpoint that was deleted.
fn overlay() -> String {
    emulated(&file("packets/overlay-host.json"))
}

fn explain(hns: &str, from: &str, to: &str, more: &[&str]) -> Ended {
    let (from, to) = (format!("--from={from}"), format!("--to={to}"));
    hnsproxy(&[&["explain", "packet", &from, &to, hns], more].concat())
}

/// Compares both outputs with the files of the name. If the environment variable `UPDATE_SCENARIOS` is set, writes the files first.
#[track_caller]
fn check(name: &str, hns: &str, from: &str, to: &str, more: &[&str]) {
    for (extension, form) in [("txt", "-o=table"), ("json", "-o=json")] {
        let output = explain(hns, from, to, &[&[form], more].concat()).expect(0).stdout;
        let output = output.replace(concat!("hnsproxy ", env!("CARGO_PKG_VERSION")), "hnsproxy VERSION");
        let path = file("packets").join(name).with_extension(extension);
        if std::env::var_os("UPDATE_SCENARIOS").is_some() {
            fs::write(&path, &output).unwrap();
        }
        assert_eq!(output, fs::read_to_string(&path).unwrap(), "{}", path.display());
    }
}

#[test]
fn a_pod_that_is_a_backend_of_its_own_request() {
    check("hairpin", &dump(), "10.244.1.11", "10.96.0.20:80/TCP", &[]);
}

#[test]
fn a_node_port_on_an_address_on_which_it_may_not_be_reachable() {
    let addresses = ["--node-ip=10.1.0.50", "--node-ip=10.1.0.51"];
    check("node-port", &dump(), "192.0.2.1", "10.1.0.51:30080/TCP", &addresses);
}

#[test]
fn a_frontend_without_a_load_balancer() {
    check("no-load-balancer", &dump(), "10.244.1.11", "10.96.0.20:81/TCP", &[]);
}

#[test]
fn a_client_on_the_node_and_a_load_balancer_with_a_deleted_endpoint_in_an_overlay_network() {
    check("overlay", &overlay(), "192.168.77.1", "10.96.0.20:80/TCP", &["--network=vxlan0"]);
}

fn overlay_host() -> Value {
    serde_json::from_slice(&fs::read(file("packets/overlay-host.json")).unwrap()).unwrap()
}

/// What is assumed of a packet of a client to the load balancer of a host.
fn assumed(host: &Value, client: &str) -> Value {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("host.json");
    fs::write(&path, host.to_string()).unwrap();
    explain(&emulated(&path), client, "10.96.0.20:80/TCP", &["-o=json"]).expect(0).json()["assumed"].take()
}

#[test]
fn what_is_assumed_of_outbound_nat_and_of_provider_addresses_is_named() {
    let mut host = overlay_host();
    let objects = host["objects"].as_array_mut().unwrap();
    let [_, pod, remote, _] = objects.as_mut_slice() else { panic!("{objects:#?}") };
    remote["Policies"][1]["Settings"]["ProviderAddress"] = "10.244.2.21".into();
    let mut client = pod.clone();
    client["ID"] = "00000000-0000-4000-8000-000000000012".into();
    client["IpConfigurations"][0]["IpAddress"] = "10.244.1.12".into();
    client["Policies"] = json!([{"Type": "OutBoundNAT", "Settings": {"Exceptions": ["10.244.2.0/24"]}}]);
    objects.insert(2, client);
    assert_eq!(
        assumed(&host, "10.244.1.12"),
        json!([
            "an OutBoundNAT policy does not translate packets that stay on the node",
            "a remote endpoint whose provider address is its own address is reached without VXLAN",
            "the hash of client and frontend address selects the backend, so all flows of a client have the same one; which one is not known",
            "session affinity has no timeout, and the backend of a client can change when the list of backends does",
        ])
    );
}

#[test]
fn what_is_assumed_of_internal_and_of_several_load_balancers_is_named() {
    let mut host = overlay_host();
    let mut internal = host["objects"].as_array().unwrap().last().unwrap().clone();
    internal["ID"] = "00000000-0000-4000-8000-000000000102".into();
    internal["PortMappings"][0]["Flags"] = 1.into();
    host["objects"].as_array_mut().unwrap().last_mut().unwrap()["PortMappings"][0]["Flags"] = 2.into();
    host["objects"].as_array_mut().unwrap().insert(0, internal);
    assert_eq!(
        assumed(&host, "192.0.2.1"),
        json!([
            "packets from outside of the node do not match an internal load balancer",
            "packets from outside match the rules of the host port",
            "of several load balancers with the frontend, one with a VIP takes precedence, and then the older one; HNS does not say which is older",
            "the flags LocalRoutedVip and UseMux of a port mapping have no effect",
            "the hash of client and frontend address selects the backend, so all flows of a client have the same one; which one is not known",
            "session affinity has no timeout, and the backend of a client can change when the list of backends does",
        ])
    );
}

#[test]
fn both_apis_have_the_same_answer() {
    let answer = |api| explain(&dump(), "10.244.1.11", "10.96.0.20:80/TCP", &[api, "-o=json"]).expect(0).json();
    assert_eq!(answer("--hns-api=v1"), answer("--hns-api=v2"));
}

#[test]
fn the_endpoint_of_the_host_counts_as_the_node() {
    let kind = |more: &[&str]| {
        let more = [&["-o=json"], more].concat();
        explain(&dump(), "10.244.1.2", "10.96.0.20:80/TCP", &more).expect(0).json()["client"]["kind"].clone()
    };
    assert_eq!((kind(&[]), kind(&["--root-hnsendpoint-name=CBR0_ep"])), ("localPod".into(), "node".into()));
}

#[test]
fn another_network_has_no_part_in_the_answer() {
    let of_network = |name| explain(&dump(), "10.244.1.11", "10.96.0.20:80/TCP", &[name, "-o=json"]).expect(0).json();
    assert_eq!(of_network("--network-name=CBR0")["backends"].as_array().map(Vec::len), Some(2));
    assert_eq!(of_network("--network-name=nat")["client"]["kind"], "outside");
}

#[test]
fn errors_name_the_argument_and_what_to_do() {
    let web = "10.96.0.20:80/TCP";
    explain(&dump(), "web-1", web, &[]).expect(1).logs("'--from <CLIENT>': expected an IP address, e.g. 10.244.1.11");
    explain(&dump(), "10.244.1.11", "10.96.0.20:80", &[]).expect(1).logs("expected VIP:PORT/PROTOCOL, e.g.");
    let unknown = explain(&dump(), "10.244.1.11", "10.96.0.20:80/SCTP", &[]).expect(1);
    unknown.logs("unknown protocol SCTP (known: TCP, UDP)");
    let families =
        "invalid --from fd00::b: 10.96.0.20:80 of --to has the other IP family; set two addresses of one family";
    explain(&dump(), "fd00::b", web, &[]).expect(1).logs(families);
    let absent = explain(&overlay(), "10.244.1.11", web, &["--network-name=cbr0"]).expect(1);
    absent.logs("network cbr0 not found (known: vxlan0)");
}

#[test]
fn a_process_that_cannot_be_asked_is_named_with_what_to_do() {
    let [address] = free_addresses();
    let process = format!("--debug-address={address}");
    let ended = hnsproxy(&["explain", "packet", "--from=10.244.1.11", "--to=10.96.0.20:80/TCP", &process]).expect(1);
    ended.logs("set --debug-address to where it listens, or leave it out to read HNS without that process");
}

#[test]
fn a_node_without_a_known_address_names_the_flag() {
    let directory = tempfile::tempdir().unwrap();
    let host = directory.path().join("host.json");
    fs::write(&host, r#"{"hnsVersion": "15.5", "node": "win-1", "nodeIPs": [], "objects": []}"#).unwrap();
    let ended = explain(&emulated(&host), "10.244.1.11", "10.96.0.20:80/TCP", &[]).expect(1);
    ended.logs("missing addresses of this node: set --node-ip");
}
