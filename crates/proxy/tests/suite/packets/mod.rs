//! What HNS has is followed to packets through a model of the virtual switch: every frontend reaches its backends, and a change does not break
//! the connections that it need not break.

mod small;

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};

use hcn::schema::{LoadBalancerFlags, PortMappingFlags};
use hcn::{ApiVersion, Guid, Kind};
use hcn_emulator::ChangeFeed;
use proptest::prelude::*;
use proxy::Frontend;
use proxy::frontend::LoadBalancerSpec;
use vswitch::assumptions::Modification;
use vswitch::testing::{PacketKind, build, tuple};
use vswitch::{Assumptions, Change, DropReason, Instant, PortId, Switch, Tuple, Verdict};

use crate::rig::{Rig, cases, own_host};
use crate::switch;
use small::{Small, pods_here, small};

/// A proxy that has programmed a cluster, and a switch that follows HNS.
struct World {
    rig: Rig,
    feed: ChangeFeed,
    switch: Switch,
    clients: Vec<(PortId, [IpAddr; 2])>,
    last_port: u16,
}

impl World {
    fn new(network_type: &str, version: &str, assumptions: Assumptions, services: &[Small]) -> Self {
        let mut rig = Rig::new(network_type, version, ApiVersion::V2);
        let outside = ["192.0.2.1", "2001:db8::1"].map(|address| address.parse().unwrap());
        let node: [IpAddr; 2] = own_host().node_ips.try_into().unwrap();
        let mut clients = vec![(PortId::Host, node), (PortId::Uplink, outside)];
        for (number, addresses) in pods_here().enumerate() {
            let id = rig.local(&format!("pod-{number}"), &[&addresses[0], &addresses[1]]);
            clients.push((PortId::Endpoint(id), addresses.map(|address| address.parse().unwrap())));
        }
        let (services, slices) = small::build(services);
        rig.cluster(services, slices);
        rig.settle();
        let own_node = switch::node(&rig.settings);
        let feed = rig.emulator.follow(100_000);
        let mut world = Self { rig, feed, switch: Switch::new(own_node, assumptions), clients, last_port: 1024 };
        while let Some(change) = switch::next_change(&world.feed) {
            world.switch.apply(change);
        }
        world
    }

    fn specs(&self) -> Vec<LoadBalancerSpec> {
        self.rig.proxy.frontends().iter().map(|status| (*status.desired.spec).clone()).collect()
    }

    /// A client's address with a port that no connection has had.
    fn client(&mut self, client: usize, frontend: &Frontend) -> (PortId, SocketAddr, SocketAddr) {
        self.last_port += 1;
        let (port, addresses) = self.clients[client];
        let own = own_host().node_ip(frontend.family).unwrap();
        let to = SocketAddr::new(frontend.address.unwrap_or(own), frontend.port);
        let from = addresses.into_iter().find(|address| address.is_ipv4() == to.is_ipv4()).unwrap();
        (port, SocketAddr::new(from, self.last_port), to)
    }

    fn send(&mut self, port: PortId, kind: PacketKind, from: SocketAddr, to: SocketAddr) -> Verdict {
        self.switch.process(port, &build(kind, from, to), Instant(0))
    }

    /// Opens a connection to a frontend from a client, and checks that it reaches a backend and gets replies of the frontend.
    fn check(&mut self, spec: &LoadBalancerSpec, client: usize) {
        let (port, from, to) = self.client(client, &spec.frontend);
        let (request, reply) = switch::kinds(spec.frontend.protocol);
        let what = format!("{} from {from} of {port}", spec.frontend);
        let is_dsr = spec.flags.contains(LoadBalancerFlags::DSR);
        let targets: BTreeSet<IpAddr> = spec.targets.iter().filter_map(|target| target.address()).collect();
        let verdict = self.send(port, request, from, to);
        if targets.is_empty() {
            assert!(!switch::reaches_pod(&verdict), "{what} has no backend: {verdict:?}");
            return;
        }
        let delivery = match verdict {
            Verdict::Deliver(delivery) => delivery,
            // The emulator's pods have no policy for this.
            Verdict::Drop(DropReason::Hairpin) if is_dsr && targets.contains(&from.ip()) => return,
            verdict => panic!("{what}: {verdict:?}"),
        };
        let sent = tuple(&delivery.packet);
        let backend = self.backend(spec, delivery.port, sent);
        assert!(targets.contains(&backend), "{what} reaches {backend}");
        if port == PortId::Uplink && spec.local_only {
            assert!(matches!(delivery.port, PortId::Endpoint(_)), "{what} leaves this node");
            assert!(sent.source == from || !is_dsr, "{what} has the source {}", sent.source);
        }
        let replied = switch::check_reply(&mut self.switch, &delivery, reply, port, from, to);
        assert_eq!(replied, Ok(()), "{what}");
    }

    /// The backend that a delivered packet reaches.
    fn backend(&self, spec: &LoadBalancerSpec, port: PortId, sent: Tuple) -> IpAddr {
        if !spec.mapping_flags.contains(PortMappingFlags::PRESERVE_DIP) {
            assert_eq!(sent.destination.port(), spec.internal_port);
            return sent.destination.ip();
        }
        let pod = self.clients.iter().find(|(of_pod, _)| *of_pod == port);
        let (_, addresses) = pod.expect("a preserved destination reaches a pod of this node");
        addresses.iter().copied().find(|address| address.is_ipv4() == sent.source.is_ipv4()).unwrap()
    }
}

