//! What would happen to a packet, without one.

use hcn::Kind;
use hcn::schema::Protocol;
use serde_json::json;
use vswitch::assumptions::Gap;
use vswitch::trace::Step;
use vswitch::{Assumptions, DropReason, PortId, Tuple};

use crate::world::{POD_11, POD_12, PacketKind, REMOTE_21, World, balancer, describe, packet, pod};

fn tcp(from: &str, to: &str) -> Tuple {
    Tuple { protocol: Protocol::TCP, source: from.parse().unwrap(), destination: to.parse().unwrap() }
}

/// The last step, and the addresses of the backends.
fn explained(world: &World, from: &str, to: &str) -> (Option<Step>, Vec<String>) {
    let tuple = tcp(from, to);
    let explanation = world.switch.explain(world.switch.port_of(tuple.source.ip()), &tuple, world.now);
    let backends = explanation.backends.iter().map(|backend| backend.address.to_string());
    (explanation.trace.steps.last().cloned(), backends.collect())
}

#[test]
fn a_client_enters_through_the_port_of_its_address() {
    let addresses = ["10.244.1.11", "10.244.1.2", "10.0.0.14", "10.244.2.21", "10.244.3.31", "192.0.2.1"];
    let seen = [World::l2bridge(Assumptions::default()), World::overlay(Assumptions::default())]
        .map(|world| addresses.map(|address| world.switch.port_of(address.parse().unwrap())));
    let here = [pod(POD_11), PortId::Host, PortId::Host];
    assert_eq!(
        seen,
        [PortId::Uplink, PortId::Tunnel].map(|of_remote| [
            here[0],
            here[1],
            here[2],
            of_remote,
            of_remote,
            PortId::Uplink
        ])
    );
}

#[test]
fn an_explanation_is_what_then_happens() {
    let mut world = World::overlay(Assumptions::default());
    let document = json!({ "FrontendVIPs": ["10.96.0.10"], "SourceVIP": "10.244.1.250" });
    world.balancer(0x100, &balancer(&[POD_12, REMOTE_21], document));
    for from in ["10.244.1.11:4000", "10.0.0.4:4000", "192.0.2.1:4000"] {
        let tuple = tcp(from, "10.96.0.10:80");
        let port = world.switch.port_of(tuple.source.ip());
        let explanation = world.switch.explain(port, &tuple, world.now);
        let sent = packet(PacketKind::Syn, from, "10.96.0.10:80");
        let (verdict, trace) = world.switch.process_with_trace(port, &sent, world.now);
        let decisions = trace.steps.into_iter().filter(|step| !matches!(step, Step::Flow(_)));
        assert_eq!(explanation.trace.steps, decisions.collect::<Vec<_>>(), "{}", describe(&verdict));
    }
}

#[test]
fn an_explanation_has_the_backends_and_the_end() {
    let mut world = World::l2bridge(Assumptions { gap: Gap::Reset, ..Assumptions::default() });
    world.balancer(0x100, &balancer(&[POD_11], json!({ "FrontendVIPs": ["10.96.0.10"], "Flags": 1 })));
    let from = "10.244.1.11:4000";
    let hairpin = explained(&world, from, "10.96.0.10:80");
    assert_eq!(hairpin, (Some(Step::Dropped(DropReason::Hairpin)), vec!["10.244.1.11:8080".to_owned()]));
    world.remove(Kind::LoadBalancer, 0x100);
    assert_eq!(explained(&world, from, "10.96.0.10:80"), (Some(Step::Reset), Vec::new()));
    let direct = Step::Left(pod(POD_12), tcp(from, "10.244.1.12:80"), None);
    assert_eq!(explained(&world, from, "10.244.1.12:80"), (Some(direct), Vec::new()));
}

#[test]
fn the_flow_of_each_backend_can_be_explained() {
    let mut world = World::l2bridge(Assumptions::default());
    world.balancer(
        0x100,
        &balancer(&[POD_11, POD_12, REMOTE_21], json!({ "FrontendVIPs": ["10.96.0.10"], "Flags": 1 })),
    );
    let tuple = tcp("10.244.1.11:4000", "10.96.0.10:80");
    let port = world.switch.port_of(tuple.source.ip());
    let end = |backend: &str| {
        let trace = world.switch.explain_backend(port, &tuple, backend.parse().unwrap(), world.now);
        trace.steps.last().cloned().unwrap()
    };
    let left = |port, backend| Step::Left(port, tcp("10.244.1.11:4000", backend), None);
    let backends = ["10.244.1.11:8080", "10.244.1.12:8080", "10.244.2.21:8080", "10.244.2.22:8080"];
    let expected = [
        Step::Dropped(DropReason::Hairpin),
        left(pod(POD_12), "10.244.1.12:8080"),
        left(PortId::Uplink, "10.244.2.21:8080"),
        Step::Dropped(DropReason::NoBackend),
    ];
    assert_eq!(backends.map(end), expected);
}
