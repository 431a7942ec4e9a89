//! Load balancers with direct server return: the client's address stays.

use serde_json::json;
use vswitch::{Assumptions, PortId};

use crate::world::{POD_11, POD_12, REMOTE_21, World, balancer, pod};

fn dsr(backends: &[u128]) -> serde_json::Value {
    balancer(backends, json!({ "FrontendVIPs": ["10.96.0.10"], "Flags": 1 }))
}

#[test]
fn all_clients_reach_backends_with_their_own_address() {
    let seen = [POD_12, REMOTE_21].map(|backend| {
        let mut world = World::l2bridge(Assumptions::default());
        world.balancer(0x100, &dsr(&[backend]));
        [
            world.open(pod(POD_11), "10.244.1.11:4000", "10.96.0.10:80"),
            world.open(PortId::Host, "10.0.0.4:4000", "10.96.0.10:80"),
            world.open(PortId::Uplink, "192.0.2.1:4000", "10.96.0.10:80"),
        ]
    });
    assert_eq!(
        seen[0],
        [
            ["pod 12: 10.244.1.11:4000 -> 10.244.1.12:8080", "pod 11: 10.96.0.10:80 -> 10.244.1.11:4000"],
            ["pod 12: 10.0.0.4:4000 -> 10.244.1.12:8080", "host: 10.96.0.10:80 -> 10.0.0.4:4000"],
            ["pod 12: 192.0.2.1:4000 -> 10.244.1.12:8080", "uplink: 10.96.0.10:80 -> 192.0.2.1:4000"],
        ]
    );
    assert_eq!(
        seen[1],
        [
            ["uplink: 10.244.1.11:4000 -> 10.244.2.21:8080", "pod 11: 10.96.0.10:80 -> 10.244.1.11:4000"],
            ["uplink: 10.0.0.4:4000 -> 10.244.2.21:8080", "host: 10.96.0.10:80 -> 10.0.0.4:4000"],
            ["uplink: 192.0.2.1:4000 -> 10.244.2.21:8080", "uplink: 10.96.0.10:80 -> 192.0.2.1:4000"],
        ]
    );
}

#[test]
fn a_pod_reaches_itself_only_with_a_loopback_policy() {
    let policies = [
        json!([]),
        // As the Azure CNI creates it.
        json!([{ "Type": "OutBoundNAT", "Settings": { "Destinations": ["10.244.1.11"] } }]),
        json!([{ "Type": "OutBoundNAT", "Settings": { "VirtualIP": "10.0.0.14", "Destinations": ["10.244.1.11/32"] } }]),
        json!([{ "Type": "OutBoundNAT", "Settings": { "Exceptions": ["10.244.0.0/16"] } }]),
    ];
    let seen = policies.map(|policies| {
        let mut world = World::l2bridge(Assumptions::default());
        let addresses = json!([{ "IpAddress": "10.244.1.11" }]);
        world.endpoint(POD_11, json!({ "IpConfigurations": addresses, "Policies": policies }));
        world.balancer(0x100, &dsr(&[POD_11]));
        let [request, reply] = world.open(pod(POD_11), "10.244.1.11:4000", "10.96.0.10:80");
        let source = request.rsplit_once(':').map_or(request.clone(), |_| {
            request.split(' ').map(|word| word.split(':').next().unwrap_or(word)).collect::<Vec<_>>().join(" ")
        });
        [source, reply]
    });
    assert_eq!(
        seen,
        [
            ["dropped the backend is the client, without a loopback policy", "nothing to answer"],
            ["pod 11 10.0.0.4 -> 10.244.1.11", "pod 11: 10.96.0.10:80 -> 10.244.1.11:4000"],
            ["pod 11 10.0.0.14 -> 10.244.1.11", "pod 11: 10.96.0.10:80 -> 10.244.1.11:4000"],
            ["dropped the backend is the client, without a loopback policy", "nothing to answer"],
        ]
    );
}

#[test]
fn a_preserved_destination_reaches_the_backend_unchanged() {
    let mut world = World::l2bridge(Assumptions::default());
    let document = json!({ "FrontendVIPs": ["203.0.113.5"], "Flags": 1, "MappingFlags": 28 });
    world.balancer(0x100, &balancer(&[POD_12], document));
    assert_eq!(
        world.open(PortId::Uplink, "192.0.2.1:4000", "203.0.113.5:80"),
        ["pod 12: 192.0.2.1:4000 -> 203.0.113.5:80", "uplink: 203.0.113.5:80 -> 192.0.2.1:4000"]
    );
}

#[test]
fn a_rule_is_on_the_ports_of_its_network_only() {
    let mut world = World::l2bridge(Assumptions::default());
    world.network(2, json!({ "Type": "L2Bridge" }));
    let network = crate::world::id(2).to_string();
    world
        .endpoint(0x31, json!({ "HostComputeNetwork": network, "IpConfigurations": [{ "IpAddress": "10.245.1.31" }] }));
    world.balancer(0x100, &dsr(&[POD_12]));
    let seen = [
        world.open(pod(0x31), "10.245.1.31:4000", "10.96.0.10:80"),
        world.open(PortId::Host, "10.0.0.4:4000", "10.96.0.10:80"),
    ]
    .map(|[request, _]| request);
    assert_eq!(seen, ["uplink: 10.245.1.31:4000 -> 10.96.0.10:80", "pod 12: 10.0.0.4:4000 -> 10.244.1.12:8080"]);
}
