//! A load balancer that does not forward is replaced once, although HNS has it as desired.

use std::time::Duration;

use hcn::schema::Protocol;
use hcn::{ApiVersion, Hresult};
use proxy::model::{Family, ServiceName};
use proxy::testing::{backend, slice};
use proxy::{Frontend, ProgrammedFrontend, Reason};

use crate::calls::cluster;
use crate::rig::Rig;

/// Two Services in sync, and the frontend of the first one.
fn in_sync(version: &str, api_version: ApiVersion) -> (Rig, Frontend) {
    let mut rig = Rig::new("L2Bridge", version, api_version);
    let (services, slices) = cluster(2, 2);
    rig.cluster(services, slices);
    rig.settle();
    // Later than the minimum delay between two replacements, so that the next one is not postponed.
    rig.now += Duration::from_secs(10);
    rig.calls();
    let address = Some("10.96.0.1".parse().unwrap());
    (rig, Frontend { family: Family::V4, address, protocol: Protocol::TCP, port: 80 })
}

/// The called HNS functions with the number of calls of each.
fn counters(rig: &Rig) -> Vec<(String, u64)> {
    let mut counters: Vec<_> =
        rig.emulator.counters().into_iter().map(|(name, count)| (name.to_string(), count)).collect();
    counters.sort();
    rig.emulator.reset_journal();
    counters
}

fn calls(calls: &[(&str, u64)]) -> Vec<(String, u64)> {
    calls.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect()
}

fn reasons(report: &proxy::Report) -> Vec<Reason> {
    report.outcomes.iter().map(|outcome| outcome.step.reason).collect()
}

#[test]
fn a_replacement_is_one_deletion_and_one_creation() {
    // HNS 15.5 modifies in place, 15.1 does not.
    for version in ["15.5", "15.1"] {
        let (mut rig, frontend) = in_sync(version, ApiVersion::V2);
        let objects = rig.objects();
        rig.proxy.replace_load_balancer(frontend);
        assert!(!rig.proxy.is_in_sync());
        assert_eq!(reasons(&rig.run()), [Reason::NotForwarding; 2]);
        assert_eq!(counters(&rig), calls(&[("HcnCreateLoadBalancer", 1), ("HcnDeleteLoadBalancer", 1)]));
        assert_eq!(rig.objects(), objects);
        assert!(rig.proxy.is_in_sync());
        rig.now += Duration::from_secs(3600);
        assert!(rig.sync().outcomes.is_empty(), "once");
    }
}

#[test]
fn a_replacement_through_the_v1_api_is_one_deletion_and_one_creation() {
    let (mut rig, frontend) = in_sync("15.5", ApiVersion::V1);
    let objects = rig.objects();
    rig.proxy.replace_load_balancer(frontend);
    assert_eq!(reasons(&rig.run()), [Reason::NotForwarding; 2]);
    assert_eq!((rig.calls(), rig.objects()), ((2, 2), objects));
    assert!(rig.sync().outcomes.is_empty());
}

#[test]
fn a_replacement_whose_deletion_fails_is_retried() {
    let (mut rig, frontend) = in_sync("15.5", ApiVersion::V2);
    let objects = rig.objects();
    rig.proxy.replace_load_balancer(frontend);
    rig.break_once("HcnDeleteLoadBalancer", false, Hresult::E_INVALIDARG);
    rig.run();
    rig.settle();
    assert_eq!(rig.objects(), objects);
    let counted = counters(&rig);
    let count = |name: &str| counted.iter().find(|(function, _)| function == name).map(|(_, count)| *count);
    // The failed deletion and its retry.
    assert_eq!((count("HcnDeleteLoadBalancer"), count("HcnCreateLoadBalancer")), (Some(2), Some(1)));
}

#[test]
fn a_replacement_whose_creation_fails_restores_the_load_balancer_and_ends() {
    let (mut rig, frontend) = in_sync("15.5", ApiVersion::V2);
    let objects = rig.objects();
    rig.proxy.replace_load_balancer(frontend);
    rig.break_once("HcnCreateLoadBalancer", false, Hresult::E_INVALIDARG);
    rig.run();
    assert_eq!(rig.objects(), objects);
    rig.calls();
    rig.settle();
    assert_eq!((rig.emulator.writes(), rig.objects()), (0, objects));
}

#[test]
fn a_second_replacement_within_a_second_waits() {
    let (mut rig, frontend) = in_sync("15.5", ApiVersion::V2);
    for _ in 0..2 {
        rig.proxy.replace_load_balancer(frontend);
        rig.run();
    }
    assert_eq!(rig.calls(), (2, 2));
    rig.now += Duration::from_secs(1);
    rig.run();
    assert_eq!(rig.calls(), (2, 2));
    assert!(rig.proxy.is_in_sync());
}

#[test]
fn nothing_is_replaced_where_no_load_balancer_is_desired() {
    let (mut rig, frontend) = in_sync("15.5", ApiVersion::V2);
    rig.proxy.replace_load_balancer(Frontend { port: 81, ..frontend });
    assert!(rig.proxy.is_in_sync());
    rig.proxy.replace_load_balancer(frontend);
    rig.proxy.delete_service(&ServiceName::new("default", "svc-0"));
    rig.settle();
    // The Service comes back with a new load balancer, which is not replaced.
    let (services, slices) = cluster(2, 2);
    rig.cluster(services, slices);
    rig.settle();
    rig.calls();
    rig.now += Duration::from_secs(10);
    assert!(rig.run().outcomes.is_empty());
}

#[test]
fn only_frontends_that_hns_has_are_programmed() {
    let (mut rig, frontend) = in_sync("15.5", ApiVersion::V2);
    let name = ServiceName::new("default", "svc-0");
    let backends = ["11.0.0.1:8080", "11.0.0.2:8080"].map(|backend| backend.parse().unwrap()).to_vec();
    let programmed = vec![ProgrammedFrontend { frontend, backends }];
    assert_eq!(rig.proxy.programmed_cluster_ips(&name), programmed);
    // A change is pending.
    let changed = slice("default/svc-0-x", "default/svc-0").port(8080).backend(backend("11.0.0.9").on("there")).build();
    rig.proxy.apply_slice(changed);
    rig.proxy.plan(rig.now);
    assert_eq!(rig.proxy.programmed_cluster_ips(&name), []);
    rig.settle();
    assert_eq!(rig.proxy.programmed_cluster_ips(&name)[0].backends, ["11.0.0.9:8080".parse().unwrap()]);
    rig.break_once("HcnEnumerateEndpoints", false, Hresult::RPC_S_SERVER_UNAVAILABLE);
    assert!(rig.proxy.audit(&rig.client).is_err());
    assert_eq!(rig.proxy.programmed_cluster_ips(&name), []);
}
