//! Packets without a load balancer.

use proptest::prelude::*;
use serde_json::json;
use vswitch::{Assumptions, Instant, PortId};

use crate::world::{POD_11, POD_12, PacketKind, World, pod};

#[test]
fn packets_without_a_load_balancer_keep_their_addresses() {
    let mut world = World::l2bridge(Assumptions::default());
    let sent = [
        (pod(POD_11), "10.244.1.11:4000", "10.244.1.12:80"),
        (pod(POD_11), "10.244.1.11:4000", "10.0.0.4:80"),
        (pod(POD_11), "10.244.1.11:4000", "10.244.1.2:80"),
        (pod(POD_11), "10.244.1.11:4000", "10.244.2.21:80"),
        (pod(POD_11), "10.244.1.11:4000", "192.0.2.1:80"),
        (PortId::Host, "10.0.0.4:4000", "10.244.1.12:80"),
        (PortId::Host, "10.0.0.4:4000", "192.0.2.1:80"),
        (PortId::Uplink, "192.0.2.1:4000", "10.244.1.12:80"),
        (PortId::Uplink, "192.0.2.1:4000", "10.0.0.14:80"),
        (PortId::Uplink, "192.0.2.1:4000", "10.244.2.21:80"),
        (PortId::Uplink, "192.0.2.1:4000", "198.51.100.1:80"),
        (pod(0x99), "10.244.1.99:4000", "10.244.1.12:80"),
        (pod(POD_11), "[fd00:1::11]:4000", "[fd00:1::12]:80"),
        (pod(POD_11), "[fd00:1::11]:4000", "[fd00::4]:80"),
        (pod(POD_11), "[fd00:1::11]:4000", "[2001:db8::1]:80"),
    ];
    let seen: Vec<_> = sent.iter().map(|(port, from, to)| world.send(*port, PacketKind::Syn, from, to)).collect();
    assert_eq!(
        seen,
        [
            "pod 12: 10.244.1.11:4000 -> 10.244.1.12:80",
            "host: 10.244.1.11:4000 -> 10.0.0.4:80",
            "host: 10.244.1.11:4000 -> 10.244.1.2:80",
            "uplink: 10.244.1.11:4000 -> 10.244.2.21:80",
            "uplink: 10.244.1.11:4000 -> 192.0.2.1:80",
            "pod 12: 10.0.0.4:4000 -> 10.244.1.12:80",
            "uplink: 10.0.0.4:4000 -> 192.0.2.1:80",
            "pod 12: 192.0.2.1:4000 -> 10.244.1.12:80",
            "host: 192.0.2.1:4000 -> 10.0.0.14:80",
            "dropped: not an address of this node",
            "dropped: not an address of this node",
            "dropped: unknown port",
            "pod 12: [fd00:1::11]:4000 -> [fd00:1::12]:80",
            "host: [fd00:1::11]:4000 -> [fd00::4]:80",
            "uplink: [fd00:1::11]:4000 -> [2001:db8::1]:80",
        ]
    );
}

#[test]
fn replies_return_to_the_port_of_the_client() {
    let mut world = World::l2bridge(Assumptions::default());
    let [request, reply] = world.open(pod(POD_11), "10.244.1.11:4000", "10.244.1.12:80");
    assert_eq!(request, "pod 12: 10.244.1.11:4000 -> 10.244.1.12:80");
    assert_eq!(reply, "pod 11: 10.244.1.12:80 -> 10.244.1.11:4000");
    assert_eq!(world.switch.flow_count(), 1);
}

#[test]
fn packets_that_are_not_ip_or_cut_off_are_dropped() {
    let mut world = World::l2bridge(Assumptions::default());
    let whole = crate::world::packet(PacketKind::Syn, "10.244.1.11:4000", "10.244.1.12:80");
    for len in 0..whole.len() {
        let verdict = world.switch.process(pod(POD_11), &whole[..len], Instant(0));
        assert_eq!(crate::world::describe(&verdict), "dropped: malformed packet", "{len} bytes");
    }
}

