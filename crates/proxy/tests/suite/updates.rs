//! Changes of programmed Services: the order and number of writes, and what stays untouched.

use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use hcn::{Hresult, Kind};
use proxy::apply::Workers;
use proxy::model::{Protocol, ServiceName};
use proxy::testing::{backend, service, slice};
use proxy::{Next, Reason};
use serde_json::json;

use crate::calls::cluster;
use crate::faults::{back, empty, serve, writes};
use crate::rig::Rig;

const REPLACED: [&str; 2] = ["HcnDeleteLoadBalancer", "HcnCreateLoadBalancer"];

#[test]
fn without_modify_a_load_balancer_is_replaced_at_once_and_then_at_most_once_a_second() {
    let mut rig = empty("14.0");
    serve(&mut rig, "ns/web", "10.96.0.1", &["10.244.2.1"]);
    rig.sync();
    let start = rig.now;
    rig.calls();
    // A rolling update: ten changes a second, for five seconds.
    let mut replaced = Vec::new();
    for step in 0..50_u32 {
        rig.now = start + Duration::from_millis(100) * step;
        back(&mut rig, "ns/web", &[&format!("10.244.2.{}", step + 2)]);
        rig.run();
        assert!(rig.objects()[0].starts_with("lb 10.96.0.1:80/6"), "{:?}", rig.objects());
        assert!(!rig.objects()[0].contains("gone"), "its backends stay while it does");
        let deletes = writes(&rig).into_iter().filter(|function| *function == "HcnDeleteLoadBalancer").count();
        (0..deletes).for_each(|_| replaced.push(step));
        assert!(rig.emulator.journal().len() <= 6);
        rig.calls();
    }
    assert_eq!(replaced, [0, 10, 20, 30, 40]);
    let Next::At(due) = rig.run().next else { panic!("a postponed replacement has a due time") };
    assert_eq!(due, start + Duration::from_secs(5));
    rig.now = due;
    rig.run();
    assert_eq!(rig.objects(), ["lb 10.96.0.1:80/6 -> 10.244.2.51:8080 flags 1/0", "remote 10.244.2.51"]);
    assert!(rig.proxy.is_in_sync());
}

#[test]
fn with_modify_every_change_is_programmed_at_once() {
    let mut rig = empty("15.5");
    serve(&mut rig, "ns/web", "10.96.0.1", &["10.244.2.1"]);
    rig.sync();
    rig.calls();
    for last in 2..20 {
        back(&mut rig, "ns/web", &[&format!("10.244.2.{last}")]);
        rig.run();
        assert_eq!(rig.objects().len(), 2);
    }
    assert!(!writes(&rig).iter().any(|function| REPLACED.contains(function)), "{:?}", writes(&rig));
}

#[test]
fn the_previous_load_balancer_is_restored_if_hns_refuses_a_replacement() {
    let mut rig = empty("14.0");
    serve(&mut rig, "ns/web", "10.96.0.1", &["10.244.2.1"]);
    rig.sync();
    rig.calls();
    rig.break_once("HcnCreateLoadBalancer", false, Hresult::E_OUTOFMEMORY);
    back(&mut rig, "ns/web", &["10.244.2.2"]);
    let report = rig.run();
    let failed: Vec<_> = report.failures().map(|(outcome, _)| (outcome.step.reason, outcome.restored)).collect();
    assert_eq!(failed, [(Reason::BackendsDiffer, true), (Reason::NotDesired, false)]);
    assert_eq!(
        writes(&rig),
        ["HcnCreateEndpoint", "HcnDeleteLoadBalancer", "HcnCreateLoadBalancer", "HcnCreateLoadBalancer"]
    );
    assert!(rig.objects().contains(&"lb 10.96.0.1:80/6 -> 10.244.2.1:8080 flags 1/0".into()));
    rig.settle();
    assert_eq!(rig.objects(), ["lb 10.96.0.1:80/6 -> 10.244.2.2:8080 flags 1/0", "remote 10.244.2.2"]);
}

