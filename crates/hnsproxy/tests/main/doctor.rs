//! `doctor`: what it finds on a node, live, from files and from a dump, and its exit codes.

use std::path::Path;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD as BASE64_URL;
use hcn_emulator::faults::{Effect, Fault, Which};
use serde_json::{Value, json};
use test_api_server::{ApiServer, Credentials};

use crate::support::cluster::Cluster;
use crate::support::hns::Hns;
use crate::support::program::{emulated, from, hnsproxy};
use crate::support::recording::{cluster_flag, host_flag};
use crate::support::running::Running;

const BOUTIQUE: &str = "boutique-l2bridge";

/// The results of all checks by their ids.
fn results(report: &Value) -> Vec<(&str, &str)> {
    let checks = report["checks"].as_array().unwrap();
    checks.iter().map(|one| (one["check"].as_str().unwrap(), one["result"].as_str().unwrap())).collect()
}

fn result<'a>(report: &'a Value, check: &str) -> &'a str {
    results(report).into_iter().find(|(id, _)| *id == check).unwrap().1
}

fn failures(report: &Value) -> Vec<&str> {
    results(report).into_iter().filter(|(_, result)| *result == "failure").map(|(id, _)| id).collect()
}

#[test]
fn a_node_that_run_has_programmed_has_no_failure_and_keeps_its_objects() {
    let (from, hns) = (cluster_flag(BOUTIQUE), Hns::of(BOUTIQUE));
    hnsproxy(&["run", &from, &hns.flag(), "--once"]).expect(0);
    let before = hns.emulator.writes();
    let report = hnsproxy(&["doctor", &from, &hns.flag(), "-o=json"]).expect(0).json();
    assert_eq!(failures(&report), [""; 0], "{report:#}");
    assert_eq!((result(&report, "hns"), result(&report, "foreign-load-balancers")), ("ok", "ok"));
    assert_eq!(hns.emulator.writes(), before);
}

#[test]
fn services_that_are_not_programmed_are_failures() {
    let report = hnsproxy(&["doctor", &cluster_flag(BOUTIQUE), &host_flag(BOUTIQUE), "-o=json"]).expect(1).json();
    assert_eq!(failures(&report), ["dns-service", "kubernetes-service"], "{report:#}");
}

#[test]
fn a_dump_of_a_node_is_checked() {
    let dumps = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/dumps");
    let (cluster, hns) = (from(&dumps.join("cluster.yaml")), emulated(&dumps.join("node.json")));
    let flags = ["doctor", &cluster, &hns, "--network-name=cbr0", "--hostname-override=win-1", "-o=json"];
    let report: Value = serde_json::from_str(&hnsproxy(&flags).stdout).unwrap();
    assert_eq!((result(&report, "management-address"), result(&report, "networks")), ("ok", "ok"), "{report:#}");
}

#[test]
fn without_hns_and_cluster_nothing_is_checked() {
    let report = hnsproxy(&["doctor", "--from=missing", "--hns=emulated:missing", "-o=json"]).expect(2).json();
    let checked: Vec<_> = results(&report).into_iter().filter(|(_, result)| *result != "skipped").collect();
    assert_eq!(checked, [("configuration", "ok")]);
}

#[test]
fn an_hns_that_fails_is_a_failure() {
    let hns = Hns::of(BOUTIQUE);
    hns.emulator.stop(&[]);
    let report = hnsproxy(&["doctor", &cluster_flag(BOUTIQUE), &hns.flag(), "-o=json"]).expect(1).json();
    assert_eq!(failures(&report), ["hns"], "{report:#}");
}

#[test]
fn a_live_node_is_checked_with_its_api_server_and_its_running_hnsproxy() {
    let (cluster, hns) = (Cluster::recorded(BOUTIQUE), Hns::of(BOUTIQUE));
    let (kubeconfig, at) = (cluster.flag(&Credentials::None), hns.flag());
    let running = Running::start(&[&kubeconfig, &at, "--enable-dsr"]);
    running.wait_until_in_sync();
    let debug = format!("--debug-address={}", running.metrics);
    let report = hnsproxy(&["doctor", &kubeconfig, &at, "--enable-dsr", &debug, "-o=json"]).expect(0).json();
    for check in ["dns-service", "kubernetes-service", "second-proxy", "api-access", "in-sync"] {
        assert_eq!(result(&report, check), "ok", "{check}: {report:#}");
    }
}

#[test]
fn an_api_server_that_is_not_reachable_is_a_failure() {
    let (cluster, hns) = (Cluster::recorded(BOUTIQUE), Hns::of(BOUTIQUE));
    let mut kubeconfig = cluster.server.kubeconfig(&Credentials::None);
    kubeconfig["clusters"][0]["cluster"]["server"] = json!("http://127.0.0.1:1");
    let flags = ["doctor", &cluster.flag_of(&kubeconfig), &hns.flag(), "-o=json"];
    let report = hnsproxy(&flags).expect(1).json();
    assert_eq!(failures(&report), ["api-access"], "{report:#}");
}

/// The finding of a check.
fn found(report: &Value, check: &str) -> String {
    let checks = report["checks"].as_array().unwrap();
    checks.iter().find(|one| one["check"] == check).unwrap()["found"].to_string()
}

#[test]
fn while_hns_hangs_the_other_sources_are_checked() {
    let (cluster, hns) = (Cluster::recorded(BOUTIQUE), Hns::of(BOUTIQUE));
    let (kubeconfig, at) = (cluster.flag(&Credentials::None), hns.flag());
    let flags = [&kubeconfig, &at, "--enable-dsr", "--hns-call-budget=1"];
    let running = Running::start(&flags);
    running.wait_until_in_sync();
    hns.emulator.inject(Fault::of_each(Which::Any, Effect::Hang));
    running.wait_until_waiting_for("HNSCallOverdue");
    let debug = format!("--debug-address={}", running.metrics);
    let report = hnsproxy(&[&["doctor", &debug, "-o=json"], &flags[..]].concat()).expect(1).json();
    assert_eq!(failures(&report), ["hns", "in-sync"], "{report:#}");
    assert!(found(&report, "hns").contains("has not returned after 3 s"), "{report:#}");
    assert!(found(&report, "in-sync").contains("HNSCallOverdue"), "{report:#}");
    for check in ["networks", "stale-references", "dns-service"] {
        assert_eq!(result(&report, check), "skipped", "{check}: {report:#}");
        assert!(found(&report, check).contains("has not returned after 3 s"), "{check}: {report:#}");
    }
    assert_eq!((result(&report, "api-access"), result(&report, "configuration")), ("ok", "ok"), "{report:#}");
    // One hanging call of the running program, and one of this command.
    assert_eq!(hns.emulator.hung_calls(), 2);
    hns.emulator.release();
}

#[test]
fn a_token_that_has_expired_is_a_failure() {
    let claims = BASE64_URL.encode(r#"{"exp": 1700000000}"#);
    let token = format!("e30.{claims}.c2ln");
    let (cluster, hns) = (Cluster::of(ApiServer::start_tls().unwrap()), Hns::of(BOUTIQUE));
    // The server does not verify the expiry of the token, so that only this check fails.
    cluster.server.allow_tokens([token.as_str()]);
    let kubeconfig = cluster.flag(&Credentials::Token(token));
    let report = hnsproxy(&["doctor", &kubeconfig, &hns.flag(), "-o=json"]).expect(1).json();
    assert_eq!(failures(&report), ["credentials-expiry"], "{report:#}");
}
