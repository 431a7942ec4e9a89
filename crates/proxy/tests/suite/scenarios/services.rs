//! What HNS has for a Service: frontends, backends, networks, and conditions.

use hcn::schema::Protocol;
use hcn::{ApiVersion, Kind};
use proxy::Condition;
use proxy::model::Family;
use proxy::testing::{backend, service, slice};

use super::{ONE, web};
use crate::rig::{Rig, own_host, settings};

#[test]
fn a_service_and_its_backends_come_and_go() {
    let mut rig = Rig::l2bridge();
    web(&mut rig);
    rig.sync();
    assert_eq!(rig.objects(), ["lb 10.96.0.1:80/6 -> 10.244.2.1:8080 flags 1/0", "remote 10.244.2.1"]);
    rig.proxy.reset_slices(vec![]);
    rig.run();
    assert_eq!(rig.objects(), Vec::<String>::new());
    web(&mut rig);
    rig.run();
    rig.proxy.reset_services(vec![]);
    rig.run();
    assert_eq!(rig.objects(), Vec::<String>::new());
}

#[test]
fn an_address_that_becomes_local_loses_its_remote_endpoint() {
    let mut rig = Rig::l2bridge();
    web(&mut rig);
    rig.sync();
    rig.local("pod", &["10.244.2.1"]);
    rig.sync();
    assert_eq!(rig.objects(), ["lb 10.96.0.1:80/6 -> 10.244.2.1:8080 flags 1/0", "local 10.244.2.1"]);
    assert!(rig.proxy.is_in_sync());
}

#[test]
fn the_other_backends_serve_while_a_local_one_waits_for_its_endpoint() {
    let mut rig = Rig::l2bridge();
    web(&mut rig);
    let local = slice("ns/web-2", "ns/web").port(8080).backend(backend("10.244.1.11").on("here"));
    rig.proxy.apply_slice(local.build());
    rig.sync();
    assert_eq!(rig.objects(), ["lb 10.96.0.1:80/6 -> 10.244.2.1:8080 flags 1/0", "remote 10.244.2.1"]);
    let conditions: Vec<_> = rig.proxy.conditions().iter().map(ToString::to_string).collect();
    assert_eq!(
        conditions,
        [
            "Service ns/web: backend 10.244.1.11 is not used: it is on this node, and the CNI has not created its HNS endpoint yet"
        ]
    );
    rig.local("pod", &["10.244.1.11"]);
    let proxy::Next::At(due) = rig.run().next else { panic!("a retry is due") };
    rig.now = due;
    rig.run();
    assert!(rig.objects().contains(&"lb 10.96.0.1:80/6 -> 10.244.1.11,10.244.2.1:8080 flags 1/0".into()));
    assert!(rig.proxy.conditions().is_empty());
}

#[test]
fn external_ips_are_served_unless_that_is_switched_off() {
    for external_ips in [true, false] {
        let mut rig = Rig::l2bridge();
        rig.proxy = proxy::Reconciler::new(proxy::Settings { external_ips, ..settings() }, own_host());
        let web = service("ns/web").cluster_ip("10.96.0.1").port(80).external_ip("198.51.100.7").build();
        let backends = slice("ns/web-1", "ns/web").port(80).backend(backend("10.244.2.1")).build();
        rig.cluster(vec![web], vec![backends]);
        rig.sync();
        let is_there = |address: &str| rig.objects().iter().any(|line| line.starts_with(&format!("lb {address}:80/6")));
        assert_eq!((is_there("10.96.0.1"), is_there("198.51.100.7")), (true, external_ips));
    }
}

#[test]
fn a_frontend_claimed_twice_belongs_to_the_older_service() {
    let mut rig = Rig::l2bridge();
    let claimant = |name: &str, ip: &str, created| {
        service(name).cluster_ip(ip).port(80).external_ip("198.51.100.7").with(|s| s.created = created).build()
    };
    let backends = |name: &str, ip: &str| slice(&format!("{name}-x"), name).port(80).backend(backend(ip)).build();
    rig.cluster(
        vec![claimant("ns/new", "10.96.0.1", 20), claimant("ns/old", "10.96.0.2", 10)],
        vec![backends("ns/new", "10.244.2.1"), backends("ns/old", "10.244.2.2")],
    );
    rig.sync();
    assert!(rig.objects().contains(&"lb 198.51.100.7:80/6 -> 10.244.2.2:80 flags 0/16".into()));
    assert_eq!(
        rig.proxy.conditions().iter().map(ToString::to_string).collect::<Vec<_>>(),
        [
            "Service ns/new: 198.51.100.7:80/TCP is not programmed: the older Service ns/old claims it; use another address or port"
        ]
    );
    rig.proxy.delete_service(&proxy::model::ServiceName::new("ns", "old"));
    rig.run();
    assert!(rig.objects().contains(&"lb 198.51.100.7:80/6 -> 10.244.2.1:80 flags 0/16".into()));
    assert!(rig.proxy.conditions().is_empty());
}