#[test]
fn a_failed_endpoint_stops_the_replacement_before_anything_is_deleted() {
    let mut rig = empty("14.0");
    serve(&mut rig, "ns/web", "10.96.0.1", &["10.244.2.1"]);
    rig.sync();
    rig.calls();
    rig.break_once("HcnCreateEndpoint", false, Hresult::E_OUTOFMEMORY);
    back(&mut rig, "ns/web", &["10.244.2.2"]);
    rig.run();
    assert_eq!(writes(&rig), ["HcnCreateEndpoint"]);
    rig.settle();
    assert_eq!(rig.objects(), ["lb 10.96.0.1:80/6 -> 10.244.2.2:8080 flags 1/0", "remote 10.244.2.2"]);
}

#[test]
fn an_external_address_that_moves_to_another_service_is_replaced_back_to_back() {
    for (version, expected) in [("15.5", &["HcnModifyLoadBalancer"][..]), ("14.0", &REPLACED)] {
        let mut rig = empty(version);
        let with = |name: &str, ip: &str, external: &[&str]| {
            external.iter().fold(service(name).cluster_ip(ip).port(80), |s, ip| s.external_ip(ip)).build()
        };
        rig.proxy.apply_service(with("ns/a", "10.96.0.1", &["198.51.100.7"]));
        rig.proxy.apply_service(with("ns/b", "10.96.0.2", &[]));
        back(&mut rig, "ns/a", &["10.244.2.1"]);
        back(&mut rig, "ns/b", &["10.244.2.2"]);
        rig.sync();
        rig.calls();
        rig.proxy.apply_service(with("ns/b", "10.96.0.2", &["198.51.100.7"]));
        rig.proxy.apply_service(with("ns/a", "10.96.0.1", &[]));
        rig.run();
        assert_eq!(writes(&rig), expected);
        assert!(rig.objects().contains(&"lb 198.51.100.7:80/6 -> 10.244.2.2:8080 flags 0/16".into()));
        assert!(rig.proxy.is_in_sync());
    }
}

#[test]
fn an_edit_writes_only_what_differs() {
    let mut rig = empty("14.0");
    let base = || {
        service("ns/web").cluster_ip("10.96.0.1").cluster_ip("fd00:96::1").external_ip("198.51.100.7").named_port(
            "http",
            Protocol::TCP,
            80,
        )
    };
    let slices = |rig: &mut Rig| {
        let ports = |s: proxy::testing::SliceBuilder| {
            s.named_port("http", Protocol::TCP, 8080).named_port("admin", Protocol::TCP, 9090)
        };
        rig.proxy.apply_slice(ports(slice("ns/web-1", "ns/web")).backend(backend("10.244.2.1")).build());
        rig.proxy.apply_slice(ports(slice("ns/web-2", "ns/web")).backend(backend("fd00:244::1")).build());
    };
    serve(&mut rig, "ns/other", "10.96.0.9", &["10.244.2.1"]);
    slices(&mut rig);
    rig.proxy.apply_service(base().build());
    rig.sync();
    rig.calls();
    rig.proxy.apply_service(base().named_port("admin", Protocol::TCP, 81).build());
    rig.run();
    assert_eq!(writes(&rig), ["HcnCreateLoadBalancer"; 3], "a port more: its load balancers alone");
    rig.calls();
    rig.proxy.apply_service(base().named_port("admin", Protocol::TCP, 82).build());
    rig.run();
    assert_eq!(writes(&rig).len(), 6, "another port: its load balancers alone");
    rig.calls();
    rig.proxy.apply_service(base().with(|s| s.client_ip_affinity = true).build());
    rig.now += Duration::from_secs(5);
    rig.run();
    assert_eq!(writes(&rig), [&REPLACED[..], &REPLACED, &REPLACED, &["HcnDeleteLoadBalancer"; 3]].concat());
    assert!(rig.proxy.is_in_sync());
}

