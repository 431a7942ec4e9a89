//! Changes of HNS by other programs, and writes that HNS refuses.

use hcn::{Hresult, Kind};
use serde_json::{Value, json};

use crate::support::hns::Hns;
use crate::support::recording::cluster_flag;
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