/// A Service with an external IP or without one, as old as any other, and its slice.
fn as_old(name: &str, ip: &str, external: Option<&str>) -> proxy::model::Service {
    let builder = service(name).cluster_ip(ip).port(80);
    external.into_iter().fold(builder, proxy::testing::ServiceBuilder::external_ip).build()
}

fn backends_of(name: &str, ip: &str) -> proxy::model::Slice {
    slice(&format!("{name}-x"), name).port(80).backend(backend(ip)).build()
}

#[test]
fn of_equally_old_services_the_one_that_has_a_frontend_keeps_it() {
    let external = "198.51.100.7";
    let mut rig = Rig::l2bridge();
    rig.cluster(
        vec![as_old("ns/a", "10.96.0.1", None), as_old("ns/b", "10.96.0.2", Some(external))],
        vec![backends_of("ns/a", "10.244.2.1"), backends_of("ns/b", "10.244.2.2")],
    );
    rig.sync();
    let held = "lb 198.51.100.7:80/6 -> 10.244.2.2:80 flags 0/16".to_owned();
    assert!(rig.objects().contains(&held));
    rig.calls();
    rig.proxy.apply_service(as_old("ns/a", "10.96.0.1", Some(external)));
    rig.run();
    let conditions = |rig: &Rig| rig.proxy.conditions().iter().map(ToString::to_string).collect::<Vec<_>>();
    let condition = "Service ns/a: 198.51.100.7:80/TCP is not programmed: Service ns/b, created at the same time, already has \
                     it; use another address or port";
    assert_eq!((rig.calls().1, conditions(&rig)), (0, vec![condition.to_owned()]));

    // The next process finds out from HNS which one has it, even if the backends have changed since.
    for backends in [vec!["10.244.2.2"], vec!["10.244.2.2", "10.244.2.3"]] {
        rig.restart();
        rig.proxy.apply_slice(
            backends.iter().fold(slice("ns/b-x", "ns/b").port(80), |slice, ip| slice.backend(backend(ip))).build(),
        );
        rig.settle();
        assert_eq!(conditions(&rig), [condition]);
        let expected = format!("lb 198.51.100.7:80/6 -> {}:80 flags 0/16", backends.join(","));
        assert!(rig.objects().contains(&expected), "{:#?}", rig.objects());
    }

    rig.proxy.delete_service(&proxy::model::ServiceName::new("ns", "b"));
    rig.run();
    assert!(rig.objects().contains(&"lb 198.51.100.7:80/6 -> 10.244.2.1:80 flags 0/16".into()));
    assert!(rig.proxy.conditions().is_empty());
}

#[test]
fn a_frontend_without_an_owner_goes_to_the_first_of_equally_old_services_by_name() {
    for names in [["ns/a", "ns/b"], ["ns/b", "ns/a"]] {
        let mut rig = Rig::l2bridge();
        let services = names
            .map(|name| as_old(name, if name == "ns/a" { "10.96.0.1" } else { "10.96.0.2" }, Some("198.51.100.7")));
        let last = |name: &str| if name == "ns/a" { "10.244.2.1" } else { "10.244.2.2" };
        rig.cluster(services.to_vec(), names.map(|name| backends_of(name, last(name))).to_vec());
        rig.sync();
        assert!(rig.objects().contains(&"lb 198.51.100.7:80/6 -> 10.244.2.1:80 flags 0/16".into()));
    }
}

