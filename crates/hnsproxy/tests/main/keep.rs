//! What a running program does with what happens around it, and what it leaves behind, on an emulator that outlives it.

use hcn::Kind;
use serde_json::Value;

use crate::hns::Hns;
use crate::program::{Running, from, hnsproxy, recording, until};

fn boutique() -> String {
    from(&recording("boutique-l2bridge", "cluster.json"))
}

#[cfg(unix)]
#[test]
fn what_others_remove_is_named_and_comes_back() {
    let hns = Hns::of("boutique-l2bridge");
    let running = Running::start(&[&boutique(), &hns.flag(), "--enable-dsr", "--hns-audit-interval=0.1"]);
    running.wait_for("HNS updated");
    let before = hns.objects();
    hns.remove(&hns.load_balancers()[0]);
    running.wait_for("HNS has lost its load balancer");
    running.wait_for("HNS updated");
    assert_eq!(hns.objects(), before);
    running.end();
}

#[cfg(unix)]
#[test]
fn a_changed_configuration_takes_effect_and_a_wrong_one_does_not() {
    let hns = Hns::of("boutique-l2bridge");
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("config.yaml");
    let write = |winkernel: &str| {
        let text = format!(
            "apiVersion: kubeproxy.config.k8s.io/v1alpha1\nkind: KubeProxyConfiguration\nwinkernel: {winkernel}\n"
        );
        std::fs::write(&path, text).unwrap();
    };
    write("{enableDSR: true}");
    let config = format!("--config={}", path.display());
    let running = Running::start(&[&config, &boutique(), &hns.flag(), "--hns-audit-interval=0.1"]);
    running.wait_for("HNS updated");
    let with_dsr = hns.objects();

    hns.emulator.reset_journal();
    write("[");
    running.wait_for("keeping the previous configuration");
    write("{enableDSR: true, networkName: azure}");
    running.wait_for("network \"azure\" not found in HNS");
    assert_eq!((hns.objects(), hns.emulator.writes()), (with_dsr.clone(), 0));

    // To a network that is there by its name, where all is as it should be: looked at, not touched.
    let network = hns.emulator.documents(Kind::Network)[0]["Name"].as_str().unwrap().to_owned();
    write(&format!("{{enableDSR: true, networkName: {network}}}"));
    running.wait_for(&format!("--network-name={network}"));
    let looks = || hns.emulator.counters().get("HcnEnumerateLoadBalancers").copied().unwrap_or_default();
    until("the second audit", || looks() > 1);
    assert_eq!((hns.objects(), hns.emulator.writes()), (with_dsr.clone(), 0));

    // What is odd about it is said, and as much is logged as it wants.
    write("{enableDSR: false}\nlogging: {verbosity: 2}\noddity: 7");
    running.wait_for("oddity");
    running.wait_for("DEBUG");
    running.wait_for("HNS updated");
    let is_direct = |lb: &Value| lb["Flags"].as_u64().unwrap_or_default() & 1 == 1;
    assert!(!hns.load_balancers().iter().any(is_direct));
    running.end();
}

#[test]
fn cleanup_removes_what_hnsproxy_made_and_nothing_else() {
    let hns = Hns::of("boutique-l2bridge");
    let before = hns.objects();
    let foreign = serde_json::json!({"FrontendVIPs": ["172.16.0.1"], "HostComputeEndpoints": [],
        "PortMappings": [{"Protocol": 6, "InternalPort": 1, "ExternalPort": 1}]});
    let foreign = hns.emulator.add(Kind::LoadBalancer, foreign);
    hnsproxy(&["run", &boutique(), &hns.flag(), "--once"]).expect(0);
    assert!(hns.load_balancers().len() > 20);
    hnsproxy(&["--cleanup", &hns.flag()]).expect(0).logs("HNS has no objects of hnsproxy");
    assert_eq!(hns.load_balancers().len(), 1);
    hns.emulator.remove(Kind::LoadBalancer, foreign);
    assert_eq!(hns.objects(), before);
    hnsproxy(&["--cleanup", &hns.flag()]).expect(0).logs("writes=0");
}

#[test]
fn several_writes_at_once_end_the_same() {
    let (one, four) = (Hns::of("mixed-l2bridge"), Hns::of("mixed-l2bridge"));
    let cluster = from(&recording("mixed-l2bridge", "cluster.json"));
    for (hns, at_once) in [(&one, "1"), (&four, "4")] {
        hnsproxy(&["run", &cluster, &hns.flag(), "--once", &format!("--hns-concurrency={at_once}")]).expect(0);
    }
    assert_eq!(four.objects(), one.objects());
    assert_eq!(four.emulator.writes(), one.emulator.writes());
    hnsproxy(&["run", &cluster, &one.flag(), "--once", "--hns-concurrency=0"]).expect(1).logs("--hns-concurrency");
}

#[test]
fn taking_over_removes_what_kube_proxy_left_and_no_service_asks_for() {
    let left = |flags: &[&str]| {
        let hns = Hns::of("boutique-l2bridge");
        let endpoint = &hns.emulator.documents(Kind::Endpoint)[0]["ID"];
        let document = serde_json::json!({"FrontendVIPs": ["10.96.77.77"], "HostComputeEndpoints": [endpoint], "Flags": 1,
            "PortMappings": [{"Protocol": 6, "InternalPort": 80, "ExternalPort": 80, "DistributionType": 0, "Flags": 0}],
            "SchemaVersion": {"Major": 2, "Minor": 0}});
        let id = hns.emulator.add(Kind::LoadBalancer, document);
        let (cluster, flag) = (boutique(), hns.flag());
        let running = Running::start(&[&[cluster.as_str(), &flag, "--hns-audit-interval=0.1"], flags].concat());
        let line = match flags {
            [] => running.wait_for("which --take-over removes"),
            _ => running.wait_for("HNS updated"),
        };
        (hns.emulator.document(Kind::LoadBalancer, id).is_some(), line)
    };
    let (there, line) = left(&[]);
    assert!(there && line.contains("10.96.77.77:80/TCP: foreign, and no Service has this frontend"), "{line}");
    assert!(!left(&["--take-over"]).0);
}
