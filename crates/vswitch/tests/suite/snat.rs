//! Load balancers without direct server return: the source is translated too.

use serde_json::json;
use vswitch::assumptions::NodePortAddresses;
use vswitch::{Assumptions, PortId};

use crate::world::{POD_11, POD_12, PacketKind, REMOTE_21, World, balancer, pod, without_source_port};

/// The replies of a connection whose translated source has any port.
fn opened(world: &mut World, port: PortId, from: &str, to: &str) -> [String; 2] {
    let [request, reply] = world.open(port, from, to);
    [without_source_port(&request), without_source_port(&reply)]
}

#[test]
fn all_clients_reach_local_and_remote_backends_and_see_replies_of_the_frontend() {
    let local = balancer(&[POD_12], json!({ "FrontendVIPs": ["10.96.0.10"] }));
    let remote = balancer(&[REMOTE_21], json!({ "FrontendVIPs": ["10.96.0.20"] }));
    let mut world = World::l2bridge(Assumptions::default());
    world.balancer(0x100, &local);
    world.balancer(0x200, &remote);
    let mut seen = Vec::new();
    for vip in ["10.96.0.10:80", "10.96.0.20:80"] {
        seen.extend(opened(&mut world, pod(POD_11), "10.244.1.11:4000", vip));
        seen.extend(opened(&mut world, PortId::Host, "10.0.0.4:4000", vip));
        seen.extend(opened(&mut world, PortId::Uplink, "192.0.2.1:4000", vip));
    }
    assert_eq!(
        seen,
        [
            "pod 12: 10.0.0.4:* -> 10.244.1.12:8080",
            "pod 11: 10.96.0.10:80 -> 10.244.1.11:4000",
            "pod 12: 10.0.0.4:* -> 10.244.1.12:8080",
            "host: 10.96.0.10:80 -> 10.0.0.4:4000",
            "pod 12: 10.0.0.4:* -> 10.244.1.12:8080",
            "uplink: 10.96.0.10:80 -> 192.0.2.1:4000",
            "uplink: 10.0.0.4:* -> 10.244.2.21:8080",
            "pod 11: 10.96.0.20:80 -> 10.244.1.11:4000",
            "uplink: 10.0.0.4:* -> 10.244.2.21:8080",
            "host: 10.96.0.20:80 -> 10.0.0.4:4000",
            "uplink: 10.0.0.4:* -> 10.244.2.21:8080",
            "uplink: 10.96.0.20:80 -> 192.0.2.1:4000",
        ]
    );
}

#[test]
fn the_source_vip_is_the_new_source() {
    let mut world = World::l2bridge(Assumptions::default());
    world.balancer(0x100, &balancer(&[POD_12], json!({ "FrontendVIPs": ["10.96.0.10"], "SourceVIP": "10.0.0.14" })));
    assert_eq!(
        opened(&mut world, pod(POD_11), "10.244.1.11:4000", "10.96.0.10:80"),
        ["pod 12: 10.0.0.14:* -> 10.244.1.12:8080", "pod 11: 10.96.0.10:80 -> 10.244.1.11:4000"]
    );
}

#[test]
fn a_pod_reaches_itself() {
    let mut world = World::l2bridge(Assumptions::default());
    world.balancer(0x100, &balancer(&[POD_11], json!({ "FrontendVIPs": ["10.96.0.10"] })));
    assert_eq!(
        opened(&mut world, pod(POD_11), "10.244.1.11:4000", "10.96.0.10:80"),
        ["pod 11: 10.0.0.4:* -> 10.244.1.11:8080", "pod 11: 10.96.0.10:80 -> 10.244.1.11:4000"]
    );
}

#[test]
fn connections_to_one_backend_never_have_the_same_source() {
    let mut world = World::l2bridge(Assumptions::default());
    world.balancer(0x100, &balancer(&[POD_12], json!({ "FrontendVIPs": ["10.96.0.10"] })));
    let mut sources = std::collections::HashSet::new();
    let mut send = |client: u16, port: u16| {
        let from = format!("192.0.2.{client}:{port}");
        world.send(PortId::Uplink, PacketKind::Syn, &from, "10.96.0.10:80")
    };
    for connection in 0..vswitch::SOURCE_PORTS.len() as u16 {
        assert!(sources.insert(send(connection % 200, 1000 + connection)));
    }
    assert_eq!(send(201, 1000), "dropped: no source port left");
}