#[test]
fn an_overlay_network_has_endpoints_for_the_source_vip_and_each_service() {
    let mut rig = Rig::new("Overlay", "15.5", ApiVersion::V2);
    let outside = slice("ns/out-1", "ns/out").port(5432).backend(backend("192.0.2.20"));
    rig.cluster(
        vec![
            service("ns/web").cluster_ip("10.96.0.1").port(80).build(),
            service("ns/out").cluster_ip("10.96.0.2").port(80).build(),
            service("ns/none").cluster_ip("10.96.0.3").cluster_ip("fd00::3").port(80).build(),
        ],
        vec![slice("ns/web-1", "ns/web").port(8080).backend(backend("10.244.2.1")).build(), outside.build()],
    );
    rig.sync();
    assert_eq!(
        rig.objects(),
        [
            "lb 10.96.0.1:80/6 -> 10.244.2.1:8080 flags 1/0 from 10.244.1.250",
            "lb 10.96.0.2:80/6 -> 192.0.2.20:5432 flags 1/0 from 192.168.77.1",
            "local 10.244.1.250",
            "remote 10.244.2.1 on 192.168.77.2",
            "remote 10.96.0.1 on 192.168.77.1",
            "remote 10.96.0.2 on 192.168.77.1",
            "remote 10.96.0.3 on 192.168.77.1",
            "remote 192.0.2.20 on 192.168.77.1",
        ]
    );
    rig.proxy.reset_services(vec![]);
    rig.run();
    assert_eq!(rig.objects(), ["local 10.244.1.250"]);
    rig.restart();
    assert!(rig.sync().outcomes.is_empty());
}

#[test]
fn a_protocol_that_hns_does_not_support_is_reported() {
    let mut rig = Rig::l2bridge();
    rig.cluster(
        vec![service("ns/s").cluster_ip("10.96.0.1").named_port("", Protocol::SCTP, 38412).build()],
        vec![slice("ns/s-1", "ns/s").named_port("", Protocol::SCTP, 38412).backend(backend("10.0.0.1")).build()],
    );
    rig.sync();
    assert_eq!(rig.objects(), Vec::<String>::new());
    let condition = Condition::ProtocolUnsupported { port: 38412, protocol: Protocol::SCTP };
    assert_eq!(rig.proxy.conditions()[0].condition, condition);
}

#[test]
fn the_largest_group_of_backends_with_one_port_serves() {
    let mut rig = Rig::l2bridge();
    let group = |name: &str, port, ips: &[&str]| {
        ips.iter().fold(slice(name, "ns/web").port(port), |s, ip| s.backend(backend(ip))).build()
    };
    rig.cluster(
        vec![service("ns/web").cluster_ip("10.96.0.1").port(80).build()],
        vec![group("ns/a", 8080, &["10.0.0.1", "10.0.0.2"]), group("ns/b", 9090, &["10.0.0.3"])],
    );
    rig.sync();
    assert_eq!(rig.objects()[0], "lb 10.96.0.1:80/6 -> 10.0.0.1,10.0.0.2:8080 flags 1/0");
    let condition = &rig.proxy.conditions()[0].condition;
    assert!(matches!(condition, Condition::MixedTargetPorts { port: 8080, dropped: 1, .. }), "{condition:?}");
}

#[test]
fn local_policies_need_a_local_backend() {
    let mut rig = Rig::l2bridge();
    rig.local("pod", &["10.244.1.11"]);
    let lb = service("ns/web").cluster_ip("10.96.0.1").port(80).node_port(30080).ingress_ip("203.0.113.1");
    let slice = slice("ns/web-1", "ns/web")
        .port(8080)
        .backend(backend("10.244.1.11").on("here"))
        .backend(backend("10.244.2.1").on("there"));
    rig.cluster(vec![lb.with(|s| s.external_local = true).build()], vec![slice.build()]);
    rig.sync();
    assert_eq!(
        rig.objects(),
        [
            "lb 10.96.0.1:80/6 -> 10.244.1.11,10.244.2.1:8080 flags 1/0",
            "lb 203.0.113.1:80/6 -> 10.244.1.11:8080 flags 1/16",
            "lb node:30080/6 -> 10.244.1.11:8080 flags 1/18",
            "local 10.244.1.11",
            "remote 10.244.2.1",
        ]
    );
}

