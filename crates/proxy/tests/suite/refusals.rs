//! HNS refuses no document, for any cluster and any version of HNS.

use std::net::IpAddr;

use hcn::{ApiVersion, Kind};
use proptest::prelude::*;
use proxy::model::{Family, Protocol, Service, ServiceKind, ServicePort, Slice, SliceBackend, SlicePort};
use proxy::testing::{backend, service, slice};
use proxy::{Reconciler, Settings};

use crate::rig::{NETWORK, Rig, SECOND, cases, own_host, types};

fn protocol() -> impl Strategy<Value = Protocol> {
    prop_oneof![4 => Just(Protocol::TCP), 3 => Just(Protocol::UDP), 1 => Just(Protocol::SCTP), 1 => Just(Protocol(99))]
}

/// Few ports, so that they meet; among them those of health checks.
fn number() -> impl Strategy<Value = u16> {
    prop_oneof![Just(80), Just(443), Just(10256), Just(32000), Just(1), Just(65535)]
}

fn port_name() -> impl Strategy<Value = &'static str> {
    prop_oneof![Just(""), Just("a"), Just("b")]
}

fn address(list: &'static [&'static str]) -> impl Strategy<Value = IpAddr> {
    prop::sample::select(list).prop_map(|text| text.parse().unwrap())
}

const EXTERNAL: &[&str] =
    &["198.51.100.1", "198.51.100.2", "2001:db8::1", "192.168.77.1", "fd00:77::1", "10.96.0.2", "10.244.2.1"];
const BACKENDS_V4: &[&str] = &[
    "10.244.1.11",
    "10.244.1.12",
    "10.244.2.1",
    "10.244.2.2",
    "10.244.3.1",
    "10.245.1.11",
    "10.245.1.12",
    "10.245.2.1",
    "192.168.77.1",
    "192.168.77.2",
    "192.0.2.9",
    "10.96.0.1",
];
const BACKENDS_V6: &[&str] = &["fd00:244::b", "fd00:2::1", "fd00:77::1"];

fn some_service() -> impl Strategy<Value = Service> {
    let port = (port_name(), protocol(), number(), prop::option::of(30000..30004u16))
        .prop_map(|(name, protocol, port, node_port)| ServicePort { name: name.into(), protocol, port, node_port });
    let addresses = (
        prop::collection::vec(address(EXTERNAL), 0..3),
        prop::collection::vec(address(EXTERNAL), 0..3),
        prop_oneof![Just((true, false)), Just((false, true)), Just((true, true))],
    );
    let kind = prop_oneof![Just(ServiceKind::ClusterIp), Just(ServiceKind::NodePort), Just(ServiceKind::LoadBalancer)];
    let flags = prop::collection::vec(any::<bool>(), 4);
    let ports = prop::collection::vec(port, 0..4);
    (0..5u8, 0..3i64, ports, addresses, kind, flags, prop::option::of(number())).prop_map(
        |(name, created, ports, (external, ingress, (v4, v6)), kind, flags, health)| {
            let mut service = service(&format!("ns/s{name}")).build();
            service.cluster_ips.extend(v4.then(|| format!("10.96.0.{}", name + 1).parse::<IpAddr>().unwrap()));
            service.cluster_ips.extend(v6.then(|| format!("fd00:96::{}", name + 1).parse::<IpAddr>().unwrap()));
            (service.created, service.ports, service.kind) = (created, ports, kind);
            (service.external_ips, service.ingress_ips) = (external, ingress);
            (service.internal_local, service.external_local) = (flags[0], flags[1]);
            (service.client_ip_affinity, service.preserve_destination) = (flags[2], flags[3]);
            service.health_check_node_port = health;
            service
        },
    )
}

