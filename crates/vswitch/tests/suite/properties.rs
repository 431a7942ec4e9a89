//! What must hold for every connection while nothing changes, whatever the load balancers and assumptions are.

use std::collections::{BTreeSet, HashMap};
use std::net::{IpAddr, SocketAddr};

use proptest::prelude::*;
use serde_json::{Value, json};
use vswitch::{Assumptions, PortId, Tuple, Verdict};

use crate::world::{POD_11, POD_12, PacketKind, REMOTE_21, REMOTE_22, World, balancer, build, pod, tuple};

/// A load balancer for one frontend.
#[derive(Debug, Clone)]
struct Frontend {
    backends: Vec<u128>,
    is_dsr: bool,
    mapping_flags: u32,
    distribution: u32,
    protocol: u32,
    is_node_port: bool,
}

impl Frontend {
    fn document(&self, vip: &str) -> Value {
        let vips = if self.is_node_port { json!([]) } else { json!([vip]) };
        balancer(
            &self.backends,
            json!({
                "FrontendVIPs": vips, "SourceVIP": "10.244.1.250", "Flags": u32::from(self.is_dsr),
                "MappingFlags": self.mapping_flags, "Distribution": self.distribution, "Protocol": self.protocol,
            }),
        )
    }

    fn addresses(&self) -> BTreeSet<IpAddr> {
        let address = |number: &u128| match *number {
            POD_11 => "10.244.1.11",
            POD_12 => "10.244.1.12",
            REMOTE_21 => "10.244.2.21",
            _ => "10.244.2.22",
        };
        self.backends.iter().map(|number| address(number).parse().unwrap()).collect()
    }
}

fn frontend() -> impl Strategy<Value = Frontend> {
    let backends = prop::sample::subsequence(vec![POD_11, POD_12, REMOTE_21, REMOTE_22], 1..=4).prop_shuffle();
    let flags = prop::sample::select(&[0, 16, 18][..]);
    let protocol = prop::sample::select(&[6, 17][..]);
    (backends, any::<bool>(), flags, 0_u32..3, protocol, any::<bool>()).prop_map(
        |(backends, is_dsr, mapping_flags, distribution, protocol, is_node_port)| Frontend {
            backends,
            is_dsr,
            mapping_flags,
            distribution,
            protocol,
            is_node_port,
        },
    )
}

/// The clients: pods here, the node, another node, and outside.
fn clients(is_overlay: bool) -> [(PortId, IpAddr); 5] {
    let of_other_node = if is_overlay { PortId::Tunnel } else { PortId::Uplink };
    [
        (pod(POD_11), "10.244.1.11"),
        (pod(POD_12), "10.244.1.12"),
        (PortId::Host, "10.0.0.4"),
        (of_other_node, "10.244.3.9"),
        (PortId::Uplink, "192.0.2.1"),
    ]
    .map(|(port, address)| (port, address.parse().unwrap()))
}

