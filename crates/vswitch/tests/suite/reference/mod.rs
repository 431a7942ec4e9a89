//! Random changes and packets: the switch does the same as an engine without rules by frontend, flow table and generations.

mod decide;
mod engine;
mod model;
mod steps;

use std::net::SocketAddr;

use hcn::Kind;
use proptest::prelude::*;
use serde_json::json;
use vswitch::{Assumptions, Instant, PortId, Verdict};

use crate::world::{NETWORK, PacketKind, World, build, tuple};
use engine::{Change, Flags, Outcome, Reference};
use steps::{Packet, Step};

/// The switch and the reference engine.
struct Pair {
    world: World,
    reference: Reference,
    /// Packets that left, which can be answered.
    delivered: Vec<(PortId, SocketAddr, SocketAddr, bool)>,
}

impl Pair {
    fn new(assumptions: Assumptions, is_overlay: bool) -> Self {
        let mut world = World::empty(assumptions);
        world.network(NETWORK, json!({ "Type": if is_overlay { "Overlay" } else { "L2Bridge" } }));
        let node = ["10.0.0.4", "10.0.0.14", "fd00::4"].map(|text| text.parse().unwrap());
        let reference = Reference::new(assumptions, node.to_vec(), is_overlay);
        Self { world, reference, delivered: Vec::new() }
    }

    fn change(&mut self, change: Change) {
        match &change {
            Change::Endpoint(number, Some(endpoint)) => self.world.endpoint(*number, endpoint.document()),
            Change::Endpoint(number, None) => self.world.remove(Kind::Endpoint, *number),
            Change::LoadBalancer(number, Some(document)) => self.world.balancer(*number, &document.document()),
            Change::LoadBalancer(number, None) => self.world.remove(Kind::LoadBalancer, *number),
            Change::Stop => self.world.switch.apply(vswitch::Change::ServiceStopped),
            Change::Start => self.world.switch.apply(vswitch::Change::ServiceStarted),
        }
        self.reference.change(change);
    }

    /// Sends a packet, and returns what both engines did with it.
    fn send(&mut self, port: PortId, what: PacketKind, from: SocketAddr, to: SocketAddr) -> (Outcome, Outcome) {
        let bytes = build(what, from, to);
        let verdict = self.world.switch.process(port, &bytes, self.world.now);
        let seen = match &verdict {
            Verdict::Deliver(delivery) => {
                let outer = delivery.encapsulation.map(|outer| outer.provider_address);
                Outcome::Leaves(delivery.port, tuple(&delivery.packet), outer)
            }
            Verdict::Reply(_) => Outcome::Reset,
            Verdict::Drop(_) => Outcome::Lost,
        };
        let flags =
            Flags { opens: what == PacketKind::Syn, fin: what == PacketKind::Fin, rst: what == PacketKind::Rst };
        let expected = self.reference.packet(port, tuple(&bytes), flags, self.world.now, &seen);
        if let Outcome::Leaves(port, tuple, _) = &seen {
            self.delivered.push((*port, tuple.destination, tuple.source, what == PacketKind::Udp));
        }
        (seen, expected)
    }

    fn packet(&mut self, packet: &Packet) -> Option<(Outcome, Outcome)> {
        match packet {
            Packet::Request { port, what, from, to } => Some(self.send(*port, *what, *from, *to)),
            Packet::Answer { of, what } => {
                let last = self.delivered.len().checked_sub(1 + of % self.delivered.len().max(1))?;
                let (port, from, to, is_udp) = *self.delivered.get(last)?;
                let what = if is_udp { PacketKind::Udp } else { *what };
                Some(self.send(port, what, from, to))
            }
        }
    }
}

proptest! {
    #[test]
    fn the_switch_equals_the_reference_engine(
        assumptions in prop::sample::select(Assumptions::all()),
        is_overlay in any::<bool>(),
        steps in prop::collection::vec(steps::step(), 1..80),
    ) {
        let mut pair = Pair::new(assumptions, is_overlay);
        for number in steps::ENDPOINTS {
            pair.change(Change::Endpoint(number, Some(model::endpoint(number, is_overlay, false))));
        }
        for step in &steps {
            match step {
                Step::Endpoint(number, Some(has_policy)) => {
                    let endpoint = model::endpoint(*number, is_overlay, *has_policy);
                    pair.change(Change::Endpoint(*number, Some(endpoint)));
                }
                Step::Endpoint(number, None) => pair.change(Change::Endpoint(*number, None)),
                Step::LoadBalancer(number, document) => pair.change(Change::LoadBalancer(*number, document.clone())),
                Step::Service(true) => pair.change(Change::Start),
                Step::Service(false) => pair.change(Change::Stop),
                Step::Wait(seconds) => pair.world.now = Instant(pair.world.now.0 + seconds * 1_000_000),
                Step::Packet(packet) => {
                    if let Some((seen, expected)) = pair.packet(packet) {
                        prop_assert_eq!(seen, expected, "{:?}", packet);
                    }
                }
            }
        }
    }
}