#[test]
fn the_switch_has_the_ports_of_local_endpoints_of_pods() {
    let world = World::l2bridge(Assumptions::default());
    let ports = [pod(POD_11), pod(POD_12), pod(crate::world::CBR0), pod(crate::world::REMOTE_21), PortId::Host];
    assert_eq!(ports.map(|port| world.switch.has_port(port)), [true, true, false, false, true]);
}

#[test]
fn fragments_are_dropped() {
    let mut world = World::l2bridge(Assumptions::default());
    let whole = crate::world::packet(PacketKind::Udp, "10.244.1.11:4000", "10.244.1.12:80");
    // More fragments, and an offset of 8 bytes.
    let seen = [(6, 0x20), (7, 0x01)].map(|(index, byte)| {
        let mut fragment = whole.clone();
        fragment[index] = byte;
        crate::world::describe(&world.switch.process(pod(POD_11), &fragment, Instant(0)))
    });
    assert_eq!(seen, ["dropped: malformed packet"; 2]);
}

#[test]
fn of_endpoints_with_one_address_the_local_one_gets_the_packets() {
    let mut world = World::l2bridge(Assumptions::default());
    let addresses = || json!({ "IpConfigurations": [{ "IpAddress": "10.244.1.77" }] });
    let mut remote = addresses();
    remote["Flags"] = json!(1);
    world.endpoint(0x76, remote);
    world.endpoint(0x77, addresses());
    let seen = world.send(pod(POD_11), PacketKind::Syn, "10.244.1.11:4000", "10.244.1.77:80");
    assert_eq!(seen, "pod 77: 10.244.1.11:4000 -> 10.244.1.77:80");
}

#[test]
fn an_endpoint_of_the_network_is_preferred_to_one_with_the_same_address() {
    let mut world = World::l2bridge(Assumptions::default());
    world.network(2, json!({ "Type": "L2Bridge" }));
    let of_second = |address: &str| json!({ "HostComputeNetwork": crate::world::id(2).to_string(), "IpConfigurations": [{ "IpAddress": address }] });
    world.endpoint(0x31, of_second("10.245.1.31"));
    world.endpoint(0x32, of_second("10.244.1.12"));
    let seen = [(POD_11, "10.244.1.11:4000"), (0x31, "10.245.1.31:4000")]
        .map(|(client, from)| world.send(pod(client), PacketKind::Syn, from, "10.244.1.12:80"));
    assert_eq!(seen, ["pod 12: 10.244.1.11:4000 -> 10.244.1.12:80", "pod 32: 10.245.1.31:4000 -> 10.244.1.12:80"]);
}

/// A packet of which some bytes are changed, as the input of the fuzz target.
fn record() -> impl Strategy<Value = Vec<u8>> {
    let kinds = [PacketKind::Syn, PacketKind::Ack, PacketKind::Fin, PacketKind::Udp];
    let pairs = [
        ("10.244.1.11:4000", "10.96.0.10:80"),
        ("10.0.0.4:4000", "10.96.0.10:53"),
        ("192.0.2.1:4000", "10.244.1.11:8080"),
        ("[fd00:1::11]:4000", "[fd00:96::10]:80"),
        ("[fd00:2::11]:8080", "[fd00::4]:4000"),
    ];
    let changes = prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4);
    let cut = prop::option::weighted(0.2, any::<prop::sample::Index>());
    (any::<u8>(), prop::sample::select(kinds.to_vec()), prop::sample::select(pairs.to_vec()), changes, cut).prop_map(
        |(options, kind, (from, to), changes, cut)| {
            let mut packet = crate::world::packet(kind, from, to);
            for (index, byte) in changes {
                let index = index.index(packet.len());
                packet[index] = byte;
            }
            packet.truncate(cut.map_or(packet.len(), |cut| cut.index(packet.len())));
            [vec![options, packet.len() as u8], packet].concat()
        },
    )
}

proptest! {
    #[test]
    fn any_packet_has_a_verdict(records in prop::collection::vec(record(), 1..10)) {
        vswitch::fuzzing::packets(&records.concat());
    }
}
