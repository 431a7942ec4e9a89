//! Progress for operators: how far HNS is in sync, the changes of the cluster, and trigger times.

use std::time::Duration;

use hcn::{Hresult, Kind};
use hcn_emulator::faults::{Effect, Fault, Which};
use proxy::desire::TrafficPolicy;
use proxy::dirty::Subject;
use proxy::model::{Family, Service};
use proxy::reconcile::{Changes, Progress};
use proxy::testing::{backend, service, slice};
use proxy::{Drift, Next, Tally, Unready};

use crate::calls::cluster;
use crate::rig::Rig;

fn web() -> Service {
    service("ns/web").cluster_ip("10.96.0.1").port(80).build()
}

/// When changes began that are programmed now.
fn triggers(rig: &mut Rig) -> Vec<i64> {
    rig.sync();
    rig.proxy.take_triggers().into_iter().map(|trigger| trigger.at).collect()
}

#[test]
fn a_frontend_that_hns_refuses_is_desired_and_not_in_sync() {
    let mut rig = Rig::l2bridge();
    let idle = service("ns/idle").cluster_ip("10.96.0.2").port(80).build();
    let backends = slice("ns/web-1", "ns/web").port(8080).backend(backend("10.244.2.1")).backend(backend("10.244.2.2"));
    rig.cluster(vec![web(), idle], vec![backends.build()]);
    let refused = Effect::Fail(Hresult::HCN_E_PORT_ALREADY_EXISTS);
    let which = Which::Function("HcnCreateLoadBalancer".into());
    rig.emulator.inject(Fault { which, from: 1, every: 1, effect: refused });
    rig.sync();
    let changes = Changes { services: 2, slices: 1, ..Changes::default() };
    let expected = Progress {
        complete: true,
        load_balancers: Tally { desired: 1, in_sync: 0 },
        endpoints: Tally { desired: 2, in_sync: 2 },
        without_backends: 1,
        backlog: 1,
        unplanned: 0,
        failed: 1,
        contended: 0,
        deferred: 1,
        changes,
    };
    assert_eq!(rig.proxy.progress(), expected);
    rig.emulator.clear_faults();
    rig.now += Duration::from_secs(60);
    rig.settle();
    let done = Tally { desired: 1, in_sync: 1 };
    let expected = Progress { load_balancers: done, backlog: 0, failed: 0, deferred: 0, ..expected };
    assert_eq!(rig.proxy.progress(), expected);
}

#[test]
fn an_address_that_hns_refuses_defers_no_load_balancer() {
    let mut rig = Rig::l2bridge();
    let backends = slice("ns/web-1", "ns/web").port(8080).backend(backend("10.244.2.1")).backend(backend("10.244.2.2"));
    rig.cluster(vec![web()], vec![backends.build()]);
    let which = Which::Function("HcnCreateEndpoint".into());
    rig.emulator.inject(Fault::of_each(which, Effect::Fail(Hresult::ERROR_GEN_FAILURE)));
    rig.sync();
    let Progress { failed, deferred, .. } = rig.proxy.progress();
    assert_eq!((failed, deferred), (2, 0));
}

#[test]
fn a_lost_load_balancer_is_settled_after_it_is_created_again() {
    let mut rig = Rig::l2bridge();
    rig.cluster(vec![web()], vec![slice("ns/web-1", "ns/web").port(8080).backend(backend("10.244.2.1")).build()]);
    rig.sync();
    let id = rig.emulator.documents(Kind::LoadBalancer)[0]["ID"].as_str().unwrap().parse().unwrap();
    rig.emulator.remove(Kind::LoadBalancer, id);
    rig.proxy.audit(&rig.client).unwrap();
    let [Drift { subject, .. }] = rig.proxy.take_drift()[..] else { panic!("one is lost") };
    assert!(matches!(subject, Subject::Frontend(_)) && !rig.proxy.is_settled(subject));
    rig.run();
    assert!(rig.proxy.is_settled(subject));
}

