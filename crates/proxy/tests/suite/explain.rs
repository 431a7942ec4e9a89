//! Explanations: every frontend and backend with its reason, at the cost of one Service.

use proxy::explain::{BackendState, HnsView};
use proxy::model::{Protocol, ServiceName};
use proxy::testing::{backend, service, slice};
use proxy::{Explanation, Reconciler};

use crate::rig::{Rig, own_host, settings};

fn web() -> ServiceName {
    ServiceName::new("ns", "web")
}

/// Each backend of a frontend with its state.
fn states(explanation: &Explanation, frontend: &str) -> Vec<(String, BackendState)> {
    let frontend = explanation.frontends.iter().find(|f| f.frontend == frontend).unwrap();
    frontend.backends.iter().map(|backend| (backend.address.to_string(), backend.state)).collect()
}

fn state(explanation: &Explanation, address: &str) -> BackendState {
    let states = states(explanation, "10.96.0.1:80/TCP");
    states.into_iter().find(|(other, _)| other == address).unwrap().1
}

#[test]
fn every_backend_is_explained_with_a_reason() {
    let mut rig = Rig::l2bridge();
    rig.local("pod", &["10.244.1.11"]);
    rig.proxy.set_zone(Some("a".into()));
    let zoned = |address: &str, zone: &'static str| backend(address).with(move |b| b.for_zones = vec![zone.into()]);
    let many = slice("ns/web-1", "ns/web")
        .port(8080)
        .backend(zoned("10.244.1.11", "a").on("here"))
        .backend(zoned("10.244.1.12", "a").on("here"))
        .backend(zoned("10.244.2.1", "a").on("there"))
        .backend(zoned("10.244.2.2", "b"))
        .backend(backend("10.244.2.3").unready())
        .backend(backend("10.244.2.4").terminating())
        .backend(zoned("192.168.77.1", "a").on("here"));
    let other = slice("ns/web-2", "ns/web").port(9090).backend(zoned("10.244.2.9", "a"));
    let svc = service("ns/web").cluster_ip("10.96.0.1").port(80).node_port(30080).with(|s| s.external_local = true);
    rig.cluster(vec![svc.build()], vec![many.build(), other.build()]);
    rig.proxy.audit(&rig.client).unwrap();
    let explanation = rig.proxy.explain(&web(), rig.now).unwrap();
    let expected = [
        ("10.244.1.11", BackendState::Ready),
        ("10.244.1.12", BackendState::NoHnsEndpoint),
        ("10.244.2.1", BackendState::EndpointPending),
        ("10.244.2.2", BackendState::OtherZone),
        ("10.244.2.3", BackendState::NotReady),
        ("10.244.2.4", BackendState::Terminating),
        ("10.244.2.9", BackendState::OtherPort),
        ("192.168.77.1", BackendState::NoHostEndpoint),
    ];
    for (address, reason) in expected {
        assert_eq!(state(&explanation, address), reason, "{address}");
    }
    let local = states(&explanation, "node:30080/TCP");
    assert!(local.contains(&("10.244.2.1".into(), BackendState::NotLocal)));
    assert_eq!(
        explanation.steps,
        [
            "create load balancer node:30080/TCP with 1 backend: it is missing in HNS",
            "create remote endpoint 10.244.2.1: it is missing in HNS",
            "create load balancer 10.96.0.1:80/TCP with 2 backends: it is missing in HNS",
        ]
    );
    let reasons: Vec<_> = explanation.conditions.iter().map(|condition| condition.reason.as_str()).collect();
    assert_eq!(reasons, ["MixedTargetPorts", "NoLocalEndpoint", "NoHostEndpoint"]);

    rig.sync();
    let done = rig.proxy.explain(&web(), rig.now).unwrap();
    assert_eq!(done.steps, Vec::<String>::new());
    assert_eq!(state(&done, "10.244.2.1"), BackendState::Ready);
    for frontend in &done.frontends {
        assert!(frontend.in_sync);
        assert_eq!(frontend.observed[0].id, frontend.desired.as_ref().unwrap().id);
        assert_eq!(frontend.observed[0].backends, frontend.desired.as_ref().unwrap().backends);
    }
    let text = serde_json::to_string(&done).unwrap();
    assert_eq!(serde_json::from_str::<Explanation>(&text).unwrap(), done);
}

#[test]
fn terminating_backends_and_the_host_s_endpoint_are_explained() {
    let mut rig = Rig::l2bridge();
    rig.local("cbr0_ep", &["10.244.1.2"]);
    let fallback = slice("ns/web-1", "ns/web").port(8080).backend(backend("10.244.2.1").terminating());
    rig.cluster(vec![service("ns/web").cluster_ip("10.96.0.1").port(80).build()], vec![fallback.build()]);
    rig.sync();
    assert_eq!(state(&rig.proxy.explain(&web(), rig.now).unwrap(), "10.244.2.1"), BackendState::TerminatingFallback);
    rig.proxy.apply_slice(slice("ns/web-1", "ns/web").port(8080).backend(backend("192.168.77.1").on("here")).build());
    rig.sync();
    assert_eq!(state(&rig.proxy.explain(&web(), rig.now).unwrap(), "192.168.77.1"), BackendState::ByHostEndpoint);
}