/// A connection that is held while HNS changes.
struct Held {
    frontend: Frontend,
    port: PortId,
    from: SocketAddr,
    to: SocketAddr,
    kind: PacketKind,
    /// Where its packets went first, and the backend.
    sent: Verdict,
    backend: IpAddr,
    load_balancer: Guid,
    is_interrupted: bool,
    /// Whether its load balancer was removed meanwhile.
    is_replaced: bool,
}

impl World {
    /// One connection from each client to each frontend that reaches a backend.
    fn hold(&mut self) -> Vec<Held> {
        let mut held = Vec::new();
        for spec in self.specs() {
            for client in 0..self.clients.len() {
                let (port, from, to) = self.client(client, &spec.frontend);
                let (kind, _) = switch::kinds(spec.frontend.protocol);
                let sent = self.send(port, kind, from, to);
                let Verdict::Deliver(delivery) = &sent else { continue };
                let Some(load_balancer) = self.load_balancer(&spec.frontend) else { continue };
                let backend = self.backend(&spec, delivery.port, tuple(&delivery.packet));
                let kind = if kind == PacketKind::Syn { PacketKind::Ack } else { kind };
                let sent = self.send(port, kind, from, to);
                let frontend = spec.frontend;
                let (is_interrupted, is_replaced) = (false, false);
                held.push(Held {
                    frontend,
                    port,
                    from,
                    to,
                    kind,
                    sent,
                    backend,
                    load_balancer,
                    is_interrupted,
                    is_replaced,
                });
            }
        }
        held
    }

    /// Takes the changes of HNS one by one, and sends a packet of each connection after each of them.
    fn follow(&mut self, held: &mut [Held]) {
        while let Some(change) = switch::next_change(&self.feed) {
            if let Change::LoadBalancer(id, None) = &change {
                held.iter_mut().filter(|held| held.load_balancer == *id).for_each(|held| held.is_replaced = true);
            }
            self.switch.apply(change);
            for held in &mut *held {
                held.is_interrupted |= self.send(held.port, held.kind, held.from, held.to) != held.sent;
            }
        }
    }

    /// Those of the connections whose frontend still has their backend.
    fn with_backend<'a>(&self, held: impl Iterator<Item = &'a Held>) -> Vec<String> {
        let specs = self.specs();
        let has_backend = |held: &&Held| {
            let spec = specs.iter().find(|spec| spec.frontend == held.frontend);
            spec.is_some_and(|spec| spec.targets.iter().any(|target| target.address() == Some(held.backend)))
        };
        held.filter(has_backend)
            .map(|held| format!("{} from {} to {}", held.frontend, held.from, held.backend))
            .collect()
    }

    fn check_all(&mut self) {
        for spec in self.specs() {
            for client in 0..self.clients.len() {
                self.check(&spec, client);
            }
        }
    }

    fn load_balancer(&self, frontend: &Frontend) -> Option<Guid> {
        let documents = self.rig.emulator.documents(Kind::LoadBalancer);
        documents.into_iter().find_map(|document| {
            let document: hcn::schema::LoadBalancer = serde_json::from_value(document).unwrap();
            Frontend::of(&document).any(|of| of == *frontend).then_some(document.id)?
        })
    }
}

fn assumptions() -> impl Strategy<Value = Assumptions> {
    prop::sample::select(Assumptions::all())
}

fn network_type() -> impl Strategy<Value = &'static str> {
    prop::sample::select(&["L2Bridge", "Overlay"][..])
}

proptest! {
    #![proptest_config(cases(64))]

    #[test]
    fn every_frontend_reaches_its_backends_from_everywhere(
        network_type in network_type(),
        assumptions in assumptions(),
        services in prop::collection::vec(small(), 1..5),
    ) {
        World::new(network_type, "15.5", assumptions, &services).check_all();
    }

    #[test]
    fn a_change_breaks_only_connections_whose_load_balancer_is_replaced_or_whose_backend_goes(
        network_type in network_type(),
        assumptions in assumptions(),
        first in prop::collection::vec(small(), 1..5),
        then in prop::collection::vec(small(), 1..5),
    ) {
        let assumptions = Assumptions { modification: Modification::Stays, ..assumptions };
        let mut world = World::new(network_type, "15.5", assumptions, &first);
        let mut held = world.hold();
        // Services that the second cluster does not have stay as they are.
        let (services, slices) = small::build(&[first, then].concat());
        world.rig.cluster(services, slices);
        world.rig.settle();
        world.follow(&mut held);
        let broken = held.iter().filter(|held| held.is_interrupted && !held.is_replaced);
        prop_assert_eq!(world.with_backend(broken), Vec::<String>::new());
        world.check_all();
    }

    #[test]
    fn a_change_of_backends_breaks_only_connections_whose_backend_goes(
        network_type in network_type(),
        assumptions in assumptions(),
        services in prop::collection::vec((small(), small()), 1..5),
    ) {
        let assumptions = Assumptions { modification: Modification::Stays, ..assumptions };
        let first: Vec<_> = services.iter().map(|(service, _)| service.clone()).collect();
        let then: Vec<_> = services.iter().map(|(service, other)| service.with_backends_of(other)).collect();
        let mut world = World::new(network_type, "15.5", assumptions, &first);
        let mut held = world.hold();
        let (services, slices) = small::build(&then);
        world.rig.cluster(services, slices);
        world.rig.settle();
        world.follow(&mut held);
        let broken = held.iter().filter(|held| held.is_interrupted);
        prop_assert_eq!(world.with_backend(broken), Vec::<String>::new());
        world.check_all();
    }
}