#[test]
fn one_serving_port_is_enough_for_the_health_check_of_all_ports() {
    let mut rig = Rig::l2bridge();
    let mut settings = crate::rig::settings();
    settings.forward_health_check_vip = true;
    rig.proxy = proxy::Reconciler::new(settings, crate::rig::own_host());
    rig.local("cbr0_ep", &["10.244.1.2"]);
    let lb = service("ns/web").cluster_ip("10.96.0.1").ingress_ip("203.0.113.1");
    let lb = lb.named_port("admin", Protocol::TCP, 81).named_port("http", Protocol::TCP, 80);
    let slice = slice("ns/web-1", "ns/web").named_port("http", Protocol::TCP, 8080).backend(backend("10.244.2.1"));
    rig.cluster(vec![lb.build()], vec![slice.build()]);
    rig.sync();
    assert!(
        rig.objects().contains(&"lb 203.0.113.1:10256/6 -> 10.244.1.2:10256 flags 0/0".into()),
        "{:#?}",
        rig.objects()
    );
}

#[test]
fn the_second_of_two_endpoints_with_one_name_remains_usable() {
    let mut rig = Rig::l2bridge();
    let mut settings = crate::rig::settings();
    settings.forward_health_check_vip = true;
    rig.proxy = proxy::Reconciler::new(settings, crate::rig::own_host());
    let first = rig.local("cbr0_ep", &["10.244.1.2"]);
    rig.local("cbr0_ep", &["10.244.1.3"]);
    let slice = slice("ns/web-1", "ns/web").port(8080).backend(backend("10.244.2.1"));
    let lb = service("ns/web").cluster_ip("10.96.0.1").port(80).ingress_ip("203.0.113.1");
    rig.cluster(vec![lb.build()], vec![slice.build()]);
    rig.sync();
    rig.emulator.remove(Kind::Endpoint, first);
    rig.settle();
    assert!(
        rig.objects().contains(&"lb 203.0.113.1:10256/6 -> 10.244.1.3:10256 flags 0/0".into()),
        "{:#?}",
        rig.objects()
    );
}

#[test]
fn an_unsupported_family_is_reported_and_not_programmed() {
    for (version, api_version) in [("15.5", ApiVersion::V1), ("10.5", ApiVersion::V2)] {
        let mut rig = Rig::new("L2Bridge", version, api_version);
        let host = proxy::Host { node_ips: vec!["fd00:77::1".parse().unwrap()], mac: None };
        rig.proxy = proxy::Reconciler::new(crate::rig::settings(), host);
        let slice = slice("ns/web-1", "ns/web").port(8080).backend(backend("fd00::2:1"));
        rig.cluster(
            vec![service("ns/web").cluster_ip("fd00:96::1").port(80).node_port(30080).build()],
            vec![slice.build()],
        );
        assert!(rig.sync().outcomes.is_empty());
        assert_eq!(rig.proxy.conditions()[0].condition, Condition::FamilyUnsupported { family: Family::V6 });
    }
}

#[test]
fn a_changed_backend_is_modified_in_place_or_replaced_where_hns_cannot() {
    for (version, functions) in [
        ("15.5", vec!["HcnCreateEndpoint", "HcnModifyLoadBalancer", "HcnDeleteEndpoint"]),
        ("14.0", vec!["HcnCreateEndpoint", "HcnDeleteLoadBalancer", "HcnCreateLoadBalancer", "HcnDeleteEndpoint"]),
    ] {
        let mut rig = Rig::new("L2Bridge", version, ApiVersion::V2);
        web(&mut rig);
        rig.sync();
        rig.calls();
        let other = slice("ns/web-1", "ns/web").port(8080).backend(backend("10.244.2.2").on("there")).build();
        rig.proxy.apply_slice(other);
        rig.run();
        let writes = rig.emulator.journal().into_iter().filter(|entry| entry.is_write);
        assert_eq!(writes.map(|entry| entry.function).collect::<Vec<_>>(), functions);
        assert_eq!(rig.objects(), ["lb 10.96.0.1:80/6 -> 10.244.2.2:8080 flags 1/0", "remote 10.244.2.2"]);
    }
}

#[test]
fn nothing_is_deleted_before_the_cluster_is_known() {
    let mut rig = Rig::l2bridge();
    web(&mut rig);
    rig.sync();
    rig = Rig::on(rig.emulator.clone(), ApiVersion::V2);
    rig.proxy.reset_services(vec![]);
    assert!(rig.sync().outcomes.is_empty());
    assert_eq!(rig.objects(), ONE);
}
