//! The documents of `/readyz` and `/statusz`, and their examples in `docs/api.md`.

use std::path::Path;

use hcn::Kind;
use serde_json::{Value, json};

use super::{MIXED, in_sync};
use crate::support::config::ConfigFile;
use crate::support::hns::Hns;
use crate::support::http::{get, get_as};
use crate::support::recording::cluster_flag;

const JSON: &str = "application/json";
/// That of the examples in `docs/api.md`.
const VERSION: &str = "--version=v1.36.2";

/// The example of a page in `docs/api.md`: the first block of JSON below its title.
pub(super) fn example(page: &str) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/api.md");
    let text = std::fs::read_to_string(path).unwrap();
    let section = text.split_once(&format!("\n## `{page}`\n")).unwrap().1;
    let block = section.split_once("```json\n").unwrap().1.split_once("```").unwrap().0;
    serde_json::from_str(block).unwrap()
}

/// Copies what differs from run to run.
fn copy_volatile(from: &Value, to: &mut Value) {
    for path in [
        "/process/started",
        "/process/uptime_seconds",
        "/process/hnsproxy_version",
        "/hns/description",
        "/cluster/watch_silence_seconds",
    ] {
        if let (Some(from), Some(to)) = (from.pointer(path), to.pointer_mut(path)) {
            *to = from.clone();
        }
    }
}

#[track_caller]
fn is_as_documented(page: &str, now: &Value) {
    let mut expected = example(page);
    copy_volatile(now, &mut expected);
    assert_eq!(*now, expected, "docs/api.md differs from\n{now:#}");
}

#[test]
fn readyz_is_as_documented() {
    let (_hns, running) = in_sync(&[VERSION]);
    let readyz = get(running.metrics, "/readyz").unwrap();
    assert_eq!((readyz.code, readyz.header("content-type")), (200, JSON));
    is_as_documented("/readyz", &readyz.json());
}

#[test]
fn statusz_is_as_documented() {
    let (_hns, running) = in_sync(&[VERSION]);
    let statusz = get(running.metrics, "/statusz?format=json").unwrap();
    assert_eq!((statusz.code, statusz.header("content-type")), (200, JSON));
    is_as_documented("/statusz", &statusz.json());
}

#[test]
fn statusz_is_json_where_that_is_accepted_and_text_elsewhere() {
    let (_hns, running) = in_sync(&[VERSION]);
    let content_type = |media_type: &str| {
        let answer = get_as(media_type, running.metrics, "/statusz").unwrap();
        (answer.code, answer.header("content-type").to_owned())
    };
    let text = "text/plain; charset=utf-8";
    assert_eq!(content_type(JSON), (200, JSON.to_owned()));
    assert_eq!(content_type("*/*"), (200, text.to_owned()));
    // The document of Kubernetes components, which this is not.
    assert_eq!(content_type("application/json;as=Statusz;v=v1alpha1;g=config.k8s.io"), (200, text.to_owned()));
    assert_eq!(get(running.metrics, "/statusz?format=xml").unwrap().code, 400);
}

#[test]
fn the_counts_of_readyz_are_those_of_hns() {
    let (hns, running) = in_sync(&[VERSION]);
    let state = running.state().unwrap();
    let count = hns.load_balancers().len();
    assert_eq!(state["load_balancers"], json!({"desired": count, "in_sync": count}));
}

#[test]
fn members_of_hns_documents_that_cannot_be_read_are_counted() {
    let hns = Hns::of(MIXED);
    let flags = json!({"a": 1});
    let document = json!({"FrontendVIPs": ["172.16.0.1"], "HostComputeEndpoints": [], "Flags": flags,
        "PortMappings": [{"Protocol": 6, "InternalPort": 1, "ExternalPort": 1}]});
    let id = hns.emulator.add(Kind::LoadBalancer, document);
    let file = ConfigFile::new("winkernel: {enableDSR: true}");
    let running = file.start(&[&cluster_flag(MIXED), &hns.flag(), "--hns-audit-interval=3600"]);
    running.wait_until_in_sync();
    let statusz = get(running.metrics, "/statusz?format=json").unwrap().json();
    let [member] = &statusz["unreadable_members"].as_array().unwrap()[..] else { panic!("{statusz:#}") };
    let count = member["count"].as_u64().unwrap();
    let value = flags.to_string();
    let expected = json!({"kind": "LoadBalancer", "member": "Flags", "count": count, "id": id, "value": value});
    assert_eq!((member, count > 0), (&expected, true));
    let series = "hnsproxy_hns_unreadable_members_total{kind=\"LoadBalancer\",member=\"Flags\"}";
    assert_eq!(running.metrics_page().metric(series), Some(count as f64));
    // A new configuration is a new start for HNS, but not for the counts.
    file.write("winkernel: {enableDSR: true, sourceVip: 10.244.1.9}");
    file.wait_until_in_use("10.244.1.9");
    running.wait_until_in_sync();
    assert!(running.metrics_page().metric(series).unwrap() > count as f64);
}
