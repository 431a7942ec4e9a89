//! Starts, migration from kube-proxy, and missing networks.

use hcn::{ApiVersion, Kind};
use proxy::testing::service;
use proxy::{AuditError, Next, Reason};
use serde_json::json;

use super::{back, empty, serve, writes};
use crate::calls::cluster;
use crate::rig::{NETWORK, Rig, own_host, settings};

#[test]
fn issues_109162_109124_a_start_with_2000_services_already_programmed_writes_nothing() {
    let mut rig = Rig::l2bridge();
    let (services, slices) = cluster(2000, 3);
    rig.cluster(services, slices);
    rig.settle();
    rig.restart();
    rig.calls();
    let mut report = rig.sync();
    while report.next != Next::Idle {
        assert!(report.outcomes.is_empty());
        report = rig.run();
    }
    assert!(rig.proxy.is_in_sync());
    assert_eq!(rig.calls(), (6, 0));
}

/// An HNS as kube-proxy leaves it: the same objects, under ids that say nothing.
fn left_by_kube_proxy(version: &str) -> Rig {
    let mut rig = empty(version);
    rig.emulator.change_quirks(|quirks| quirks.chooses_ids = [Kind::Endpoint, Kind::LoadBalancer].into());
    serve(&mut rig, "ns/same", "10.96.0.1", &["10.244.2.1"]);
    serve(&mut rig, "ns/scaled", "10.96.0.2", &["10.244.2.2"]);
    serve(&mut rig, "ns/gone", "10.96.0.3", &["10.244.2.3"]);
    let node_port = service("ns/port").cluster_ip("10.96.0.4").port(80).node_port(30080);
    rig.proxy.apply_service(node_port.build());
    back(&mut rig, "ns/port", &["10.244.2.4"]);
    rig.settle();
    rig.emulator.change_quirks(|quirks| quirks.chooses_ids.clear());
    let of_same = |document: &serde_json::Value| document["IpConfigurations"][0]["IpAddress"] == "10.244.2.1";
    let endpoint = rig.emulator.documents(Kind::Endpoint).into_iter().find(of_same).unwrap();
    rig.emulator.add(
        Kind::LoadBalancer,
        json!({"HostComputeEndpoints": [endpoint["ID"]], "FrontendVIPs": ["172.16.0.1"],
               "PortMappings": [{"Protocol": 6, "InternalPort": 1, "ExternalPort": 1, "Flags": 1}]}),
    );
    rig
}

fn begin_with(mut rig: Rig, take_over: bool) -> Rig {
    rig = Rig::on(rig.emulator.clone(), ApiVersion::V2);
    rig.proxy = proxy::Reconciler::new(proxy::Settings { take_over, ..settings() }, own_host());
    rig.cluster(vec![], vec![]);
    serve(&mut rig, "ns/same", "10.96.0.1", &["10.244.2.1"]);
    serve(&mut rig, "ns/scaled", "10.96.0.2", &["10.244.2.2", "10.244.2.5"]);
    rig.calls();
    rig
}

#[test]
fn objects_left_by_kube_proxy_are_adopted_modified_and_removed_without_a_gap() {
    for (version, change) in
        [("15.5", &["HcnModifyLoadBalancer"][..]), ("14.0", &["HcnDeleteLoadBalancer", "HcnCreateLoadBalancer"])]
    {
        let mut rig = begin_with(left_by_kube_proxy(version), true);
        let report = rig.sync();
        let leftovers: Vec<_> = report.outcomes.iter().filter(|o| o.step.reason == Reason::LeftByKubeProxy).collect();
        assert!(
            leftovers.iter().all(|outcome| outcome.result.is_ok() && outcome.step.reason == Reason::LeftByKubeProxy)
        );
        let mut named: Vec<_> = leftovers.iter().map(|outcome| outcome.step.action.to_string()).collect();
        named.sort();
        assert_eq!(
            named,
            [
                "delete load balancer 10.96.0.3:80/TCP",
                "delete load balancer 10.96.0.4:80/TCP",
                "delete load balancer node:30080/TCP",
                "delete remote endpoint 10.244.2.3",
                "delete remote endpoint 10.244.2.4",
            ]
        );
        let expected = [&["HcnCreateEndpoint"][..], change, &["HcnDeleteLoadBalancer"; 3], &["HcnDeleteEndpoint"; 2]];
        assert_eq!(writes(&rig), expected.concat());
        assert_eq!(
            rig.objects(),
            [
                "lb 10.96.0.1:80/6 -> 10.244.2.1:8080 flags 1/0",
                "lb 10.96.0.2:80/6 -> 10.244.2.2,10.244.2.5:8080 flags 1/0",
                "lb 172.16.0.1:1/6 -> 10.244.2.1:1 flags 0/1",
                "remote 10.244.2.1",
                "remote 10.244.2.2",
                "remote 10.244.2.5",
            ],
            "what kube-proxy never makes stays"
        );
        assert!(rig.proxy.is_in_sync());
    }
}

