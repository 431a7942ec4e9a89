//! HNS loses objects, is unavailable, reports success without effect, and refuses calls.

use std::time::Duration;

use hcn::{Hresult, Kind};
use proxy::observe::by_cause;
use proxy::testing::service;
use proxy::{Cause, Condition, Drift, Holder, Liveness, Next};
use serde_json::json;

use super::{back, empty, ids, serve, writes};
use crate::calls::cluster;
use crate::rig::Rig;

#[test]
fn issues_110849_110674_135802_all_577_load_balancers_lost_are_back_after_one_audit_dns_first() {
    let mut rig = Rig::l2bridge();
    let (services, slices) = cluster(575, 1);
    rig.cluster(services, slices);
    serve(&mut rig, "kube-system/kube-dns", "10.95.0.10", &["10.244.2.53"]);
    serve(&mut rig, "default/kubernetes", "10.95.0.1", &["192.0.2.7"]);
    rig.settle();
    let before = rig.objects();
    ids(&rig, Kind::LoadBalancer).into_iter().for_each(|id| rig.emulator.remove(Kind::LoadBalancer, id));
    rig.calls();

    rig.proxy.audit(&rig.client).unwrap();
    assert_eq!(by_cause(&rig.proxy.take_drift()).into_iter().collect::<Vec<_>>(), [(Cause::LoadBalancerLost, 577)]);
    assert_eq!(rig.proxy.liveness(), Liveness::Restarted);
    let report = rig.run();
    let first: Vec<_> = report.outcomes[..2].iter().map(|outcome| outcome.step.service.clone().unwrap()).collect();
    assert_eq!(
        first.iter().map(ToString::to_string).collect::<Vec<_>>(),
        ["default/kubernetes", "kube-system/kube-dns"]
    );
    // The rest of three batches.
    rig.run();
    rig.run();
    assert_eq!(rig.objects(), before);
    // The load balancers are listed twice, and eight of them are read.
    assert_eq!(rig.calls(), (2 + 1 + 8 + 577, 577), "an audit that confirms the loss, and a write for each");
    assert_eq!(rig.proxy.liveness(), Liveness::Up);
}

#[test]
fn issue_139519_objects_that_reappear_late_after_a_restart_are_compared_and_adopted() {
    let mut rig = empty("15.5");
    serve(&mut rig, "ns/same", "10.96.0.1", &["10.244.2.1"]);
    serve(&mut rig, "ns/other", "10.96.0.2", &["10.244.2.2"]);
    rig.sync();
    rig.emulator.stop(&[Kind::LoadBalancer, Kind::Endpoint]);
    back(&mut rig, "ns/other", &["10.244.2.3"]);
    rig.run();
    assert_eq!(rig.proxy.liveness(), Liveness::Unavailable);
    assert!(rig.proxy.audit_error().is_some());
    rig.emulator.start();
    // The audit finds nothing; the objects reappear before the first write.
    rig.proxy.audit(&rig.client).unwrap();
    assert_eq!(rig.proxy.liveness(), Liveness::Restarted);
    rig.emulator.reappear();
    rig.calls();
    rig.run();
    assert!(!writes(&rig).contains(&"HcnDeleteLoadBalancer"), "{:?}", writes(&rig));
    rig.settle();
    assert_eq!(
        rig.objects(),
        [
            "lb 10.96.0.1:80/6 -> 10.244.2.1:8080 flags 1/0",
            "lb 10.96.0.2:80/6 -> 10.244.2.3:8080 flags 1/0",
            "remote 10.244.2.1",
            "remote 10.244.2.3"
        ]
    );
    assert_eq!(rig.proxy.liveness(), Liveness::Up);
}

