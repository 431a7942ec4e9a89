//! A cluster from files, which are watched.

use std::fs;

use hcn_emulator::Host;
use serde_json::json;

use crate::support::cluster::{service, slice};
use crate::support::hns::Hns;
use crate::support::program::{from, hnsproxy};
use crate::support::recording::host;
use crate::support::running::Running;

fn list(name: &str, address: &str) -> String {
    let items = [service(name, address), slice(name, "10.244.7.7")];
    json!({"apiVersion": "v1", "kind": "List", "items": items}).to_string()
}

#[test]
fn a_changed_file_is_programmed() {
    let (directory, hns) = (tempfile::tempdir().unwrap(), Hns::of("boutique-l2bridge"));
    let file = directory.path().join("cluster.yaml");
    fs::write(&file, list("a", "10.96.9.1")).unwrap();
    let _running = Running::start(&[&from(&file), &hns.flag()]);
    hns.wait_for_frontend("10.96.9.1");
    fs::write(&file, list("a", "10.96.9.2")).unwrap();
    hns.wait_for_frontend("10.96.9.2");
    hns.wait_for_no_frontend("10.96.9.1");
}

#[test]
fn a_file_that_becomes_invalid_keeps_its_last_objects() {
    let (directory, hns) = (tempfile::tempdir().unwrap(), Hns::of("boutique-l2bridge"));
    let [broken, other] = ["a.yaml", "b.yaml"].map(|name| directory.path().join(name));
    fs::write(&broken, list("a", "10.96.9.1")).unwrap();
    let _running = Running::start(&[&from(directory.path()), &hns.flag()]);
    hns.wait_for_frontend("10.96.9.1");
    fs::write(&broken, "kind: [").unwrap();
    // All changed files are read together: once this one is programmed, the invalid one was read too.
    fs::write(&other, list("b", "10.96.9.2")).unwrap();
    hns.wait_for_frontend("10.96.9.2");
    assert!(hns.has_frontend("10.96.9.1"));
    fs::write(&broken, list("a", "10.96.9.3")).unwrap();
    hns.wait_for_frontend("10.96.9.3");
    hns.wait_for_no_frontend("10.96.9.1");
}

#[test]
fn a_file_that_becomes_empty_keeps_its_last_objects() {
    let (directory, hns) = (tempfile::tempdir().unwrap(), Hns::of("boutique-l2bridge"));
    let [emptied, other] = ["a.yaml", "b.yaml"].map(|name| directory.path().join(name));
    fs::write(&emptied, list("a", "10.96.9.1")).unwrap();
    fs::write(&other, list("b", "10.96.9.2")).unwrap();
    let running = Running::start(&[&from(directory.path()), &hns.flag()]);
    hns.wait_for_frontend("10.96.9.1");
    fs::write(&emptied, "\n").unwrap();
    running.wait_until_cluster_available(false);
    fs::write(&other, list("b", "10.96.9.3")).unwrap();
    hns.wait_for_frontend("10.96.9.3");
    assert!(hns.has_frontend("10.96.9.1"));
    fs::remove_file(&emptied).unwrap();
    hns.wait_for_no_frontend("10.96.9.1");
    running.wait_until_cluster_available(true);
}

#[test]
fn a_file_of_a_directory_that_is_invalid_at_the_start_is_left_out() {
    let (directory, hns) = (tempfile::tempdir().unwrap(), Hns::of("boutique-l2bridge"));
    fs::write(directory.path().join("a.yaml"), "{{ if .Values.enabled }}\n").unwrap();
    fs::write(directory.path().join("b.yaml"), [0xff, 0x00, 0x80]).unwrap();
    fs::write(directory.path().join("c.yaml"), list("c", "10.96.9.1")).unwrap();
    hnsproxy(&["run", &from(directory.path()), &hns.flag(), "--once"]).expect(0);
    assert!(hns.has_frontend("10.96.9.1"));
    let running = Running::start(&[&from(directory.path()), &hns.flag()]);
    let state = running.wait_until_cluster_available(false);
    let error = state["cluster"]["error"].as_str().unwrap();
    assert!(error.contains("a.yaml") && error.contains("b.yaml"), "{error}");
}