#[test]
fn a_frontend_that_another_service_owns_is_explained() {
    let mut rig = Rig::l2bridge();
    let claimant = |name: &str, ip: &str, created| {
        service(name).cluster_ip(ip).port(80).external_ip("198.51.100.7").with(|s| s.created = created).build()
    };
    let backends = |name: &str, ip: &str| slice(&format!("{name}-x"), name).port(80).backend(backend(ip)).build();
    rig.cluster(
        vec![claimant("ns/web", "10.96.0.1", 20), claimant("ns/old", "10.96.0.2", 10)],
        vec![backends("ns/web", "10.244.2.1"), backends("ns/old", "10.244.2.2")],
    );
    rig.sync();
    let explanation = rig.proxy.explain(&web(), rig.now).unwrap();
    let external = explanation.frontends.iter().find(|f| f.frontend == "198.51.100.7:80/TCP").unwrap();
    assert_eq!((external.owned_by.clone(), external.desired.clone()), (Some(ServiceName::new("ns", "old")), None));
    assert_eq!(external.observed[0].backends, ["10.244.2.2"]);
    assert_eq!(explanation.conditions[0].reason, "FrontendClaimedTwice");
    assert_eq!(explanation.steps, Vec::<String>::new());
}

#[test]
fn a_failed_step_and_its_retry_are_explained() {
    let mut rig = Rig::l2bridge();
    rig.cluster(
        vec![service("ns/web").cluster_ip("10.96.0.1").port(80).build()],
        vec![slice("ns/web-1", "ns/web").port(80).backend(backend("10.244.2.1")).build()],
    );
    rig.emulator.fail_nth("HcnCreateEndpoint", 1, hcn::Hresult::E_OUTOFMEMORY);
    rig.sync();
    let explanation = rig.proxy.explain(&web(), rig.now).unwrap();
    assert_eq!(state(&explanation, "10.244.2.1"), BackendState::EndpointFailed);
}

#[test]
fn before_the_first_audit_an_explanation_has_no_frontends() {
    let mut proxy = Reconciler::new(settings(), own_host());
    let now = std::time::Duration::ZERO;
    assert_eq!(proxy.explain(&web(), now), None);
    proxy.apply_slice(slice("ns/web-1", "ns/web").port(80).build());
    assert_eq!(proxy.explain(&web(), now), None);
    proxy.apply_service(service("ns/web").cluster_ip("10.96.0.1").port(80).build());
    let explanation = proxy.explain(&web(), now).unwrap();
    assert_eq!((explanation.hns, explanation.frontends.len()), (HnsView::NotAudited, 0));
}

#[test]
fn an_explanation_visits_only_its_service_at_10_and_10_000_services() {
    let visited = |count: u32| {
        let mut rig = Rig::l2bridge();
        let name = |n: u32| format!("ns/s{n}");
        let services = (0..count).map(|n| {
            let ip = std::net::Ipv4Addr::from_bits(0x0a60_0001 + n);
            service(&name(n)).cluster_ip(&ip.to_string()).named_port("a", Protocol::TCP, 80).build()
        });
        let slices = (0..count).map(|n| {
            let ip = |k| std::net::Ipv4Addr::from_bits(0x0af4_0101 + 4 * n + k).to_string();
            let slice = slice(&format!("ns/s{n}-1"), &name(n)).named_port("a", Protocol::TCP, 8080);
            (0..3).fold(slice, |slice, k| slice.backend(backend(&ip(k)))).build()
        });
        rig.cluster(services.collect(), slices.collect());
        rig.proxy.audit(&rig.client).unwrap();
        rig.calls();
        // The desired state of all Services is computed once, before.
        rig.proxy.plan(rig.now);
        let explanation = rig.proxy.explain(&ServiceName::new("ns", "s7"), rig.now).unwrap();
        assert_eq!((explanation.frontends.len(), explanation.steps.len()), (1, 4));
        assert_eq!(rig.calls().0, 0, "an explanation makes no calls");
        let work = rig.proxy.work();
        (work.services, work.frontends, work.addresses)
    };
    assert_eq!(visited(10), (0, 1, 3));
    assert_eq!(visited(10_000), visited(10));
}

#[test]
fn load_balancers_are_explained_with_the_addresses_of_their_family() {
    let mut rig = Rig::l2bridge();
    rig.local("pod", &["10.244.1.11", "fd00:10:244:1::b"]);
    let svc = service("ns/web").cluster_ip("10.96.0.1").cluster_ip("fd00:96::1").port(80);
    let of = |name, address| slice(name, "ns/web").port(8080).backend(backend(address).on("here")).build();
    rig.cluster(vec![svc.build()], vec![of("ns/web-4", "10.244.1.11"), of("ns/web-6", "fd00:10:244:1::b")]);
    rig.sync();
    let explanation = rig.proxy.explain(&web(), rig.now).unwrap();
    let shown: Vec<_> = explanation
        .frontends
        .iter()
        .map(|frontend| (frontend.frontend.as_str(), frontend.desired.as_ref().unwrap(), &frontend.observed[0]))
        .map(|(name, desired, observed)| (name, desired.backends.join(" "), observed.backends.join(" ")))
        .collect();
    let of_family = |name, address: &str| (name, address.to_owned(), address.to_owned());
    assert_eq!(
        shown,
        [of_family("10.96.0.1:80/TCP", "10.244.1.11"), of_family("[fd00:96::1]:80/TCP", "fd00:10:244:1::b")]
    );
}