#[test]
fn issues_112836_113524_a_failed_delete_leaves_no_stale_load_balancer_when_as_many_backends_come_back() {
    let mut rig = empty("14.0");
    serve(&mut rig, "ns/web", "10.96.0.1", &["10.244.2.1", "10.244.2.2"]);
    rig.sync();
    back(&mut rig, "ns/web", &[]);
    rig.emulator.fail_nth("HcnDeleteLoadBalancer", 1, Hresult::ERROR_GEN_FAILURE);
    assert!(rig.run().failures().next().is_some());
    assert_eq!(rig.objects().len(), 3, "an endpoint stays while a load balancer refers to it");
    back(&mut rig, "ns/web", &["10.244.2.3", "10.244.2.4"]);
    rig.now += Duration::from_secs(2);
    rig.run();
    rig.settle();
    assert_eq!(
        rig.objects(),
        ["lb 10.96.0.1:80/6 -> 10.244.2.3,10.244.2.4:8080 flags 1/0", "remote 10.244.2.3", "remote 10.244.2.4"]
    );
}

#[test]
fn issues_137530_and_community_8883_a_port_in_use_is_reported_and_others_are_unaffected() {
    let mut rig = empty("15.5");
    rig.proxy.apply_service(service("ns/web").cluster_ip("10.96.0.1").port(80).node_port(30080).build());
    back(&mut rig, "ns/web", &["10.244.2.1"]);
    rig.sync();
    rig.calls();
    back(&mut rig, "ns/web", &[]);
    rig.run();
    assert_eq!(rig.objects(), Vec::<String>::new(), "the last backend's load balancers are deleted");
    assert_eq!(writes(&rig), ["HcnDeleteLoadBalancer", "HcnDeleteLoadBalancer", "HcnDeleteEndpoint"]);

    rig.emulator.change_quirks(|quirks| quirks.reserved_ports.extend([(6, 30080)]));
    back(&mut rig, "ns/web", &["10.244.2.1"]);
    serve(&mut rig, "ns/zzz", "10.96.0.9", &["10.244.2.9"]);
    let report = rig.run();
    assert_eq!(report.failures().count(), 1);
    assert!(rig.objects().contains(&"lb 10.96.0.1:80/6 -> 10.244.2.1:8080 flags 1/0".into()));
    assert!(rig.objects().contains(&"lb 10.96.0.9:80/6 -> 10.244.2.9:8080 flags 1/0".into()));
    let conditions = rig.proxy.conditions();
    assert!(
        matches!(&conditions[0].condition, Condition::PortInUse { holder: Holder::Unknown { without_dsr: 0 }, .. }),
        "{conditions:?}"
    );

    // Two minutes of it cost a bounded number of calls.
    rig.calls();
    for _ in 0..120 {
        rig.now += Duration::from_secs(1);
        rig.run();
    }
    let (calls, writes) = rig.calls();
    assert!(writes <= 12 && calls <= 3 * writes, "{calls} calls, {writes} of them writes");
    rig.emulator.change_quirks(|quirks| quirks.reserved_ports.clear());
    rig.settle();
    assert!(rig.objects().iter().any(|line| line.starts_with("lb node:30080/6")));
    assert_eq!(rig.proxy.conditions(), []);
}

#[test]
fn a_port_in_use_names_the_holder_where_it_is_known() {
    let mut rig = empty("15.5");
    let pod = rig.local("pod", &["10.244.1.11"]);
    let external =
        |name: &str, ip: &str, port| service(name).cluster_ip(ip).external_ip("192.168.77.1").port(port).build();
    // Both ports are in use: by the health check of this process, and by a foreign load balancer on every address.
    rig.emulator.change_quirks(|quirks| quirks.reserved_ports.extend([(6, 10256), (6, 4000)]));
    rig.emulator.add(
        Kind::LoadBalancer,
        json!({"HostComputeEndpoints": [pod], "PortMappings": [{"Protocol": 6, "InternalPort": 1, "ExternalPort": 4000}]}),
    );
    rig.proxy.apply_service(external("ns/a", "10.96.0.1", 10256));
    rig.proxy.apply_service(external("ns/b", "10.96.0.2", 4000));
    back(&mut rig, "ns/a", &["10.244.2.1"]);
    back(&mut rig, "ns/b", &["10.244.2.1"]);
    rig.sync();
    let conditions: Vec<_> = rig.proxy.conditions().iter().map(ToString::to_string).collect();
    let foreign = format!("is in use by foreign load balancer {} on node:4000/TCP", ids(&rig, Kind::LoadBalancer)[0]);
    let expected = ["is in use by /healthz of this process", foreign.as_str()];
    assert!(
        conditions.len() == 2 && conditions.iter().zip(expected).all(|(c, end)| c.ends_with(end)),
        "{conditions:?}"
    );
}