type Encode<'a> = &'a dyn Fn(&str) -> Vec<u8>;

#[test]
fn files_in_the_encodings_of_windows_are_read() {
    let directory = tempfile::tempdir().unwrap();
    let utf16 =
        |text: &str, unit: fn(u16) -> [u8; 2]| format!("\u{feff}{text}").encode_utf16().flat_map(unit).collect();
    let encodings: [Encode<'_>; 4] = [
        &|text| utf16(text, u16::to_le_bytes),
        &|text| utf16(text, u16::to_be_bytes),
        &|text| format!("\u{feff}{text}").into_bytes(),
        &|text| text.replace('\n', "\r\n").into_bytes(),
    ];
    let configuration =
        "apiVersion: kubeproxy.config.k8s.io/v1alpha1\nkind: KubeProxyConfiguration\nwinkernel:\n  enableDSR: true\n";
    for encode in encodings {
        let hns = Hns::of("boutique-l2bridge");
        let (cluster, config) = (directory.path().join("cluster.yaml"), directory.path().join("config"));
        fs::write(&cluster, encode(&list("a", "10.96.9.1"))).unwrap();
        fs::write(&config, encode(configuration)).unwrap();
        let config = format!("--config={}", config.display());
        hnsproxy(&["run", &from(&cluster), &config, &hns.flag(), "--once"]).expect(0);
        assert!(hns.has_frontend("10.96.9.1"));
    }
}

#[test]
fn a_node_that_disappears_leaves_its_addresses_and_hns_as_they_were() {
    let (directory, name) = (tempfile::tempdir().unwrap(), "boutique-l2bridge");
    let hns = Hns::on(&Host { node: String::new(), node_ips: Vec::new(), ..host(name) });
    let file = directory.path().join("cluster.json");
    let mut node_port = service("a", "10.96.9.1");
    node_port["spec"]["type"] = json!("NodePort");
    node_port["spec"]["ports"] = json!([{"port": 80, "nodePort": 30080}]);
    let node = json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "win-9"},
        "spec": {"taints": [{"key": "ToBeDeletedByClusterAutoscaler"}]},
        "status": {"addresses": [{"type": "InternalIP", "address": "192.168.77.1"}]}});
    let write = |items: &[serde_json::Value]| {
        fs::write(&file, json!({"apiVersion": "v1", "kind": "List", "items": items}).to_string()).unwrap();
    };
    let cluster = [node_port, slice("a", "10.244.7.7"), node];
    write(&cluster);
    let running = Running::start(&[&from(&file), &hns.flag(), "--hostname-override=win-9"]);
    let with_node = json!({"name": "win-9", "found": true, "eligible": false, "addresses": ["192.168.77.1"]});
    assert_eq!(running.wait_until_in_sync()["node"], with_node);
    let writes = hns.emulator.writes();
    write(&cluster[..2]);
    running.wait_for_state("the Node to be gone", |state| state["node"]["found"] == false);
    // Nobody can mark a Node for removal that the files do not have.
    let without_node = json!({"name": "win-9", "found": false, "eligible": true, "addresses": ["192.168.77.1"]});
    assert_eq!((&running.wait_until_in_sync()["node"], hns.emulator.writes()), (&without_node, writes));
    write(&cluster);
    let again = running.wait_for_state("the Node to be back", |state| state["node"]["found"] == true);
    assert_eq!((&again["node"], hns.emulator.writes()), (&with_node, writes));
}

#[cfg(unix)]
#[test]
fn an_interrupt_ends_the_program_and_hns_keeps_its_objects() {
    let (directory, hns) = (tempfile::tempdir().unwrap(), Hns::of("boutique-l2bridge"));
    let file = directory.path().join("cluster.yaml");
    fs::write(&file, list("a", "10.96.9.1")).unwrap();
    let running = Running::start(&[&from(&file), &hns.flag()]);
    running.wait_until_in_sync();
    let objects = hns.objects();
    running.interrupt();
    assert_eq!(hns.objects(), objects);
}