#[test]
fn ports_without_local_backends_are_counted() {
    let mut rig = Rig::l2bridge();
    let local = service("ns/web").cluster_ip("10.96.0.1").port(80).node_port(30080);
    let local = local.with(|service| (service.internal_local, service.external_local) = (true, true)).build();
    let elsewhere = slice("ns/web-1", "ns/web").port(8080).backend(backend("10.244.2.1").on("there"));
    rig.cluster(vec![local], vec![elsewhere.clone().build()]);
    rig.sync();
    let counts = |rig: &Rig| TrafficPolicy::ALL.map(|policy| rig.proxy.without_local(policy, Family::V4));
    assert_eq!(counts(&rig), [1, 1]);
    rig.proxy.apply_slice(elsewhere.backend(backend("10.244.1.7").on("here")).build());
    rig.run();
    assert_eq!(counts(&rig), [0, 0]);
}

#[test]
fn the_trigger_time_of_a_change_is_reported_when_it_is_programmed() {
    let mut rig = Rig::l2bridge();
    let other = service("ns/other").cluster_ip("10.96.0.3").port(80).build();
    let slice = |service: &str, last: u8, at: i64| {
        let name = format!("{service}-1");
        slice(&name, service).port(8080).backend(backend(&format!("10.244.2.{last}"))).triggered(at).build()
    };
    rig.cluster(vec![web(), other], vec![slice("ns/web", 1, 10), slice("ns/other", 2, 20)]);
    let which = Which::Function("HcnCreateLoadBalancer".into());
    let refused = Effect::Fail(Hresult::HCN_E_PORT_ALREADY_EXISTS);
    rig.emulator.inject_times(Fault { which, from: 1, every: 1, effect: refused }, 1);
    let first = triggers(&mut rig);
    assert_eq!(first.len(), 1, "{first:?}");
    rig.now += Duration::from_secs(60);
    let mut both = triggers(&mut rig);
    both.extend(first);
    both.sort_unstable();
    assert_eq!(both, [10, 20]);
}

#[test]
fn the_trigger_time_of_a_slice_is_reported_once() {
    let mut rig = Rig::l2bridge();
    let slice = |name: &str, last: u8| slice(name, "ns/web").port(8080).backend(backend(&format!("10.244.2.{last}")));
    rig.cluster(vec![web()], vec![slice("ns/a", 1).triggered(10).build(), slice("ns/b", 2).build()]);
    assert_eq!(triggers(&mut rig), [10]);
    // Only a slice with other content is triggered again.
    rig.cluster(vec![web()], vec![slice("ns/a", 1).triggered(10).build(), slice("ns/b", 3).triggered(20).build()]);
    rig.proxy.apply_slice(slice("ns/b", 3).triggered(20).build());
    rig.proxy.apply_slice(slice("ns/b", 4).triggered(30).build());
    assert_eq!(triggers(&mut rig), [20, 30]);
    assert!(triggers(&mut rig).is_empty());
    // A deleted slice has no trigger time; a later one has.
    rig.proxy.apply_slice(slice("ns/b", 5).triggered(40).build());
    let b = slice("ns/b", 5).build();
    rig.proxy.delete_slice(&b.name);
    rig.proxy.apply_slice(slice("ns/b", 6).triggered(50).build());
    assert_eq!(triggers(&mut rig), [50]);
}

#[test]
fn an_empty_cluster_is_not_in_sync_before_hns_is_audited() {
    let mut rig = Rig::l2bridge();
    assert_eq!(rig.proxy.unready(), [Unready::ClusterIncomplete]);
    rig.cluster(Vec::new(), Vec::new());
    assert_eq!(rig.proxy.unready(), [Unready::NotAudited]);
    rig.settle();
    assert_eq!(rig.proxy.unready(), []);
}

#[test]
fn hns_that_is_back_after_an_outage_is_restarted_until_all_is_written() {
    let mut rig = Rig::l2bridge();
    let (services, slices) = cluster(1, 1);
    rig.cluster(services, slices);
    rig.settle();
    rig.emulator.stop(&[]);
    let error = rig.proxy.audit(&rig.client).unwrap_err();
    assert_eq!(rig.proxy.unready(), [Unready::Audit(error)]);
    rig.emulator.start();
    rig.proxy.audit(&rig.client).unwrap();
    assert_eq!(rig.proxy.unready(), [Unready::Restarted]);
    rig.run();
    assert_eq!(rig.proxy.unready(), []);
}

