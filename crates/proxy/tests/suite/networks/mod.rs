//! Several HNS networks on one node: which one an endpoint and a load balancer is in.

mod missing;
mod pattern;
mod source_vip;

use hcn::{ApiVersion, Guid, Kind};
use proxy::Condition;
use proxy::explain::BackendState;
use proxy::model::ServiceName;
use proxy::testing::{backend, service, slice};
use serde_json::json;

use crate::calls::cluster;
use crate::faults::{back, serve, writes};
use crate::rig::{NETWORK, Rig, SECOND};

/// The number of audits in a cycle.
const CYCLE: usize = 12;

/// Two L2Bridge networks and an empty cluster.
fn two() -> Rig {
    of_types(&["L2Bridge", "L2Bridge"])
}

fn of_types(types: &[&str]) -> Rig {
    let mut rig = Rig::with(types, "15.5", ApiVersion::V2);
    rig.cluster(vec![], vec![]);
    rig
}

fn conditions(rig: &Rig) -> Vec<Condition> {
    rig.proxy.conditions().into_iter().map(|one| one.condition).collect()
}

#[test]
fn the_endpoint_of_a_backend_is_in_the_network_of_its_subnet() {
    for api_version in [ApiVersion::V2, ApiVersion::V1] {
        let mut rig = Rig::with(&["L2Bridge", "L2Bridge"], "15.5", api_version);
        rig.cluster(vec![], vec![]);
        rig.local_in(SECOND, "pod", &["10.245.1.11"]);
        serve(&mut rig, "ns/first", "10.96.0.1", &["10.244.1.7", "10.99.0.1"]);
        serve(&mut rig, "ns/second", "10.96.0.2", &["10.245.1.7"]);
        let local = slice("ns/second-2", "ns/second").port(8080).backend(backend("10.245.1.11").on("here"));
        rig.proxy.apply_slice(local.build());
        rig.settle();
        assert_eq!(
            rig.objects(),
            [
                "lb 10.96.0.1:80/6 -> 10.244.1.7,10.99.0.1:8080 flags 1/0",
                "lb 10.96.0.2:80/6 -> 10.245.1.11,10.245.1.7:8080 flags 1/0",
                "local 10.245.1.11 in cbr1",
                "remote 10.244.1.7",
                "remote 10.245.1.7 in cbr1",
                "remote 10.99.0.1",
            ]
        );
        assert_eq!(conditions(&rig), []);
        rig.restart();
        rig.calls();
        rig.sync();
        assert_eq!(rig.calls().1, 0, "a restart writes");
    }
}

#[test]
fn the_larger_group_of_backends_in_two_networks_serves_and_a_tie_goes_to_the_first_network() {
    let mut rig = two();
    serve(&mut rig, "ns/web", "10.96.0.1", &["10.244.1.7", "10.245.1.7", "10.245.1.8"]);
    rig.settle();
    let in_second = ["lb 10.96.0.1:80/6 -> 10.245.1.7,10.245.1.8:8080 flags 1/0", "remote 10.245.1.7 in cbr1"];
    assert_eq!(rig.objects()[..2], in_second);
    assert_eq!(conditions(&rig), [Condition::SeveralNetworks { network: "cbr1".into(), dropped: 1 }]);
    let explained = rig.proxy.explain(&ServiceName::new("ns", "web"), rig.now).unwrap();
    let states: Vec<_> = explained.frontends[0].backends.iter().map(|backend| backend.state).collect();
    assert_eq!(states, [BackendState::OtherNetwork, BackendState::Ready, BackendState::Ready]);

    // Another network: replaced, although this HNS can change load balancers in place.
    rig.calls();
    back(&mut rig, "ns/web", &["10.244.1.7", "10.245.1.8"]);
    rig.settle();
    assert_eq!(rig.objects(), ["lb 10.96.0.1:80/6 -> 10.244.1.7:8080 flags 1/0", "remote 10.244.1.7"]);
    assert_eq!(
        writes(&rig),
        ["HcnCreateEndpoint", "HcnDeleteLoadBalancer", "HcnCreateLoadBalancer"]
            .into_iter()
            .chain(["HcnDeleteEndpoint"; 2])
            .collect::<Vec<_>>()
    );
    assert_eq!(conditions(&rig), [Condition::SeveralNetworks { network: "cbr0".into(), dropped: 1 }]);
    back(&mut rig, "ns/web", &["10.244.1.7"]);
    rig.settle();
    assert_eq!(conditions(&rig), []);
}

