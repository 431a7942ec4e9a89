//! Changes of HNS by other programs, and writes that HNS refuses.

use std::fs;

use hcn::{Hresult, Kind};
use hcn_emulator::Host;
use hcn_emulator::faults::{Effect, Fault, Which};
use serde_json::{Value, json};

use crate::support::cluster::{service, slice};
use crate::support::hns::Hns;
use crate::support::http::get;
use crate::support::program::{from, hnsproxy};
use crate::support::recording::{cluster_flag, host};
use crate::support::running::Running;
use crate::support::wait::wait_until;

fn boutique() -> String {
    cluster_flag("boutique-l2bridge")
}

#[test]
fn a_load_balancer_that_another_program_removes_is_drift_and_created_again() {
    let hns = Hns::of("boutique-l2bridge");
    let running = Running::start(&[&boutique(), &hns.flag(), "--enable-dsr", "--hns-audit-interval=0.1"]);
    running.wait_until_in_sync();
    let objects = hns.objects();
    hns.remove(&hns.load_balancers()[0]);
    hns.wait_until_objects_are(&objects);
    let metric = |name: &str| {
        let series = format!("hnsproxy_drift_{name}_total{{cause=\"load_balancer_lost\"}}");
        wait_until(&series, || running.metrics_page(), |page| page.metric(&series) == Some(1.0));
    };
    metric("found");
    metric("repaired");
    let state = running.wait_until_in_sync();
    assert_eq!(state["drift"], json!({}));
}

/// Adds a load balancer as kube-proxy makes it, on an address that no Service has, and runs until it was audited.
fn audited_with_a_leftover(flags: &[&str]) -> bool {
    let hns = Hns::of("boutique-l2bridge");
    let endpoint = &hns.emulator.documents(Kind::Endpoint)[0]["ID"];
    let document = json!({"FrontendVIPs": ["10.96.77.77"], "HostComputeEndpoints": [endpoint], "Flags": 1,
        "PortMappings": [{"Protocol": 6, "InternalPort": 80, "ExternalPort": 80, "DistributionType": 0, "Flags": 0}],
        "SchemaVersion": {"Major": 2, "Minor": 0}});
    let id = hns.emulator.add(Kind::LoadBalancer, document);
    let (cluster, flag) = (boutique(), hns.flag());
    let running = Running::start(&[&[cluster.as_str(), &flag, "--hns-audit-interval=0.1"], flags].concat());
    running.wait_until_in_sync();
    hns.wait_for_audit();
    hns.emulator.document(Kind::LoadBalancer, id).is_some()
}

#[test]
fn a_load_balancer_that_kube_proxy_left_stays() {
    assert!(audited_with_a_leftover(&[]));
}

#[test]
fn take_over_deletes_a_load_balancer_that_kube_proxy_left() {
    assert!(!audited_with_a_leftover(&["--take-over"]));
}

#[test]
fn a_source_address_outside_of_the_network_is_refused_by_hns_and_retried() {
    let hns = Hns::of("boutique-overlay");
    let running = Running::start(&[&cluster_flag("boutique-overlay"), &hns.flag(), "--source-vip=fd00::9"]);
    running.wait_until_waiting_for("RetriesPending");
    let refused: Vec<Value> = hns
        .emulator
        .journal()
        .into_iter()
        .filter(|entry| entry.is_write && entry.code != Hresult::S_OK)
        .map(|entry| json!(entry.function))
        .collect();
    assert!(!refused.is_empty() && refused.iter().all(|function| function == "HcnCreateEndpoint"), "{refused:?}");
}

#[test]
fn one_run_ends_in_sync_after_creations_that_may_have_taken_effect() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("cluster.json");
    let write = |backend: &str| {
        let items = [service("a", "10.96.9.1"), slice("a", backend)];
        fs::write(&file, json!({"apiVersion": "v1", "kind": "List", "items": items}).to_string()).unwrap();
    };
    // This build replaces load balancers instead of modifying them.
    let hns = Hns::on(&Host { hns_version: "14.0".into(), ..host("boutique-l2bridge") });
    let arguments = [&from(&file), &hns.flag(), "--once"].map(str::to_owned);
    let run = || hnsproxy(&arguments.each_ref().map(String::as_str)).expect(0);
    write("10.244.7.7");
    run();
    write("10.244.7.8");
    // The creation of the new load balancer fails, and then the restoration of the old one, which nothing desires afterwards.
    let creations = Which::Function("HcnCreateLoadBalancer".into());
    hns.emulator.inject_times(Fault::of_each(creations, Effect::Fail(Hresult::E_OUTOFMEMORY)), 2);
    run();
    assert_eq!(hns.load_balancers().len(), 1);
}

#[test]
fn a_list_that_is_empty_although_hns_has_objects_changes_nothing_and_is_named() {
    for kind in [Kind::Endpoint, Kind::LoadBalancer] {
        let hns = Hns::of("boutique-l2bridge");
        let running = Running::start(&[&boutique(), &hns.flag(), "--enable-dsr", "--hns-audit-interval=0.05"]);
        running.wait_until_in_sync();
        let objects = hns.objects();
        hns.emulator.inject(Fault::of_each(Which::V1List(kind), Effect::Partial(0)));
        hns.emulator.reset_journal();
        let state = running.wait_for_state("the list to be distrusted", |state| {
            state["host_conditions"].as_array().unwrap().iter().any(|one| one["reason"] == "V1ListDistrusted")
        });
        let capabilities = &state["hns"]["capabilities"];
        assert_eq!(
            (&capabilities["v1_endpoint_list"], &capabilities["v1_load_balancer_list"]),
            (&json!(kind != Kind::Endpoint), &json!(kind != Kind::LoadBalancer))
        );
        // Three cycles of audits.
        let audits = || hns.calls_of("HcnEnumerateLoadBalancers");
        wait_until("36 audits", audits, |audits| *audits >= 36);
        let written: Vec<_> = hns.emulator.journal().into_iter().filter(|entry| entry.is_write).collect();
        assert_eq!((written, hns.objects()), (vec![], objects));
        let statusz = get(running.metrics, "/statusz?format=json").unwrap().json();
        assert_eq!(
            (&statusz["host_conditions"][0]["reason"], &statusz["drift"]),
            (&json!("V1ListDistrusted"), &json!({}))
        );
        running.wait_until_in_sync();
    }
}

#[test]
fn a_list_of_the_hcn_api_that_lacks_objects_changes_nothing_and_the_node_is_not_ready() {
    let hns = Hns::of("boutique-l2bridge");
    let running = Running::start(&[&boutique(), &hns.flag(), "--enable-dsr", "--hns-audit-interval=0.05"]);
    running.wait_until_in_sync();
    let objects = hns.objects();
    hns.emulator.inject(Fault::of_each(Which::V2List(Kind::LoadBalancer), Effect::Partial(0)));
    hns.emulator.reset_journal();
    running.wait_until_waiting_for("ListIncomplete");
    hns.wait_for_audit();
    assert_eq!((hns.emulator.writes(), hns.objects()), (0, objects));
    hns.emulator.clear_faults();
    running.wait_until_in_sync();
    assert_eq!(hns.emulator.writes(), 0);
}
