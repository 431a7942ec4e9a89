//! Overlay networks: VXLAN, and the source VIP.

use hcn::Kind;
use serde_json::json;
use vswitch::{Assumptions, PortId};

use crate::world::{NETWORK, POD_11, POD_12, PacketKind, REMOTE_21, World, balancer, pod, without_source_port};

#[test]
fn packets_leave_inside_vxlan_if_a_provider_address_is_known() {
    let mut world = World::overlay(Assumptions::default());
    let sent = [
        // A remote endpoint, a remote subnet, neither.
        (pod(POD_11), "10.244.1.11:4000", "10.244.2.21:80"),
        (pod(POD_11), "10.244.1.11:4000", "10.244.3.9:80"),
        (pod(POD_11), "10.244.1.11:4000", "10.96.0.10:80"),
        (PortId::Host, "10.0.0.4:4000", "10.244.2.21:80"),
        (PortId::Host, "10.0.0.4:4000", "10.244.3.9:80"),
        (PortId::Host, "10.0.0.4:4000", "192.0.2.1:80"),
        (PortId::Tunnel, "10.244.3.9:4000", "10.244.1.11:80"),
        (PortId::Tunnel, "10.244.3.9:4000", "10.244.2.21:80"),
    ];
    let seen: Vec<_> = sent.iter().map(|(port, from, to)| world.send(*port, PacketKind::Syn, from, to)).collect();
    assert_eq!(
        seen,
        [
            "tunnel in 10.0.0.5: 10.244.1.11:4000 -> 10.244.2.21:80",
            "tunnel in 10.0.0.6: 10.244.1.11:4000 -> 10.244.3.9:80",
            "dropped: no provider address for the destination",
            "tunnel in 10.0.0.5: 10.0.0.4:4000 -> 10.244.2.21:80",
            "tunnel in 10.0.0.6: 10.0.0.4:4000 -> 10.244.3.9:80",
            "uplink: 10.0.0.4:4000 -> 192.0.2.1:80",
            "pod 11: 10.244.3.9:4000 -> 10.244.1.11:80",
            "dropped: not an address of this node",
        ]
    );
}

#[test]
fn the_isolation_id_is_that_of_the_network() {
    let mut world = World::overlay(Assumptions::default());
    // A VLAN has an id of the same name.
    let policy = |kind: &str, id: u32| json!({ "Type": kind, "Settings": { "IsolationId": id } });
    let subnet = json!({ "IpAddressPrefix": "10.244.1.0/24", "Policies": [policy("VLAN", 7), policy("VSID", 4096)] });
    world.network(NETWORK, json!({ "Type": "Overlay", "Ipams": [{ "Subnets": [subnet] }] }));
    let packet = crate::world::packet(PacketKind::Syn, "10.244.1.11:4000", "10.244.2.21:80");
    let vswitch::Verdict::Deliver(delivery) = world.switch.process(pod(POD_11), &packet, world.now) else {
        panic!("the packet leaves")
    };
    let outer = delivery.encapsulation.map(|outer| (outer.provider_address.to_string(), outer.isolation_id));
    assert_eq!(outer, Some(("10.0.0.5".to_owned(), 4096)));
}

#[test]
fn replies_to_another_node_leave_inside_vxlan() {
    let mut world = World::overlay(Assumptions::default());
    assert_eq!(
        world.open(PortId::Tunnel, "10.244.3.9:4000", "10.244.1.11:80"),
        ["pod 11: 10.244.3.9:4000 -> 10.244.1.11:80", "tunnel in 10.0.0.6: 10.244.1.11:80 -> 10.244.3.9:4000"]
    );
}

#[test]
fn the_node_needs_a_source_vip_even_with_direct_server_return() {
    // Flags, source VIP: what a pod and the node send, to a local and to a remote backend.
    let mut seen = Vec::new();
    for flags in [0, 1] {
        for source_vip in ["", "10.244.1.250"] {
            for backend in [POD_12, REMOTE_21] {
                let mut world = World::overlay(Assumptions::default());
                let document = json!({ "FrontendVIPs": ["10.96.0.10"], "Flags": flags, "SourceVIP": source_vip });
                world.balancer(0x100, &balancer(&[backend], document));
                for (port, from) in [(pod(POD_11), "10.244.1.11:4000"), (PortId::Host, "10.0.0.4:4000")] {
                    seen.push(without_source_port(&world.send(port, PacketKind::Syn, from, "10.96.0.10:80")));
                }
            }
        }
    }
    assert_eq!(
        seen,
        [
            "dropped: no source VIP",
            "dropped: no source VIP",
            "dropped: no source VIP",
            "dropped: no source VIP",
            "pod 12: 10.244.1.250:* -> 10.244.1.12:8080",
            "pod 12: 10.244.1.250:* -> 10.244.1.12:8080",
            "tunnel in 10.0.0.5: 10.244.1.250:* -> 10.244.2.21:8080",
            "tunnel in 10.0.0.5: 10.244.1.250:* -> 10.244.2.21:8080",
            "pod 12: 10.244.1.11:4000 -> 10.244.1.12:8080",
            "dropped: no source VIP",
            "tunnel in 10.0.0.5: 10.244.1.11:4000 -> 10.244.2.21:8080",
            "dropped: no source VIP",
            "pod 12: 10.244.1.11:4000 -> 10.244.1.12:8080",
            "pod 12: 10.244.1.250:* -> 10.244.1.12:8080",
            "tunnel in 10.0.0.5: 10.244.1.11:4000 -> 10.244.2.21:8080",
            "tunnel in 10.0.0.5: 10.244.1.250:* -> 10.244.2.21:8080",
        ]
    );
}