#[test]
fn a_local_endpoint_serves_in_the_network_in_which_the_cni_created_it() {
    let mut rig = two();
    // In no subnet of either.
    rig.local_in(SECOND, "pod", &["10.99.0.1"]);
    serve(&mut rig, "ns/web", "10.96.0.1", &[]);
    rig.proxy.apply_slice(slice("ns/web-1", "ns/web").port(8080).backend(backend("10.99.0.1").on("here")).build());
    rig.settle();
    assert_eq!(rig.objects(), ["lb 10.96.0.1:80/6 -> 10.99.0.1:8080 flags 1/0", "local 10.99.0.1 in cbr1"]);
}

#[test]
fn only_the_overlay_network_beside_l2bridge_has_overlay_endpoints() {
    for (types, overlay, bridge) in [(["Overlay", "L2Bridge"], 244, 245), (["L2Bridge", "Overlay"], 245, 244)] {
        let mut rig = of_types(&types);
        serve(&mut rig, "ns/over", "10.96.0.1", &[&format!("10.{overlay}.2.7")]);
        let dual = service("ns/flat").cluster_ip("10.96.0.2").cluster_ip("fd00:96::2").port(80);
        rig.proxy.apply_service(dual.build());
        back(&mut rig, "ns/flat", &[&format!("10.{bridge}.1.7")]);
        rig.proxy.apply_slice(slice("ns/flat-6", "ns/flat").port(8080).backend(backend("fd00:9::7")).build());
        rig.settle();
        let objects: Vec<String> = rig.objects().iter().map(|line| line.replace(" in cbr1", "")).collect();
        let mut expected = vec![
            format!("lb 10.96.0.1:80/6 -> 10.{overlay}.2.7:8080 flags 1/0 from 10.{overlay}.1.250"),
            format!("lb 10.96.0.2:80/6 -> 10.{bridge}.1.7:8080 flags 1/0"),
            "lb fd00:96::2:80/6 -> fd00:9::7:8080 flags 3/0".to_owned(),
            format!("local 10.{overlay}.1.250"),
            format!("remote 10.{bridge}.1.7"),
            format!("remote 10.{overlay}.2.7 on 192.168.77.2"),
            "remote 10.96.0.1 on 192.168.77.1".to_owned(),
            "remote 10.96.0.2 on 192.168.77.1".to_owned(),
            "remote fd00:9::7".to_owned(),
        ];
        expected.sort();
        assert_eq!(objects, expected);
        assert_eq!(conditions(&rig), []);
        let in_overlay = |line: &&String| line.contains(" in cbr1") != (overlay == 244);
        let lines = rig.objects();
        let of_overlay: Vec<_> = lines.iter().filter(|line| !line.starts_with("lb")).filter(in_overlay).collect();
        assert_eq!(of_overlay.len(), 4, "{lines:#?}");
    }
}

#[test]
fn an_overlay_network_without_the_source_vip_is_not_used_and_reported() {
    let mut rig = of_types(&["Overlay", "Overlay"]);
    serve(&mut rig, "ns/first", "10.96.0.1", &["10.244.2.7"]);
    rig.settle();
    // The source address is in the second.
    let host_conditions: Vec<String> = rig.proxy.host_conditions().iter().map(ToString::to_string).collect();
    assert_eq!(
        host_conditions,
        [
            "cannot use overlay network \"cbr0\": missing --source-vip, an unused address of its pod subnet; backends in \
          other networks are programmed"
        ]
    );
}