#[test]
fn the_age_of_pending_load_balancers_is_that_of_each_and_not_of_all_changes() {
    let mut rig = Rig::l2bridge();
    let refuse = |rig: &Rig| rig.break_once("HcnCreateLoadBalancer", false, Hresult::HCN_E_PORT_ALREADY_EXISTS);
    rig.proxy.audit(&rig.client).unwrap();
    // While a cluster is not complete, nothing is desired.
    assert_eq!(rig.proxy.oldest_pending_load_balancer(), None);
    let (services, slices) = cluster(4, 1);
    rig.cluster(services[..1].to_vec(), slices);
    // In each iteration, the previous Service is programmed, and HNS rejects a new one.
    for (second, service) in [(1, None), (10, Some(1)), (20, Some(2))] {
        rig.now = Duration::from_secs(second);
        service.into_iter().for_each(|index: usize| rig.proxy.apply_service(services[index].clone()));
        refuse(&rig);
        rig.run();
        assert_eq!(rig.proxy.oldest_pending_load_balancer(), Some(rig.now));
    }
    // HNS still rejects it.
    let refused = rig.now;
    for second in [30, 60, 300] {
        rig.now = Duration::from_secs(second);
        refuse(&rig);
        rig.run();
        assert_eq!(rig.proxy.oldest_pending_load_balancer(), Some(refused));
    }
    // HNS is unavailable, and another change is pending.
    rig.break_once("HcnEnumerateEndpoints", false, Hresult::RPC_S_SERVER_UNAVAILABLE);
    assert!(rig.proxy.audit(&rig.client).is_err());
    rig.now = Duration::from_secs(301);
    rig.break_once("HcnEnumerateEndpoints", false, Hresult::RPC_S_SERVER_UNAVAILABLE);
    rig.run();
    assert_eq!(rig.proxy.oldest_pending_load_balancer(), Some(refused));
    rig.now = Duration::from_secs(1000);
    rig.settle();
    assert_eq!(rig.proxy.oldest_pending_load_balancer(), None);
}

#[test]
fn a_load_balancer_that_is_only_to_be_deleted_is_not_pending() {
    let mut rig = Rig::l2bridge();
    let (services, slices) = cluster(1, 1);
    rig.cluster(services, slices);
    rig.settle();
    rig.proxy.delete_service(&proxy::model::ServiceName::new("default", "svc-0"));
    rig.break_once("HcnDeleteLoadBalancer", false, Hresult::E_INVALIDARG);
    rig.run();
    // The deletion of its endpoint waits for the deletion of the load balancer.
    assert_eq!((rig.proxy.progress().failed, rig.proxy.oldest_pending_load_balancer()), (2, None));
}

#[test]
fn what_a_status_looks_at_grows_with_the_cluster_and_not_faster() {
    // A status looks at all that is pending.
    let looked_at = |count: u32, period: Duration| {
        let mut rig = Rig::l2bridge();
        let (services, slices) = cluster(count, 1);
        rig.cluster(services, slices);
        rig.proxy.audit(&rig.client).unwrap();
        let (mut looked_at, mut frontends) = (0, 0);
        loop {
            let report = rig.run();
            frontends += report.work.frontends;
            looked_at += if report.is_status_due { rig.proxy.progress().backlog } else { 0 };
            if report.next == Next::Idle {
                assert!(report.is_status_due && rig.proxy.is_in_sync());
                return (looked_at, frontends);
            }
            rig.now += period;
        }
    };
    let [small, large] = [1024, 4096].map(|count| looked_at(count, Duration::from_millis(1)));
    assert!(large.0 <= 5 * small.0 && large.1 <= 5 * small.1, "{small:?} {large:?}");
    // Runs that take a second each publish each time.
    let slow = looked_at(1024, Duration::from_secs(1));
    assert!(slow.0 > small.0 && slow.1 == small.1, "{small:?} {slow:?}");
}