proptest! {
    #[test]
    fn every_client_reaches_a_backend_and_gets_replies_of_the_frontend(
        assumptions in prop::sample::select(Assumptions::all()),
        is_overlay in any::<bool>(),
        frontend in frontend(),
        ports in prop::collection::btree_set(1024_u16..49152, 1..20),
    ) {
        let mut world = if is_overlay { World::overlay(assumptions) } else { World::l2bridge(assumptions) };
        let loopback = |address: &str| {
            json!({
                "IpConfigurations": [{ "IpAddress": address }],
                "Policies": [{ "Type": "OutBoundNAT", "Settings": { "Destinations": [address] } }],
            })
        };
        world.endpoint(POD_11, loopback("10.244.1.11"));
        world.endpoint(POD_12, loopback("10.244.1.12"));
        world.balancer(0x100, &frontend.document("10.96.0.10"));
        let to: SocketAddr = if frontend.is_node_port { "10.0.0.4:80" } else { "10.96.0.10:80" }.parse().unwrap();
        let (request, reply) = if frontend.protocol == 6 { (PacketKind::Syn, PacketKind::SynAck) } else { (PacketKind::Udp, PacketKind::Udp) };
        let mut replies: HashMap<(bool, Tuple), SocketAddr> = HashMap::new();
        let mut of_client: HashMap<IpAddr, BTreeSet<IpAddr>> = HashMap::new();
        for (port, address) in clients(is_overlay) {
            for client_port in &ports {
                let from = SocketAddr::new(address, *client_port);
                let verdict = world.switch.process(port, &build(request, from, to), world.now);
                let Verdict::Deliver(delivery) = &verdict else { panic!("{from} to {to}: {verdict:?}") };
                let sent = tuple(&delivery.packet);
                prop_assert!(frontend.addresses().contains(&sent.destination.ip()), "{}", sent);
                prop_assert_eq!(sent.destination.port(), 8080);
                // A client with its own address is one that the load balancer does not hide.
                let is_loopback = frontend.is_dsr && sent.destination.ip() == address;
                let is_hidden = !frontend.is_dsr || is_loopback || (is_overlay && port == PortId::Host);
                prop_assert_eq!(sent.source != from, is_hidden, "{}", sent);
                of_client.entry(address).or_default().insert(sent.destination.ip());

                let is_outside = matches!(delivery.port, PortId::Uplink | PortId::Tunnel);
                let before = replies.insert((is_outside, sent.reversed()), from);
                prop_assert_eq!(before, None, "two clients with the same replies");

                let answer = build(reply, sent.destination, sent.source);
                let answered = world.switch.process(delivery.port, &answer, world.now);
                let Verdict::Deliver(answered) = &answered else { panic!("reply to {from}: {answered:?}") };
                let expected = Tuple { source: to, destination: from, ..sent };
                prop_assert_eq!((answered.port, tuple(&answered.packet)), (port, expected));
            }
        }
        if frontend.distribution != 0 {
            prop_assert!(of_client.values().all(|backends| backends.len() == 1), "{:?}", of_client);
        }
    }
}

/// A change of objects that a frontend does not depend on.
#[derive(Debug, Clone)]
enum Unrelated {
    Frontend(u128, Option<Frontend>),
    Endpoint(u128, bool),
}

fn unrelated() -> impl Strategy<Value = Unrelated> {
    prop_oneof![
        (0x200_u128..0x204, prop::option::weighted(0.7, frontend()))
            .prop_map(|(number, frontend)| Unrelated::Frontend(number, frontend)),
        (0x31_u128..0x33, any::<bool>()).prop_map(|(number, exists)| Unrelated::Endpoint(number, exists)),
    ]
}

proptest! {
    #[test]
    fn a_connection_does_not_depend_on_other_load_balancers(
        assumptions in prop::sample::select(Assumptions::all()),
        frontend in frontend(),
        client in 0_usize..5,
        changes in prop::collection::vec(unrelated(), 1..10),
    ) {
        let mut world = World::l2bridge(assumptions);
        world.balancer(0x100, &frontend.document("10.96.0.10"));
        let (port, address) = clients(false)[client];
        let from = SocketAddr::new(address, 4000);
        let to: SocketAddr = if frontend.is_node_port { "10.0.0.4:80" } else { "10.96.0.10:80" }.parse().unwrap();
        let (request, next) = if frontend.protocol == 6 { (PacketKind::Syn, PacketKind::Ack) } else { (PacketKind::Udp, PacketKind::Udp) };
        let Verdict::Deliver(first) = world.switch.process(port, &build(request, from, to), world.now) else {
            // A pod without a loopback policy does not reach itself.
            return Ok(());
        };
        let sent = tuple(&first.packet);
        for change in &changes {
            match change {
                Unrelated::Frontend(number, Some(other)) => {
                    let other = Frontend { is_node_port: false, ..other.clone() };
                    world.balancer(*number, &other.document("10.96.0.20"));
                }
                Unrelated::Frontend(number, None) => world.remove(hcn::Kind::LoadBalancer, *number),
                Unrelated::Endpoint(number, true) => {
                    let address = format!("10.244.1.{number}");
                    world.endpoint(*number, json!({ "IpConfigurations": [{ "IpAddress": address }] }));
                }
                Unrelated::Endpoint(number, false) => world.remove(hcn::Kind::Endpoint, *number),
            }
            let then = world.switch.process(port, &build(next, from, to), world.now);
            let Verdict::Deliver(then) = then else { panic!("{from} to {to}: {then:?}") };
            prop_assert_eq!((then.port, tuple(&then.packet)), (first.port, sent));
            let reply = world.switch.process(first.port, &build(next, sent.destination, sent.source), world.now);
            let Verdict::Deliver(reply) = reply else { panic!("reply to {from}: {reply:?}") };
            prop_assert_eq!((reply.port, tuple(&reply.packet).source), (port, to));
        }
    }
}