#[test]
fn issue_131466_a_modify_without_effect_is_detected_and_not_repeated() {
    let mut rig = empty("15.5");
    rig.emulator.change_quirks(|quirks| quirks.silent_modify = true);
    serve(&mut rig, "ns/web", "10.96.0.1", &["10.244.2.1"]);
    rig.sync();
    for more in ["10.244.2.2", "10.244.2.3"] {
        rig.now += Duration::from_secs(2);
        back(&mut rig, "ns/web", &["10.244.2.1", more]);
        rig.run();
        assert!(rig.objects()[0].contains(&format!("10.244.2.1,{more}")));
    }
    assert!(rig.proxy.is_in_sync());
    assert!(!rig.proxy.capabilities().unwrap().modify);
    assert_eq!(writes(&rig).iter().filter(|function| **function == "HcnModifyLoadBalancer").count(), 1);
}

#[test]
fn a_modify_with_equal_content_does_not_prove_that_hns_modifies() {
    let mut rig = empty("15.5");
    rig.emulator.change_quirks(|quirks| quirks.silent_modify = true);
    serve(&mut rig, "ns/web", "10.96.0.1", &["10.244.2.1"]);
    rig.sync();
    // The load balancer of a lost endpoint is written again as it was, and read back as it was.
    ids(&rig, Kind::Endpoint).into_iter().for_each(|id| rig.emulator.remove(Kind::Endpoint, id));
    rig.sync();
    back(&mut rig, "ns/web", &["10.244.2.2"]);
    rig.run();
    rig.settle();
    assert_eq!(rig.objects(), ["lb 10.96.0.1:80/6 -> 10.244.2.2:8080 flags 1/0", "remote 10.244.2.2"]);
}

#[test]
fn a_modify_that_stops_working_is_detected_within_a_cycle_of_audits() {
    let mut rig = empty("15.5");
    serve(&mut rig, "ns/web", "10.96.0.1", &["10.244.2.1"]);
    serve(&mut rig, "ns/api", "10.96.0.2", &["10.244.2.9"]);
    rig.sync();
    back(&mut rig, "ns/web", &["10.244.2.2"]);
    rig.run();
    rig.emulator.change_quirks(|quirks| quirks.silent_modify = true);
    back(&mut rig, "ns/web", &["10.244.2.3", "10.244.2.2"]);
    rig.run();
    assert!(rig.proxy.is_in_sync(), "it was believed");
    for _ in 0..12 {
        rig.sync();
    }
    assert!(rig.objects().contains(&"lb 10.96.0.1:80/6 -> 10.244.2.2,10.244.2.3:8080 flags 1/0".into()));
    assert!(!rig.proxy.capabilities().unwrap().modify);
}