#[test]
fn a_second_network_costs_one_more_call_for_each_audit_and_for_the_first_write() {
    let mut rig = two();
    let (services, slices) = cluster(50, 3);
    rig.cluster(services, slices);
    serve(&mut rig, "ns/second", "10.96.1.1", &["10.245.1.7"]);
    rig.sync();
    // Version, networks, endpoints of each, load balancers; the handles of two networks, and one read of the first object of each kind.
    assert_eq!(rig.calls(), (5 + 4 + 202, 202));
    // An audit: endpoints of each, load balancers. In one of a cycle networks are listed instead of endpoints, and where contents are
    // compared, one list has the endpoints of both.
    let audits: Vec<_> = (0..CYCLE).map(|_| (rig.sync().outcomes.len(), rig.calls())).collect();
    let of_cost = |cost| audits.iter().filter(|audit| **audit == (0, (cost, 0))).count();
    assert_eq!((of_cost(2), of_cost(3)), (2, CYCLE - 2), "{audits:?}");
    rig.restart();
    assert!(rig.sync().outcomes.is_empty());
    assert_eq!(rig.calls(), (5, 0));
}

#[test]
fn many_unknown_endpoints_of_two_networks_are_read_in_one_call() {
    let mut rig = two();
    for pod in 10..60 {
        rig.local_in(NETWORK, "pod", &[&format!("10.244.1.{pod}")]);
        rig.local_in(SECOND, "pod", &[&format!("10.245.1.{pod}")]);
    }
    rig.sync();
    assert_eq!(rig.calls(), (6, 0));
}

#[test]
fn foreign_endpoints_in_the_second_network_are_adopted_or_not_touched() {
    let mut rig = two();
    let remote = |network: Guid, address: &str, mac: &str| {
        rig.emulator.add(
            Kind::Endpoint,
            json!({"HostComputeNetwork": network, "Flags": 1, "MacAddress": mac,
                   "IpConfigurations": [{"IpAddress": address}]}),
        )
    };
    remote(SECOND, "10.245.1.7", "02-11-0a-f5-01-07");
    remote(NETWORK, "10.244.1.7", "02-11-0a-f4-01-07");
    let before = rig.emulator.documents(Kind::Endpoint);
    serve(&mut rig, "ns/web", "10.96.0.1", &["10.244.1.7", "10.245.1.7", "10.245.1.8"]);
    rig.settle();
    let after = rig.emulator.documents(Kind::Endpoint);
    assert!(before.iter().all(|document| after.contains(document)));
    assert_eq!(after.len(), 3);
}

#[test]
fn subnets_of_other_nodes_are_read_within_half_a_cycle_of_audits() {
    let mut rig = of_types(&["L2Bridge", "Overlay"]);
    serve(&mut rig, "ns/web", "10.96.0.1", &["10.245.9.7"]);
    rig.settle();
    assert!(rig.objects().contains(&"remote 10.245.9.7".to_owned()), "in no subnet, it is in the first network");
    let mut document = rig.emulator.document(Kind::Network, SECOND).unwrap();
    document["Policies"].as_array_mut().unwrap().push(json!({"Type": "RemoteSubnetRoute", "Settings": {
        "DestinationPrefix": "10.245.9.0/24", "IsolationId": 4096, "ProviderAddress": "192.168.77.9",
        "DistributedRouterMacAddress": "00-15-5D-77-00-02"}}));
    rig.emulator.replace(Kind::Network, SECOND, document);
    (0..CYCLE / 2).for_each(|_| drop(rig.sync()));
    assert!(rig.objects().contains(&"remote 10.245.9.7 on 192.168.77.9 in cbr1".to_owned()));
    assert!(!rig.objects().contains(&"remote 10.245.9.7".to_owned()));
}
