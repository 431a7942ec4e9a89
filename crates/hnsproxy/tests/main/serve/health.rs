//! `/healthz` and `/livez` of the node.

use std::time::Duration;

use hcn_emulator::faults::{Effect, Fault, Which};
use serde_json::json;

use super::write_cluster;
use crate::support::hns::Hns;
use crate::support::http::{get, request, wait_for_page};
use crate::support::program::from;
use crate::support::recording::cluster_flag;
use crate::support::running::Running;

/// The program on an HNS that answers no call.
fn with_hanging_hns() -> (Hns, Running) {
    let hns = Hns::of("boutique-l2bridge");
    let hang = Fault { which: Which::Any, from: 1, every: 1, effect: Effect::Delay(Duration::from_secs(3600)) };
    hns.emulator.inject(hang);
    // Changes may be pending for twice the sync period.
    let flags = [&cluster_flag("boutique-l2bridge"), &hns.flag(), "--iptables-sync-period=2s"];
    let running = Running::start(&flags);
    (hns, running)
}

#[test]
fn health_is_answered_while_hns_does_not_answer() {
    let (_hns, running) = with_hanging_hns();
    let livez = wait_for_page(running.health, "/livez", |_| true);
    assert_eq!((livez.code, livez.header("content-type")), (200, "application/json"), "{livez:#?}");
    assert_eq!(livez.header("x-content-type-options"), "nosniff");
    let healthz = wait_for_page(running.health, "/healthz", |answer| answer.code == 200).json();
    assert_eq!(healthz["nodeEligible"], json!(true));
}

#[test]
fn a_change_that_is_pending_for_too_long_makes_the_node_unhealthy() {
    let (_hns, running) = with_hanging_hns();
    let late = wait_for_page(running.health, "/livez", |answer| answer.code == 503).json();
    assert_eq!((&late["healthy"], &late["status"]["IPv4"]["healthy"]), (&json!(false), &json!(false)));
    // Each poll that found it unhealthy is counted: there was one.
    assert_eq!(running.metrics_page().metric("kubeproxy_proxy_livez_total{code=\"503\"}"), Some(1.0));
}

#[test]
fn readyz_is_answered_while_hns_does_not_answer() {
    let (_hns, running) = with_hanging_hns();
    let readyz = wait_for_page(running.metrics, "/readyz", |_| true);
    assert_eq!((readyz.code, &readyz.json()["in_sync"]), (503, &json!(false)), "{readyz:#?}");
}

#[test]
fn a_service_is_known_while_the_first_call_of_hns_hangs() {
    let (_hns, running) = with_hanging_hns();
    let explained = wait_for_page(running.metrics, "/debug/services/kube-system/kube-dns", |answer| answer.code == 200);
    assert_eq!(explained.json()["hns"], "not_audited");
    let listed = wait_for_page(running.metrics, "/debug/services?q=kube-dns", |answer| answer.code == 200).json();
    assert_eq!(listed["services"][0]["state"], "pending", "{listed:#}");
    assert_eq!(get(running.metrics, "/debug/services/kube-system/none").unwrap().code, 404);
}

#[test]
fn a_node_that_the_autoscaler_deletes_is_unhealthy_for_load_balancers_and_alive() {
    let (directory, hns) = (tempfile::tempdir().unwrap(), Hns::of("boutique-l2bridge"));
    let file = directory.path().join("cluster.json");
    write_cluster(&file, None, &[], "os");
    let running = Running::start(&[&from(&file), &hns.flag(), "--hostname-override=win-1"]);
    wait_for_page(running.health, "/healthz", |answer| answer.code == 200);
    write_cluster(&file, None, &[], "ToBeDeletedByClusterAutoscaler");
    let healthz = wait_for_page(running.health, "/healthz", |answer| answer.code == 503).json();
    assert_eq!((&healthz["nodeEligible"], &healthz["healthy"]), (&json!(false), &json!(true)));
    assert_eq!(get(running.health, "/livez").unwrap().code, 200);
}

#[test]
fn healthz_has_the_keys_of_kube_proxy_in_its_order() {
    let hns = Hns::of("boutique-l2bridge");
    let running = Running::start(&[&cluster_flag("boutique-l2bridge"), &hns.flag()]);
    running.wait_until_in_sync();
    let healthz = wait_for_page(running.health, "/healthz", |answer| answer.code == 200).json();
    let keys: Vec<_> = healthz.as_object().unwrap().keys().cloned().collect();
    assert_eq!(keys, ["lastUpdated", "currentTime", "nodeEligible", "healthy", "status"], "{healthz:#}");
}

#[test]
fn the_health_address_answers_get_and_head_and_no_other_path() {
    let hns = Hns::of("boutique-l2bridge");
    let running = Running::start(&[&cluster_flag("boutique-l2bridge"), &hns.flag()]);
    wait_for_page(running.health, "/livez", |answer| answer.code == 200);
    let head = request("HEAD", running.health, "/livez").unwrap();
    assert_eq!((head.code, head.body.as_str()), (200, ""));
    for method in ["POST", "PUT", "DELETE", "OPTIONS"] {
        let refused = request(method, running.health, "/livez").unwrap();
        assert_eq!((refused.code, refused.header("allow")), (405, "GET,HEAD"), "{method}");
    }
    assert_eq!(get(running.health, "/other").unwrap().code, 404);
}