#[test]
fn hns_is_in_sync_after_an_outage_during_any_call() {
    for function in ["HcnCreateEndpoint", "HcnCreateLoadBalancer", "HcnDeleteLoadBalancer", "HcnDeleteEndpoint"] {
        for done in [false, true] {
            for version in ["15.5", "14.0"] {
                let mut rig = empty(version);
                serve(&mut rig, "ns/web", "10.96.0.1", &["10.244.2.1"]);
                serve(&mut rig, "ns/old", "10.96.0.2", &["10.244.2.2"]);
                rig.sync();
                rig.break_once(function, done, Hresult::RPC_S_CALL_FAILED);
                back(&mut rig, "ns/web", &["10.244.2.3"]);
                rig.proxy.delete_service(&proxy::model::ServiceName::new("ns", "old"));
                serve(&mut rig, "ns/new", "10.96.0.3", &["10.244.2.4"]);
                rig.run();
                rig.settle();
                let load_balancers: Vec<_> = rig.objects().into_iter().filter(|line| line.starts_with("lb")).collect();
                assert_eq!(
                    load_balancers,
                    [
                        "lb 10.96.0.1:80/6 -> 10.244.2.3:8080 flags 1/0",
                        "lb 10.96.0.3:80/6 -> 10.244.2.4:8080 flags 1/0"
                    ],
                    "{function} {done} {version}"
                );
                assert_eq!(rig.objects().len(), 4, "{:?}", rig.objects());
            }
        }
    }
}

#[test]
fn a_lost_endpoint_is_created_again_and_its_load_balancer_is_modified_where_hns_can() {
    for (version, expected) in
        [("15.5", vec!["HcnCreateEndpoint", "HcnModifyLoadBalancer"]), ("14.0", vec!["HcnCreateEndpoint"])]
    {
        let mut rig = empty(version);
        serve(&mut rig, "ns/web", "10.96.0.1", &["10.244.2.1"]);
        rig.sync();
        let before = rig.objects();
        ids(&rig, Kind::Endpoint).into_iter().for_each(|id| rig.emulator.remove(Kind::Endpoint, id));
        rig.calls();
        rig.proxy.audit(&rig.client).unwrap();
        assert_eq!(by_cause(&rig.proxy.take_drift()).into_iter().collect::<Vec<_>>(), [(Cause::EndpointLost, 1)]);
        rig.run();
        assert_eq!(writes(&rig), expected);
        assert_eq!(rig.objects(), before);
        assert!(rig.proxy.is_in_sync());
    }
}

/// The drift that a whole cycle of audits finds.
fn drift_of_a_cycle(rig: &mut Rig) -> Vec<Drift> {
    for _ in 0..12 {
        rig.proxy.audit(&rig.client).unwrap();
    }
    rig.proxy.take_drift()
}

#[test]
fn modifications_by_other_programs_are_found_within_a_cycle_of_audits() {
    let mut rig = empty("15.5");
    serve(&mut rig, "ns/web", "10.96.0.1", &["10.244.2.1"]);
    serve(&mut rig, "ns/api", "10.96.0.2", &["10.244.2.2"]);
    rig.sync();
    let before = rig.objects();
    // In a first cycle, nothing differs.
    rig.calls();
    assert_eq!(drift_of_a_cycle(&mut rig), []);
    assert_eq!(rig.calls(), (24, 0));
    for (kind, member, value) in [
        (Kind::LoadBalancer, "/PortMappings/0/InternalPort", json!(9999)),
        (Kind::LoadBalancer, "/HostComputeEndpoints", json!([])),
        (Kind::Endpoint, "/MacAddress", json!("02-11-00-00-00-01")),
    ] {
        let id = ids(&rig, kind)[0];
        let mut document = rig.emulator.document(kind, id).unwrap();
        *document.pointer_mut(member).unwrap() = value;
        rig.emulator.replace(kind, id, document);
        let found = drift_of_a_cycle(&mut rig);
        let cause = if kind == Kind::Endpoint { Cause::EndpointChanged } else { Cause::LoadBalancerChanged };
        assert_eq!(by_cause(&found).into_iter().collect::<Vec<_>>(), [(cause, 1)]);
        rig.now += Duration::from_secs(2);
        rig.run();
        assert_eq!(rig.objects(), before);
        assert!(rig.proxy.is_in_sync());
    }
}

