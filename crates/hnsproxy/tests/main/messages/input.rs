//! Messages about invalid input; the valid rest is programmed.

use std::fs;

use serde_json::json;
use tempfile::TempDir;

use super::{Logged, assert_logged};
use crate::support::hns::Hns;
use crate::support::program::{Ended, emulated, from, hnsproxy};
use crate::support::recording::recording;
use crate::support::running::Running;

const GOOD: &str = r#"
apiVersion: v1
kind: Service
metadata: {namespace: ns, name: good}
spec: {clusterIP: 10.96.9.9, ports: [{port: 80}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {namespace: ns, name: good-1, labels: {kubernetes.io/service-name: good}}
addressType: IPv4
ports: [{name: "", port: 8080}]
endpoints: [{addresses: [10.244.7.7]}]
---
"#;

fn write(text: &str) -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("cluster.yaml"), text).unwrap();
    directory
}

/// Runs on a good Service and something bad; the good one must be there.
fn beside_good(bad: &str) -> Ended {
    let directory = write(&format!("{GOOD}{bad}"));
    let host = emulated(&recording("boutique-l2bridge", "host.json"));
    let ended = hnsproxy(&[&from(directory.path()), &host, "--once", "-o", "json"]).expect(0);
    let state = ended.json();
    assert_eq!(state["loadBalancers"][0]["vips"][0], "10.96.9.9", "{state:#}");
    assert_eq!(state["loadBalancers"][0]["backends"][0], "10.244.7.7", "{state:#}");
    ended
}

#[test]
fn text_that_is_neither_yaml_nor_json_is_named_with_its_line() {
    let directory = write("kind: Service\nspec:\n  ports: [80\nx: 1\n");
    let host = emulated(&recording("boutique-l2bridge", "host.json"));
    hnsproxy(&[&from(directory.path()), &host, "--once"]).expect(1).logs("cluster.yaml: line ");
    fs::write(directory.path().join("x.json"), "{\n\"a\": ,\n}").unwrap();
    let ended = hnsproxy(&[&from(&directory.path().join("x.json")), &host, "--once"]).expect(1);
    ended.logs("x.json: line 2, column 6: expected value");
}

#[test]
fn a_file_that_is_not_found_is_named() {
    hnsproxy(&["--from=nowhere.yaml", "--once"]).expect(1).logs("cannot read nowhere.yaml: ");
}

#[test]
fn an_object_of_the_wrong_shape_is_named_with_its_field() {
    let bad = "apiVersion: v1\nkind: Service\nmetadata: {namespace: ns, name: odd}\nspec: {ports: {a: 1}}\n";
    beside_good(bad).logs("1 invalid object").logs("Service ns/odd: spec.ports: expected a list, found an object");
}

#[test]
fn an_address_of_the_wrong_family_is_named_with_its_field() {
    let bad = "apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\naddressType: IPv4\n\
        metadata: {namespace: ns, name: odd, labels: {kubernetes.io/service-name: good}}\n\
        ports: [{name: '', port: 8080}]\nendpoints: [{addresses: ['fd00::1']}]\n";
    beside_good(bad)
        .logs("EndpointSlice ns/odd: endpoints[0].addresses[0]: address fd00::1 does not match addressType IPv4");
}

#[test]
fn a_port_out_of_range_is_named_with_its_field() {
    let bad = "apiVersion: v1\nkind: Service\nmetadata: {namespace: ns, name: odd}\n\
        spec: {clusterIP: 10.96.9.10, ports: [{port: 70000}]}\n";
    beside_good(bad).logs("Service ns/odd: spec.ports[0].port: invalid port 70000: expected 1 to 65535");
}

#[test]
fn a_slice_without_its_service_is_named() {
    let bad = "apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\naddressType: IPv4\n\
        metadata: {namespace: ns, name: lone, labels: {kubernetes.io/service-name: gone}}\n";
    beside_good(bad).logs("1 EndpointSlice without Service").logs("EndpointSlice ns/lone: Service ns/gone not found");
}