fn some_slice() -> impl Strategy<Value = Slice> {
    let port = (port_name(), protocol(), number()).prop_map(|(name, protocol, port)| SlicePort {
        name: name.into(),
        protocol,
        port,
    });
    let with = |addresses: &'static [&'static str]| {
        let hints = prop::collection::vec(prop_oneof![Just("a"), Just("here"), Just("x")], 0..2);
        let record =
            (address(addresses), prop::collection::vec(any::<bool>(), 4), hints).prop_map(|(address, flags, hints)| {
                let mut one = slice("ns/x", "ns/x").backend(backend(&address.to_string())).build().backends.remove(0);
                (one.ready, one.serving, one.terminating) = (flags[0], flags[1], flags[2]);
                one.node = Some(if flags[3] { "here" } else { "there" }.into());
                let hints: Vec<_> = hints.into_iter().map(Into::into).collect();
                SliceBackend { for_zones: hints.clone(), for_nodes: hints, ..one }
            });
        prop::collection::vec(record, 0..6)
    };
    let of_family = prop_oneof![
        2 => with(BACKENDS_V4).prop_map(|backends| (Family::V4, backends)),
        1 => with(BACKENDS_V6).prop_map(|backends| (Family::V6, backends)),
    ];
    (0..5u8, 0..3u8, prop::collection::vec(port, 0..4), of_family).prop_map(
        |(service, number, ports, (family, backends))| {
            let slice = slice(&format!("ns/s{service}-{number}"), &format!("ns/s{service}")).build();
            Slice { ports, family, backends, ..slice }
        },
    )
}

fn cluster() -> impl Strategy<Value = (Vec<Service>, Vec<Slice>)> {
    (prop::collection::vec(some_service(), 0..6), prop::collection::vec(some_slice(), 0..10))
}

proptest! {
    #![proptest_config(cases(256))]

    #[test]
    fn no_document_is_refused(
        clusters in prop::collection::vec(cluster(), 1..4),
        types in types(),
        version in prop::sample::select(&["9.2", "9.5", "10.5", "11.11", "12.0", "14.0", "15.5"][..]),
        first_generation in prop::bool::weighted(0.2),
        flags in prop::collection::vec(any::<bool>(), 5),
    ) {
        let api_version = if first_generation { ApiVersion::V1 } else { ApiVersion::V2 };
        let mut rig = Rig::with(types, version, api_version);
        let settings = Settings { enable_dsr: flags[0], forward_health_check_vip: flags[1], ..rig.settings };
        rig.proxy = Reconciler::new(settings.clone(), own_host());
        rig.settings = settings;
        let last = if types.len() > 1 { SECOND } else { NETWORK };
        rig.proxy.set_zone(flags[2].then(|| "a".into()));
        if flags[3] {
            rig.local_in(if flags[4] { last } else { NETWORK }, "cbr0_ep", &["10.244.1.2"]);
        }
        rig.local("pod", &["10.244.1.11", "fd00:244::b"]);
        rig.local_in(last, "pod", &["10.245.1.11"]);
        for (services, slices) in clusters {
            rig.cluster(services, slices);
            rig.proxy.audit(&rig.client).unwrap();
            for _ in 0..3 {
                let report = rig.run();
                let refused: Vec<_> = report.failures().map(|(outcome, failure)| format!("{}: {failure}", outcome.step)).collect();
                prop_assert!(refused.is_empty(), "{refused:#?}");
            }
            // There is no load balancer without backends, and the explained objects are those in HNS.
            let services: Vec<_> = rig.proxy.cluster().iter().map(|(name, _)| name.clone()).collect();
            let mut desired = 0;
            for name in services {
                let Some(explanation) = rig.proxy.explain(&name, rig.now) else { continue };
                prop_assert!(explanation.steps.is_empty(), "{:?}", explanation.steps);
                for frontend in explanation.frontends {
                    let Some(load_balancer) = frontend.desired else { continue };
                    desired += 1;
                    let observed: Vec<_> = frontend.observed.iter().map(|observed| &observed.backends).collect();
                    prop_assert_eq!(observed, vec![&load_balancer.backends]);
                    let serving = frontend.backends.iter().filter(|backend| backend.state.serves()).count();
                    prop_assert!(serving > 0, "{}: {:?}", frontend.frontend, frontend.backends);
                }
            }
            prop_assert_eq!(rig.emulator.documents(Kind::LoadBalancer).len(), desired);
        }
    }
}
