//! IPv6: the family of a load balancer, and backends with addresses of both families.

use serde_json::json;
use vswitch::{Assumptions, PortId};

use crate::world::{POD_11, POD_12, REMOTE_21, World, balancer, pod, without_source_port};

#[test]
fn a_load_balancer_forwards_to_the_addresses_of_its_family() {
    let mut seen = Vec::new();
    for (flags, backend) in [(2, POD_12), (2, REMOTE_21), (3, POD_12), (3, REMOTE_21)] {
        let mut world = World::l2bridge(Assumptions::default());
        world.balancer(0x100, &balancer(&[backend], json!({ "FrontendVIPs": ["fd00:96::10"], "Flags": flags })));
        let [request, reply] = world.open(pod(POD_11), "[fd00:1::11]:4000", "[fd00:96::10]:80");
        seen.push([without_source_port(&request), reply]);
    }
    let reply = "pod 11: [fd00:96::10]:80 -> [fd00:1::11]:4000";
    assert_eq!(
        seen,
        [
            ["pod 12: [fd00::4]:* -> [fd00:1::12]:8080", reply],
            ["uplink: [fd00::4]:* -> [fd00:2::21]:8080", reply],
            ["pod 12: [fd00:1::11]:4000 -> [fd00:1::12]:8080", reply],
            ["uplink: [fd00:1::11]:4000 -> [fd00:2::21]:8080", reply],
        ]
    );
}

#[test]
fn the_ipv6_flag_is_the_family_of_a_node_port() {
    let seen = [0, 2].map(|flags| {
        let mut world = World::l2bridge(Assumptions::default());
        world.balancer(0x100, &balancer(&[POD_12], json!({ "Flags": flags })));
        [("192.0.2.1:4000", "10.0.0.4:80"), ("[2001:db8::1]:4000", "[fd00::4]:80")].map(|(from, to)| {
            let [request, _] = world.open(PortId::Uplink, from, to);
            without_source_port(&request)
        })
    });
    assert_eq!(
        seen,
        [
            ["pod 12: 10.0.0.4:* -> 10.244.1.12:8080", "host: [2001:db8::1]:4000 -> [fd00::4]:80"],
            ["host: 192.0.2.1:4000 -> 10.0.0.4:80", "pod 12: [fd00::4]:* -> [fd00:1::12]:8080"],
        ]
    );
}

#[test]
fn a_backend_without_an_address_of_the_family_is_not_selected() {
    let mut world = World::l2bridge(Assumptions::default());
    world.endpoint(POD_12, json!({ "IpConfigurations": [{ "IpAddress": "10.244.1.12" }] }));
    world.balancer(0x100, &balancer(&[POD_12], json!({ "FrontendVIPs": ["fd00:96::10"], "Flags": 3 })));
    let [request, _] = world.open(pod(POD_11), "[fd00:1::11]:4000", "[fd00:96::10]:80");
    assert_eq!(request, "dropped: no backend with an address of the family");
}