#[test]
fn replies_to_the_source_vip_return_through_the_tunnel() {
    let mut world = World::overlay(Assumptions::default());
    // The endpoint of the source VIP, as kube-proxy creates it, takes no replies.
    world.endpoint(0x50, json!({ "IpConfigurations": [{ "IpAddress": "10.244.1.250" }] }));
    let document = json!({ "FrontendVIPs": ["10.96.0.10"], "SourceVIP": "10.244.1.250" });
    world.balancer(0x100, &balancer(&[REMOTE_21], document));
    let [_, reply] = world.open(pod(POD_11), "10.244.1.11:4000", "10.96.0.10:80");
    assert_eq!(reply, "pod 11: 10.96.0.10:80 -> 10.244.1.11:4000");
}

#[test]
fn a_backend_with_the_address_of_its_node_is_reached_without_vxlan() {
    let mut world = World::overlay(Assumptions::default());
    let policy = json!({ "Type": "ProviderAddress", "Settings": { "ProviderAddress": "10.0.0.6" } });
    let addresses = json!([{ "IpAddress": "10.0.0.6" }]);
    world.endpoint(0x60, json!({ "Flags": 1, "IpConfigurations": addresses, "Policies": [policy] }));
    world.balancer(0x100, &balancer(&[0x60], json!({ "FrontendVIPs": ["10.96.0.1"], "SourceVIP": "10.0.0.4" })));
    let [request, reply] = world.open(pod(POD_11), "10.244.1.11:4000", "10.96.0.1:80");
    assert_eq!(without_source_port(&request), "uplink: 10.0.0.4:* -> 10.0.0.6:8080");
    assert_eq!(reply, "pod 11: 10.96.0.1:80 -> 10.244.1.11:4000");
}

#[test]
fn the_endpoint_of_a_vip_answers_nothing_without_a_load_balancer() {
    let mut world = World::overlay(Assumptions::default());
    let policy = json!({ "Type": "ProviderAddress", "Settings": { "ProviderAddress": "10.0.0.4" } });
    let addresses = json!([{ "IpAddress": "10.96.0.10" }]);
    world.endpoint(0x60, json!({ "Flags": 1, "IpConfigurations": addresses, "Policies": [policy] }));
    let seen = world.send(pod(POD_11), PacketKind::Syn, "10.244.1.11:4000", "10.96.0.10:80");
    assert_eq!(seen, "dropped: not an address of this node");
}

#[test]
fn packets_to_a_removed_remote_endpoint_are_lost() {
    let mut world = World::overlay(Assumptions::default());
    world.balancer(0x100, &balancer(&[REMOTE_21], json!({ "FrontendVIPs": ["10.96.0.10"], "Flags": 1 })));
    world.remove(Kind::Endpoint, REMOTE_21);
    let seen = world.send(pod(POD_11), PacketKind::Syn, "10.244.1.11:4000", "10.96.0.10:80");
    assert_eq!(seen, "dropped: no provider address for the destination");
}

#[test]
fn a_pod_reaches_addresses_outside_by_its_outbound_nat_policy() {
    let mut world = World::overlay(Assumptions::default());
    let settings = json!({ "Exceptions": ["10.244.0.0/16", "10.96.0.0/12"] });
    let policy = json!({ "Type": "OutBoundNAT", "Settings": settings });
    let addresses = json!([{ "IpAddress": "10.244.1.11" }]);
    world.endpoint(POD_11, json!({ "IpConfigurations": addresses, "Policies": [policy] }));
    let seen = ["192.0.2.1:80", "10.244.3.9:80", "10.96.0.10:80"].map(|to| {
        let [request, reply] = world.open(pod(POD_11), "10.244.1.11:4000", to);
        [without_source_port(&request), reply]
    });
    assert_eq!(
        seen,
        [
            ["uplink: 10.0.0.4:* -> 192.0.2.1:80", "pod 11: 192.0.2.1:80 -> 10.244.1.11:4000"],
            ["tunnel in 10.0.0.6: 10.244.1.11:4000 -> 10.244.3.9:80", "pod 11: 10.244.3.9:80 -> 10.244.1.11:4000"],
            ["dropped: no provider address for the destination", "nothing to answer"],
        ]
    );
}

#[test]
fn the_remote_subnet_with_the_longest_prefix_has_the_address() {
    let mut world = World::overlay(Assumptions::default());
    let route = |prefix: &str, provider: &str| {
        let settings = json!({ "DestinationPrefix": prefix, "IsolationId": 4096, "ProviderAddress": provider });
        json!({ "Type": "RemoteSubnetRoute", "Settings": settings })
    };
    let policies = |provider: &str| json!([route("10.244.0.0/16", "10.0.0.7"), route("10.244.3.0/24", provider)]);
    world.network(NETWORK, json!({ "Type": "Overlay", "Policies": policies("10.0.0.6") }));
    let first = world.send(pod(POD_11), PacketKind::Syn, "10.244.1.11:4000", "10.244.3.9:80");
    // The subnet moves to another node.
    world.network(NETWORK, json!({ "Type": "Overlay", "Policies": policies("10.0.0.8") }));
    let then = world.send(pod(POD_11), PacketKind::Ack, "10.244.1.11:4000", "10.244.3.9:80");
    assert_eq!(
        [first, then],
        [
            "tunnel in 10.0.0.6: 10.244.1.11:4000 -> 10.244.3.9:80",
            "tunnel in 10.0.0.8: 10.244.1.11:4000 -> 10.244.3.9:80"
        ]
    );
}
