//! The number of native calls of each operation. Unlike times, counts are the same on every machine.

use hcn::ApiVersion;
use proxy::model::{Service, Slice};
use proxy::reconcile::Work;
use proxy::testing::{backend, service, slice};

use crate::rig::Rig;

/// A cluster of `services` Services with `backends` remote backends each, all different.
pub(crate) fn cluster(services: u32, backends: u32) -> (Vec<Service>, Vec<Slice>) {
    (0..services).map(|s| (a_service(s), a_slice(s, backends))).unzip()
}

fn a_service(s: u32) -> Service {
    let ip = std::net::Ipv4Addr::from(0x0a60_0001 + s).to_string();
    service(&format!("default/svc-{s}")).cluster_ip(&ip).port(80).build()
}

fn a_slice(s: u32, backends: u32) -> Slice {
    let name = format!("default/svc-{s}");
    (0..backends)
        .fold(slice(&format!("{name}-x"), &name).port(8080), |slice, b| {
            let ip = std::net::Ipv4Addr::from(0x0b00_0001 + s * 64 + b).to_string();
            slice.backend(backend(&ip).on("there"))
        })
        .build()
}

#[test]
fn the_first_programming_costs_one_call_for_each_object() {
    let mut rig = Rig::l2bridge();
    let (services, slices) = cluster(100, 3);
    rig.cluster(services, slices);
    rig.sync();
    let (calls, writes) = rig.calls();
    assert_eq!(writes, 400);
    // Version, network (3), two lists, the network's handle, and one read of the first object of each kind.
    assert_eq!(calls, 400 + 9);
}

#[test]
fn a_second_run_and_a_restart_write_nothing() {
    for api_version in [ApiVersion::V2, ApiVersion::V1] {
        let mut rig = Rig::new("L2Bridge", "15.5", api_version);
        let (services, slices) = cluster(50, 3);
        rig.cluster(services, slices);
        rig.local("pod-a", &["10.244.1.11"]);
        rig.local("pod-b", &["10.244.1.12"]);
        rig.sync();
        rig.calls();
        assert!(rig.run().outcomes.is_empty());
        assert_eq!(rig.calls(), (0, 0));
        rig.restart();
        assert!(rig.sync().outcomes.is_empty());
        let (calls, writes) = rig.calls();
        assert_eq!(writes, 0);
        assert!(calls <= 6 + 2 * 2, "{calls} calls");
        assert!(rig.proxy.is_in_sync());
    }
}

#[test]
fn an_audit_costs_two_calls_at_any_size() {
    for api_version in [ApiVersion::V2, ApiVersion::V1] {
        for size in [10, 500] {
            let mut rig = Rig::new("L2Bridge", "15.5", api_version);
            let (services, slices) = cluster(size, 3);
            rig.cluster(services, slices);
            rig.settle();
            rig.calls();
            for _ in 0..24 {
                assert!(rig.sync().outcomes.is_empty());
                assert_eq!(rig.calls(), (2, 0));
            }
        }
    }
}

/// What one more backend costs in a cluster of a size: calls, and what was visited.
fn one_more_backend(size: u32, local: bool) -> (u64, Work) {
    let mut rig = Rig::l2bridge();
    let (services, slices) = cluster(size, 3);
    rig.cluster(services, slices);
    rig.settle();
    if local {
        rig.local("pod", &["10.244.1.11"]);
    }
    rig.calls();
    let more = if local { backend("10.244.1.11").on("here") } else { backend("12.0.0.1").on("there") };
    let mut slice = a_slice(7, 3);
    slice.backends.push(proxy::testing::slice("n/s", "n/s").backend(more).build().backends.remove(0));
    rig.proxy.apply_slice(slice);
    let report = rig.run();
    assert!(rig.proxy.is_in_sync());
    (rig.calls().0, report.work)
}

#[test]
fn one_more_backend_costs_the_same_at_10_and_10_000_services() {
    for local in [false, true] {
        let small = one_more_backend(10, local);
        assert!(small.0 <= 6, "{} calls", small.0);
        assert_eq!(small, one_more_backend(10_000, local));
    }
}

#[test]
fn many_unknown_endpoints_are_read_in_one_call() {
    let mut rig = Rig::l2bridge();
    for pod in 10..60 {
        rig.local(&format!("pod-{pod}"), &[&format!("10.244.1.{pod}")]);
    }
    rig.sync();
    assert_eq!(rig.calls(), (7, 0));
}

#[test]
fn services_without_backends_cost_no_call() {
    let mut rig = Rig::l2bridge();
    let (services, _) = cluster(50, 0);
    rig.cluster(services, vec![]);
    rig.sync();
    assert_eq!(rig.calls(), (6, 0));
}

#[test]
fn a_large_cluster_is_programmed_in_batches_with_infrastructure_first() {
    let mut rig = Rig::l2bridge();
    let (mut services, mut slices) = cluster(300, 1);
    services.push(service("kube-system/kube-dns").cluster_ip("10.200.0.10").port(53).build());
    let dns = slice("kube-system/kube-dns-1", "kube-system/kube-dns").port(53).backend(backend("12.0.0.1").on("there"));
    slices.push(dns.build());
    rig.cluster(services, slices);
    let first = rig.sync();
    assert_eq!((first.work.frontends, first.next), (256, proxy::Next::At(rig.now)));
    let of_dns = &first.outcomes[..2];
    assert!(of_dns.iter().all(|outcome| outcome.step.service.as_ref().is_some_and(|name| name.name == "kube-dns")));
    assert!(!rig.proxy.is_in_sync());
    assert!(rig.proxy.progress().unplanned >= 45);
    let second = rig.run();
    assert_eq!((second.work.frontends, second.next), (45, proxy::Next::Idle));
    assert!(rig.proxy.is_in_sync());
    assert_eq!(rig.proxy.progress().unplanned, 0);
    assert_eq!(rig.calls(), (2 * 301 + 9, 2 * 301));
}