#[test]
fn without_take_over_unused_foreign_objects_stay() {
    let rig = left_by_kube_proxy("15.5");
    let unwanted = |rig: &Rig| {
        let kept = ["lb 10.96.0.1:", "lb 10.96.0.2:", "remote 10.244.2.5"];
        rig.objects().into_iter().filter(|line| !kept.iter().any(|w| line.starts_with(w))).collect::<Vec<_>>()
    };
    let before = unwanted(&rig);
    let mut rig = begin_with(rig, false);
    rig.sync();
    assert!(rig.proxy.is_in_sync());
    assert_eq!(unwanted(&rig), before);
    let others = rig.proxy.foreign_load_balancers();
    assert_eq!(others.iter().map(|other| other.resembles_kube_proxy).collect::<Vec<_>>(), [true, true, true, false]);
}

#[test]
fn issues_78612_79515_a_missing_network_is_waited_for_and_a_recreated_one_is_programmed() {
    let mut rig = empty("15.5");
    let mut document = rig.emulator.document(Kind::Network, NETWORK).unwrap();
    rig.emulator.remove(Kind::Network, NETWORK);
    serve(&mut rig, "ns/web", "10.96.0.1", &["10.244.2.1"]);
    for _ in 0..3 {
        let error = rig.proxy.audit(&rig.client).unwrap_err();
        assert_eq!(error, AuditError::NetworkAbsent { name: "cbr0".into(), known: vec![] });
        assert_eq!(rig.proxy.audit_error(), Some(&error));
        assert!(rig.run().outcomes.is_empty());
    }
    rig.emulator.add(Kind::Network, document.clone());
    rig.settle();
    let before = rig.objects();
    assert_eq!(before, ["lb 10.96.0.1:80/6 -> 10.244.2.1:8080 flags 1/0", "remote 10.244.2.1"]);
    assert_eq!(rig.proxy.audit_error(), None);

    rig.emulator.remove(Kind::Network, NETWORK);
    document["ID"] = json!("7b60c1d9-602e-5110-8c89-a9475b890000");
    rig.emulator.add(Kind::Network, document);
    let found = rig.proxy.audit(&rig.client).unwrap();
    assert!(
        found.network_changed && rig.proxy.take_drift().is_empty(),
        "objects deleted with the network are not drift"
    );
    rig.settle();
    assert_eq!(rig.objects(), before);
}

#[test]
fn a_renamed_network_is_still_used_and_reported() {
    let mut rig = empty("15.5");
    serve(&mut rig, "ns/web", "10.96.0.1", &["10.244.2.1"]);
    rig.sync();
    let mut document = rig.emulator.document(Kind::Network, NETWORK).unwrap();
    document["Name"] = json!("other");
    rig.emulator.replace(Kind::Network, NETWORK, document.clone());
    back(&mut rig, "ns/web", &["10.244.2.2"]);
    rig.sync();
    assert_eq!(rig.objects(), ["lb 10.96.0.1:80/6 -> 10.244.2.2:8080 flags 1/0", "remote 10.244.2.2"]);
    // Audits use ids; once in a cycle, one checks the name.
    let round = |rig: &mut Rig| (0..12).for_each(|_| drop(rig.sync()));
    round(&mut rig);
    let host_conditions: Vec<_> = rig.proxy.host_conditions().iter().map(ToString::to_string).collect();
    assert_eq!(
        host_conditions,
        ["network \"cbr0\" was renamed to \"other\" in HNS, and is still used; set --network-name"]
    );
    document["Name"] = json!("cbr0");
    rig.emulator.replace(Kind::Network, NETWORK, document);
    round(&mut rig);
    assert_eq!(rig.proxy.host_conditions(), []);
}

#[test]
fn invalid_subnets_are_reported() {
    let mut rig = Rig::new("Overlay", "15.5", ApiVersion::V2);
    let mut document = rig.emulator.document(Kind::Network, NETWORK).unwrap();
    document["Policies"].as_array_mut().unwrap().push(json!({"Type": "RemoteSubnetRoute", "Settings": {"X": 1}}));
    rig.emulator.replace(Kind::Network, NETWORK, document);
    rig.cluster(vec![], vec![]);
    rig.sync();
    assert_eq!(rig.proxy.host_conditions().len(), 1);
    assert_eq!(rig.proxy.networks().known(proxy::NetworkIndex::FIRST).unwrap().remote_subnets.len(), 2);
}

#[test]
fn an_hns_that_chooses_ids_is_reported() {
    let mut rig = empty("15.5");
    rig.emulator.change_quirks(|quirks| quirks.chooses_ids = [Kind::Endpoint, Kind::LoadBalancer].into());
    serve(&mut rig, "ns/web", "10.96.0.1", &["10.244.2.1"]);
    rig.settle();
    let reported = [Kind::Endpoint, Kind::LoadBalancer].map(|kind| proxy::HostCondition::IdsNotHonoured { kind });
    assert_eq!(rig.proxy.host_conditions(), reported);
}