#[test]
fn one_of_two_load_balancers_on_a_frontend_stays() {
    let mut rig = empty("15.5");
    serve(&mut rig, "ns/web", "10.96.0.1", &["10.244.2.1"]);
    rig.sync();
    let document = rig.emulator.documents(Kind::LoadBalancer).remove(0);
    let pod = rig.local("pod", &["10.244.1.11"]);
    rig.emulator.add(
        Kind::LoadBalancer,
        json!({"HostComputeEndpoints": [pod], "FrontendVIPs": ["10.96.0.1"],
               "PortMappings": [{"Protocol": 6, "InternalPort": 1, "ExternalPort": 80}]}),
    );
    back(&mut rig, "ns/web", &["10.244.2.2"]);
    rig.calls();
    rig.sync();
    assert_eq!(
        writes(&rig),
        ["HcnCreateEndpoint", "HcnDeleteLoadBalancer", "HcnModifyLoadBalancer", "HcnDeleteEndpoint"]
    );
    assert!(rig.emulator.document(Kind::LoadBalancer, document["ID"].as_str().unwrap().parse().unwrap()).is_some());
    assert!(rig.objects().contains(&"lb 10.96.0.1:80/6 -> 10.244.2.2:8080 flags 1/0".into()));
}

#[test]
fn retries_come_after_new_changes() {
    let mut rig = empty("15.5");
    rig.emulator.change_quirks(|quirks| quirks.reserved_ports.extend([(6, 30001)]));
    let node_port = |name: &str, ip: &str, port| service(name).cluster_ip(ip).port(80).node_port(port).build();
    rig.proxy.apply_service(node_port("a/first", "10.96.0.1", 30001));
    back(&mut rig, "a/first", &["10.244.2.1"]);
    let Next::At(due) = rig.sync().next else { panic!("a retry is due") };
    rig.now = due;
    rig.proxy.apply_service(node_port("z/last", "10.96.0.2", 30002));
    back(&mut rig, "z/last", &["10.244.2.2"]);
    let order: Vec<_> =
        rig.run().outcomes.iter().filter_map(|outcome| Some(outcome.step.service.as_ref()?.to_string())).collect();
    assert_eq!(order, ["z/last", "z/last", "z/last", "a/first"]);
}

#[test]
fn any_number_of_workers_leads_to_the_same_objects() {
    let mut expected = None;
    for threads in [1, 2, 8] {
        for version in ["15.5", "14.0"] {
            let mut rig = Rig::new("Overlay", version, hcn::ApiVersion::V2);
            let driver = Workers::untimed(NonZeroUsize::new(threads).unwrap());
            let (services, mut slices) = cluster(60, 3);
            rig.cluster(services, slices.clone());
            rig.proxy.audit(&rig.client).unwrap();
            assert!(rig.proxy.run_with(&rig.client, rig.now, &driver).failures().next().is_none());
            for slice in slices.iter_mut().step_by(2) {
                slice.backends.pop();
                rig.proxy.apply_slice(slice.clone());
            }
            for n in 0..10 {
                rig.proxy.delete_service(&ServiceName::new("default", format!("svc-{n}")));
            }
            rig.calls();
            let report = rig.proxy.run_with(&rig.client, rig.now, &driver);
            assert!(report.failures().next().is_none());
            assert!(rig.proxy.is_in_sync());
            let counts = (report.outcomes.len(), rig.objects());
            let calls = rig.calls();
            assert!(rig.sync().outcomes.is_empty());
            let expected = expected.get_or_insert_with(|| counts.1.clone());
            assert_eq!(&counts.1, expected, "{threads} {version}");
            assert!(calls.1 >= 100 && counts.0 >= 100);
        }
    }
}

#[test]
fn each_step_has_the_duration_of_its_calls() {
    let mut rig = empty("15.5");
    let (services, slices) = cluster(3, 2);
    rig.cluster(services, slices);
    rig.proxy.audit(&rig.client).unwrap();
    // Each reading is a second later: one before a step, and one after it.
    let readings = AtomicU64::new(0);
    let clock = || Duration::from_secs(readings.fetch_add(1, Ordering::SeqCst));
    let report = rig.proxy.run_with(&rig.client, rig.now, &Workers::timed(NonZeroUsize::MIN, &clock));
    let durations: Vec<_> = report.outcomes.iter().map(|outcome| outcome.duration).collect();
    assert_eq!(durations, vec![Duration::from_secs(1); report.outcomes.len()]);
    assert!(!durations.is_empty());
}
