//! A cluster from files, which are watched.

use std::fs;

use serde_json::json;

use crate::support::cluster::{service, slice};
use crate::support::hns::Hns;
use crate::support::program::from;
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