#[test]
fn kinds_that_are_unknown_or_missing_are_named() {
    let bad = "apiVersion: v1\nkind: Pod\nmetadata: {namespace: ns, name: p}\n---\nmetadata: {name: what}\n";
    beside_good(bad).logs("Pod ns/p: unused kind v1 Pod").logs("document 4: missing kind");
}

#[test]
fn an_object_given_twice_is_named() {
    let bad = GOOD.trim_end_matches("---\n");
    beside_good(bad).logs("2 duplicate objects").logs("Service ns/good: duplicate object; the last one is used");
}

#[test]
fn a_host_document_that_is_invalid_is_named() {
    let directory = write("{\"nodeIPs\": 7}");
    let cluster = directory.path().join("cluster.yaml");
    hnsproxy(&[&from(&cluster), &emulated(&cluster), "--once"]).expect(1).logs("invalid host document ");
    hnsproxy(&[&from(&cluster), "--hns=windows", "--once"]).expect(1).logs("--hns windows is for Windows only");
}

#[test]
fn a_file_that_becomes_invalid_is_named() {
    let directory = write(GOOD);
    let hns = Hns::of("boutique-l2bridge");
    let running = Running::start(&[&from(directory.path()), &hns.flag()]);
    hns.wait_for_frontend("10.96.9.9");
    fs::write(directory.path().join("cluster.yaml"), "kind: [").unwrap();
    fs::write(directory.path().join("other.yaml"), GOOD.replace("good", "other").replace("9.9", "9.8")).unwrap();
    hns.wait_for_frontend("10.96.9.8");
    assert_logged(&running.kill(), "keeping its last content");
}

#[test]
fn a_number_with_a_fraction_is_named_with_the_type_that_is_expected() {
    let bad = "apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\naddressType: IPv4\n\
        metadata: {namespace: ns, name: odd, labels: {kubernetes.io/service-name: good}}\nports: [{port: 80.5}]\n";
    beside_good(bad).logs("EndpointSlice ns/odd: ports[0].port: expected an integer, found 80.5");
}

#[test]
fn the_last_line_and_the_json_of_once_show_what_was_left_out() {
    let directory = write(&GOOD.replace("8080", "80.5"));
    let host = emulated(&recording("boutique-l2bridge", "host.json"));
    let once = |format: &str| hnsproxy(&[&from(directory.path()), &host, "--once", "-o", format]).expect(0);
    let ended = once("table");
    let last = ended.stderr.lines().last().unwrap();
    assert!(last.starts_with('W') && last.contains("] HNS in sync with the valid part of the input"), "{last}");
    assert!(last.ends_with("problems=1"), "{last}");
    assert!(ended.stdout.contains("\n1 frontend, "), "{}", ended.stdout);
    assert_eq!(
        once("json").json()["problems"],
        json!([{"kind": "BadObject", "subject": "EndpointSlice ns/good-1", "field": "ports[0].port",
            "message": "expected an integer, found 80.5", "file": directory.path().join("cluster.yaml")}])
    );
    fs::write(directory.path().join("cluster.yaml"), format!("{GOOD}apiVersion: v1\nkind: Pod\n")).unwrap();
    once("table").logs("] HNS in sync native_calls=");
}

#[test]
fn a_node_that_is_not_in_the_files_is_named_with_those_that_are() {
    let node = "apiVersion: v1\nkind: Node\nmetadata: {name: win-1}\n";
    let (directory, hns) = (write(&format!("{GOOD}{node}")), Hns::of("boutique-l2bridge"));
    let missing = "Node win-9 not found (known: win-1); set --hostname-override";
    let flags = [from(directory.path()), hns.flag(), "--hostname-override=win-9".to_owned()];
    let flags: Vec<_> = flags.iter().map(String::as_str).collect();
    hnsproxy(&[&flags[..], &["--once"]].concat()).expect(0).logs(missing);
    let running = Running::start(&flags);
    running.wait_until_in_sync();
    fs::write(directory.path().join("node.yaml"), node.replace("win-1", "win-9")).unwrap();
    running.wait_for_state("the Node", |state| state["node"]["found"] == true);
    let log = running.kill();
    assert_logged(&log, missing);
    assert_logged(&log, "Node win-9 not found: resolved");
}