#[test]
fn a_node_port_is_reachable_on_addresses_of_the_node() {
    let node_port = balancer(&[POD_12], json!({ "MappingFlags": 18 }));
    let seen = NodePortAddresses::ALL.iter().map(|&node_port_addresses| {
        let mut world = World::l2bridge(Assumptions { node_port: node_port_addresses, ..Assumptions::default() });
        world.balancer(0x100, &node_port);
        ["10.0.0.4:80", "10.0.0.14:80", "10.244.1.2:80"]
            .map(|to| without_source_port(&world.send(PortId::Uplink, PacketKind::Syn, "192.0.2.1:4000", to)))
    });
    assert_eq!(
        seen.collect::<Vec<_>>(),
        [
            [
                "pod 12: 10.0.0.4:* -> 10.244.1.12:8080",
                "pod 12: 10.0.0.4:* -> 10.244.1.12:8080",
                "host: 192.0.2.1:4000 -> 10.244.1.2:80",
            ],
            [
                "pod 12: 10.0.0.4:* -> 10.244.1.12:8080",
                "host: 192.0.2.1:4000 -> 10.0.0.14:80",
                "host: 192.0.2.1:4000 -> 10.244.1.2:80",
            ],
        ]
    );
}

#[test]
fn an_internal_load_balancer_serves_this_node_only() {
    let mut world = World::l2bridge(Assumptions::default());
    world.balancer(0x100, &balancer(&[POD_12], json!({ "FrontendVIPs": ["10.96.0.10"], "MappingFlags": 1 })));
    let seen = [
        opened(&mut world, pod(POD_11), "10.244.1.11:4000", "10.96.0.10:80"),
        opened(&mut world, PortId::Host, "10.0.0.4:4000", "10.96.0.10:80"),
        opened(&mut world, PortId::Uplink, "192.0.2.1:4000", "10.96.0.10:80"),
    ]
    .map(|[request, _]| request);
    assert_eq!(
        seen,
        [
            "pod 12: 10.0.0.4:* -> 10.244.1.12:8080",
            "pod 12: 10.0.0.4:* -> 10.244.1.12:8080",
            "dropped: not an address of this node",
        ]
    );
}

#[test]
fn the_health_check_of_a_load_balancer_ip_reaches_the_host() {
    // As kube-proxy programs it: without and with a preserved destination.
    let seen = [0, 12].map(|flags| {
        let mut world = World::l2bridge(Assumptions::default());
        let document = json!({ "FrontendVIPs": ["203.0.113.5"], "MappingFlags": flags });
        world.balancer(0x100, &balancer(&[crate::world::CBR0], document));
        opened(&mut world, PortId::Uplink, "168.63.129.16:4000", "203.0.113.5:80")
    });
    assert_eq!(
        seen,
        [
            ["host: 10.0.0.4:* -> 10.244.1.2:8080", "uplink: 203.0.113.5:80 -> 168.63.129.16:4000"],
            ["host: 10.0.0.4:* -> 203.0.113.5:80", "uplink: 203.0.113.5:80 -> 168.63.129.16:4000"],
        ]
    );
}

#[test]
fn udp_is_balanced_by_its_own_rules() {
    let mut world = World::l2bridge(Assumptions::default());
    world.balancer(0x100, &balancer(&[POD_12], json!({ "FrontendVIPs": ["10.96.0.10"], "Protocol": 17 })));
    let udp = world.send(pod(POD_11), PacketKind::Udp, "10.244.1.11:4000", "10.96.0.10:80");
    assert_eq!(without_source_port(&udp), "pod 12: 10.0.0.4:* -> 10.244.1.12:8080");
    let tcp = world.send(pod(POD_11), PacketKind::Syn, "10.244.1.11:4000", "10.96.0.10:80");
    assert_eq!(tcp, "uplink: 10.244.1.11:4000 -> 10.96.0.10:80");
}

#[test]
fn a_load_balancer_with_a_vip_comes_before_one_without() {
    let mut world = World::l2bridge(Assumptions::default());
    world.balancer(0x100, &balancer(&[POD_11], json!({})));
    world.balancer(0x200, &balancer(&[POD_12], json!({ "FrontendVIPs": ["10.0.0.4"] })));
    let seen = ["10.0.0.4:80", "10.0.0.14:80"]
        .map(|to| without_source_port(&world.send(PortId::Uplink, PacketKind::Syn, "192.0.2.1:4000", to)));
    assert_eq!(seen, ["pod 12: 10.0.0.4:* -> 10.244.1.12:8080", "pod 11: 10.0.0.4:* -> 10.244.1.11:8080"]);
}
