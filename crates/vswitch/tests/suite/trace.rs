//! The trace of a packet names each rule that decided.

use hcn::Kind;
use serde_json::json;
use vswitch::{Assumptions, PortId};

use crate::world::{POD_11, POD_12, PacketKind, REMOTE_21, World, balancer, pod};

fn trace(world: &mut World, port: PortId, what: PacketKind, from: &str, to: &str) -> String {
    let (_, trace) = world.trace(port, what, from, to);
    trace.to_string()
}

#[test]
fn the_trace_of_a_balanced_flow() {
    let mut world = World::overlay(Assumptions::default());
    let document = json!({ "FrontendVIPs": ["10.96.0.10"], "SourceVIP": "10.244.1.250" });
    world.balancer(0x100, &balancer(&[REMOTE_21], document));
    let (first, _) = world.trace(pod(POD_11), PacketKind::Syn, "10.244.1.11:4000", "10.96.0.10:80");
    let source = first.split(' ').nth(3).unwrap_or_default().to_owned();
    world.switch = World::overlay(Assumptions::default()).switch;
    world.balancer(
        0x100,
        &balancer(&[REMOTE_21], json!({ "FrontendVIPs": ["10.96.0.10"], "SourceVIP": "10.244.1.250" })),
    );
    assert_eq!(
        trace(&mut world, pod(POD_11), PacketKind::Syn, "10.244.1.11:4000", "10.96.0.10:80"),
        format!(
            "\
port               TCP 10.244.1.11:4000 -> 10.96.0.10:80 enters from endpoint 00000000-0000-0000-0000-000000000011
load balancing     load balancer 00000000-0000-0000-0000-000000000100, TCP 10.96.0.10:80
load balancing     backend 10.244.2.21:8080 (endpoint 00000000-0000-0000-0000-000000000021), one of 1; assumed: hash of the addresses, modulo the number of backends
forwarding         to remote endpoint 00000000-0000-0000-0000-000000000021
flow table         new flow
source translation source becomes {source}: no direct server return
port               TCP {source} -> 10.244.2.21:8080 leaves through tunnel, provider address 10.0.0.5, VSID 4096
"
        )
    );
    assert_eq!(
        trace(&mut world, PortId::Tunnel, PacketKind::SynAck, "10.244.2.21:8080", &source),
        format!(
            "\
port               TCP 10.244.2.21:8080 -> {source} enters from tunnel
flow table         known flow, reply
port               TCP 10.96.0.10:80 -> 10.244.1.11:4000 leaves through endpoint 00000000-0000-0000-0000-000000000011
"
        )
    );
}

#[test]
fn the_trace_names_the_assumptions_that_decided() {
    let mut world = World::l2bridge(Assumptions::default());
    let document = |backends: &[u128]| balancer(backends, json!({ "FrontendVIPs": ["10.96.0.10"], "Flags": 1 }));
    world.balancer(0x100, &document(&[POD_12]));
    world.open(pod(POD_11), "10.244.1.11:4000", "10.96.0.10:80");
    world.balancer(0x100, &document(&[REMOTE_21]));
    assert_eq!(
        trace(&mut world, pod(POD_11), PacketKind::Ack, "10.244.1.11:4000", "10.96.0.10:80"),
        "\
port               TCP 10.244.1.11:4000 -> 10.96.0.10:80 enters from endpoint 00000000-0000-0000-0000-000000000011
flow table         known flow, packet of the client
load balancing     load balancer 00000000-0000-0000-0000-000000000100, TCP 10.96.0.10:80, direct server return
flow table         rule of the flow changed; assumed: its backend is selected again
load balancing     backend 10.244.2.21:8080 (endpoint 00000000-0000-0000-0000-000000000021), one of 1; assumed: hash of the addresses, modulo the number of backends
forwarding         to remote endpoint 00000000-0000-0000-0000-000000000021
port               TCP 10.244.1.11:4000 -> 10.244.2.21:8080 leaves through uplink
"
    );
    world.remove(Kind::LoadBalancer, 0x100);
    assert_eq!(
        trace(&mut world, pod(POD_11), PacketKind::Ack, "10.244.1.11:4000", "10.96.0.10:80"),
        "\
port               TCP 10.244.1.11:4000 -> 10.96.0.10:80 enters from endpoint 00000000-0000-0000-0000-000000000011
flow table         known flow, packet of the client
load balancing     the load balancer is missing; assumed: they are dropped
port               dropped: load balancer missing
"
    );
}