#[test]
fn changes_can_be_programmed_between_the_two_steps_of_an_audit() {
    let mut rig = empty("15.5");
    serve(&mut rig, "ns/web", "10.96.0.1", &["10.244.2.1"]);
    rig.sync();
    // Each step is one call.
    for _ in 0..12 {
        for paused in [true, false] {
            rig.calls();
            let report = rig.proxy.audit_step(&rig.client).unwrap();
            assert_eq!((report.paused, rig.proxy.take_drift(), rig.calls()), (paused, vec![], (1, 0)));
        }
    }
    assert!(rig.proxy.audit_step(&rig.client).unwrap().paused);
    serve(&mut rig, "ns/api", "10.96.0.2", &["10.244.2.2"]);
    rig.run();
    let before = rig.objects();
    assert!(before.iter().any(|line| line.starts_with("lb 10.96.0.2:80/6")));
    // A loss is found by the step that lists the kind; after the loss of an endpoint, load balancers are listed at once.
    rig.emulator.remove(Kind::LoadBalancer, ids(&rig, Kind::LoadBalancer)[0]);
    let report = rig.proxy.audit_step(&rig.client).unwrap();
    let causes: Vec<_> = by_cause(&rig.proxy.take_drift()).into_keys().collect();
    assert_eq!((report.paused, causes), (false, vec![Cause::LoadBalancerLost]));
    rig.run();
    assert_eq!(rig.objects(), before);
    for kind in [Kind::LoadBalancer, Kind::Endpoint] {
        ids(&rig, kind).into_iter().for_each(|id| rig.emulator.remove(kind, id));
    }
    let report = rig.proxy.audit_step(&rig.client).unwrap();
    assert_eq!((report.paused, rig.proxy.take_drift().len()), (false, 4));
    rig.calls();
    rig.run();
    assert_eq!((rig.objects(), rig.calls()), (before, (4, 4)));
}

#[test]
fn a_slow_hns_is_reported_as_slow() {
    let mut rig = empty("15.5");
    rig.sync();
    rig.proxy.set_slow(true);
    assert_eq!(rig.proxy.liveness(), Liveness::Slow);
    rig.proxy.set_slow(false);
    assert_eq!(rig.proxy.liveness(), Liveness::Up);
}

#[test]
fn drift_that_an_audit_finds_before_it_fails_is_reported() {
    let mut rig = empty("15.5");
    serve(&mut rig, "ns/web", "10.96.0.1", &["10.244.2.1"]);
    rig.sync();
    ids(&rig, Kind::Endpoint).into_iter().for_each(|id| rig.emulator.remove(Kind::Endpoint, id));
    rig.emulator.fail_nth("HcnEnumerateLoadBalancers", 1, Hresult::RPC_S_SERVER_UNAVAILABLE);
    assert!(rig.proxy.audit(&rig.client).is_err());
    assert_eq!(by_cause(&rig.proxy.take_drift()).into_iter().collect::<Vec<_>>(), [(Cause::EndpointLost, 1)]);
}

#[test]
fn a_failed_audit_is_no_drift() {
    let mut rig = empty("15.5");
    serve(&mut rig, "ns/web", "10.96.0.1", &["10.244.2.1"]);
    rig.sync();
    let before = rig.objects();
    for function in ["HcnEnumerateNetworks", "HcnEnumerateEndpoints", "HcnEnumerateLoadBalancers"] {
        for code in [Hresult::RPC_S_SERVER_UNAVAILABLE, Hresult::E_ACCESSDENIED, Hresult::ELEMENT_NOT_FOUND] {
            rig.emulator.fail_nth(function, 1, code);
            let fails = |_| rig.proxy.audit(&rig.client).is_err();
            assert!((0..12).any(fails), "each kind of list is called in a cycle");
            rig.calls();
            let report = rig.run();
            assert_eq!(rig.calls().1, 0, "{function} {code}");
            assert_eq!(report.next, Next::Idle);
        }
    }
    assert_eq!(rig.objects(), before);
}
