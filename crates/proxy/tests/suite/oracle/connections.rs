//! Connections through a model of the virtual switch that follows the HNS of a world.

use std::net::{IpAddr, SocketAddr};

use hcn::Guid;
use hcn::schema::Endpoint;
use hcn_emulator::{ChangeFeed, Emulator};
use proxy::model::Family;
use proxy::{Frontend, Settings};
use vswitch::assumptions::Modification;
use vswitch::testing::{PacketKind, build, tuple};
use vswitch::{Assumptions, Delivery, DropReason, Instant, PortId, Switch, Tuple, Verdict};

use super::difference::{Snapshot, address_of};
use super::wanted::{DSR, Frontends, PRESERVE_DIP, Wanted};
use crate::rig::own_host;
use crate::switch;

/// Outside the cluster.
const OUTSIDE: [&str; 2] = ["198.18.0.1", "2001:db8::1"];
const FIRST_PORT: u16 = 1024;

pub(super) struct Connections {
    feed: ChangeFeed,
    switch: Switch,
    root_endpoint_name: String,
    source_vip: Option<IpAddr>,
    held: Vec<Held>,
    last_port: u16,
}

/// A connection that is held while HNS changes.
struct Held {
    frontend: Frontend,
    wanted: Wanted,
    backend: IpAddr,
    port: PortId,
    kind: PacketKind,
    from: SocketAddr,
    to: SocketAddr,
    sent: Verdict,
    is_interrupted: bool,
}

impl Connections {
    pub(super) fn new(emulator: &Emulator, settings: &Settings) -> Self {
        let assumptions = Assumptions { modification: Modification::Stays, ..Assumptions::default() };
        let switch = Switch::new(switch::node(settings), assumptions);
        Self {
            feed: emulator.follow(100_000),
            switch,
            root_endpoint_name: settings.root_endpoint_name.clone(),
            source_vip: settings.source_vip_address(),
            held: Vec::new(),
            last_port: FIRST_PORT,
        }
    }

    /// Applies what has changed in HNS, one change after the other. Each is followed by a packet of each connection.
    pub(super) fn follow(&mut self) {
        while let Some(change) = switch::next_change(&self.feed) {
            self.switch.apply(change);
            for held in &mut self.held {
                let packet = build(held.kind, held.from, held.to);
                held.is_interrupted |= self.switch.process(held.port, &packet, Instant(0)) != held.sent;
            }
        }
    }

    /// The interrupted connections whose frontend still has their backend, and differs at most in other backends. `reachable`: the addresses of
    /// the backends that a load balancer may have.
    pub(super) fn broken(&self, frontends: &Frontends, reachable: impl Fn(&Wanted) -> Vec<IpAddr>) -> Vec<String> {
        let stays = |held: &&Held| {
            let Some([wanted]) = frontends.get(&held.frontend).map(Vec::as_slice) else { return false };
            let named =
                |wanted: &Wanted| wanted.backends.iter().copied().find(|one| address_of(one) == Some(held.backend));
            wanted.differs_at_most_in_backends(&held.wanted)
                && named(wanted) == named(&held.wanted)
                && reachable(wanted).contains(&held.backend)
        };
        let broken = self.held.iter().filter(|held| held.is_interrupted).filter(stays);
        broken
            .map(|held| {
                format!("the connection from {} to {} at {} was interrupted", held.from, held.frontend, held.backend)
            })
            .collect()
    }

    /// Forgets all connections.
    pub(super) fn close(&mut self) {
        self.held.clear();
    }

    /// Opens a connection to each frontend from each pod of this node, from the node and from outside. Returns what is wrong.
    pub(super) fn open(
        &mut self,
        frontends: &Frontends,
        snapshot: &Snapshot,
        reachable: impl Fn(&Wanted) -> Vec<IpAddr>,
    ) -> Vec<String> {
        let mut wrong = Vec::new();
        for (frontend, wanted) in frontends {
            // If several Services have a claim, any of them may serve.
            let [wanted] = wanted.as_slice() else { continue };
            let backends = reachable(wanted);
            for (port, addresses) in &self.clients(frontend, snapshot) {
                let of_family = addresses.iter().find(|one| Family::of(**one) == frontend.family);
                let Some(address) = of_family else { continue };
                if let Err(text) = self.connect(*port, *address, frontend, (wanted, &backends), snapshot) {
                    wrong.push(format!("{frontend} from {address} of {port}: {text}"));
                }
            }
        }
        wrong
    }

    /// Opens one connection, and sends the reply.
    fn connect(
        &mut self,
        port: PortId,
        address: IpAddr,
        frontend: &Frontend,
        (wanted, backends): (&Wanted, &[IpAddr]),
        snapshot: &Snapshot,
    ) -> Result<(), String> {
        self.last_port = self.last_port.checked_add(1).unwrap_or(FIRST_PORT);
        let from = SocketAddr::new(address, self.last_port);
        let to = SocketAddr::new(frontend.address.unwrap_or_else(|| own_address(frontend)), frontend.port);
        let (first, answer) = switch::kinds(frontend.protocol);
        let (verdict, trace) = self.switch.process_with_trace(port, &build(first, from, to), Instant(0));
        if backends.is_empty() {
            // A load balancer of another program may stay.
            return if switch::reaches_pod(&verdict) && snapshot.on(*frontend).next().is_none() {
                Err(format!("reaches a pod without a backend: {verdict:?}"))
            } else {
                Ok(())
            };
        }
        let delivery = match verdict {
            Verdict::Deliver(delivery) => delivery,
            // Endpoints of the emulator's pods have no loopback policy.
            Verdict::Drop(DropReason::Hairpin) if wanted.flags & DSR != 0 && backends.contains(&address) => {
                return Ok(());
            }
            // In an overlay network, a backend that no other node has is sent to this node. The model does not cover that.
            Verdict::Drop(DropReason::NotLocal) if wanted.source_vip == Some(own_address(frontend)) => return Ok(()),
            // The source VIP of overlay networks is an IPv4 address.
            Verdict::Drop(DropReason::NoSourceVip) if frontend.family == Family::V6 => return Ok(()),
            verdict => return Err(format!("{verdict:?}\n{trace}")),
        };
        let sent = tuple(&delivery.packet);
        let backend = self.backend(wanted, &delivery, sent, snapshot)?;
        if !backends.contains(&backend) {
            return Err(format!("reaches {backend} instead of {backends:?}"));
        }
        switch::check_reply(&mut self.switch, &delivery, answer, port, from, to)?;
        let kind = if first == PacketKind::Syn { PacketKind::Ack } else { first };
        let sent = self.send(port, kind, from, to);
        let (frontend, wanted) = (*frontend, wanted.clone());
        self.held.push(Held { frontend, wanted, backend, port, kind, from, to, sent, is_interrupted: false });
        Ok(())
    }

    /// The ports of clients of a frontend, with their addresses. Of the pods, only those in the network of its load balancer are clients.
    fn clients(&self, frontend: &Frontend, snapshot: &Snapshot) -> Vec<(PortId, Vec<IpAddr>)> {
        let outside = OUTSIDE.iter().map(|address| address.parse().unwrap()).collect();
        let mut clients = vec![(PortId::Host, own_host().node_ips), (PortId::Uplink, outside)];
        let backends: Vec<Guid> =
            snapshot.on(*frontend).flat_map(|(_, one)| one.endpoint_ids().collect::<Vec<_>>()).collect();
        let network = backends.iter().find_map(|id| snapshot.endpoints.get(id)?.host_compute_network);
        let is_pod = |one: &&Endpoint| {
            let is_of_host =
                one.name == self.root_endpoint_name || one.addresses().any(|own| Some(own) == self.source_vip);
            !one.is_remote() && !is_of_host && one.host_compute_network == network
        };
        let pods = snapshot.endpoints.iter().filter(|(_, one)| is_pod(one));
        clients.extend(pods.map(|(id, one)| (PortId::Endpoint(*id), one.addresses().collect())));
        clients
    }

    /// The address of the backend that a delivered packet reaches.
    fn backend(
        &self,
        wanted: &Wanted,
        delivery: &Delivery,
        sent: Tuple,
        snapshot: &Snapshot,
    ) -> Result<IpAddr, String> {
        let address = sent.destination.ip();
        if wanted.mapping_flags & PRESERVE_DIP == 0 {
            let is_right = sent.destination.port() == wanted.internal_port;
            return if is_right { Ok(address) } else { Err(format!("reaches {}", sent.destination)) };
        }
        let endpoint = match delivery.port {
            PortId::Endpoint(id) => snapshot.endpoints.get(&id),
            PortId::Host => {
                snapshot.endpoints.values().find(|one| !one.is_remote() && one.name == self.root_endpoint_name)
            }
            _ => None,
        };
        let of_family = |one: &IpAddr| one.is_ipv4() == address.is_ipv4();
        let found = endpoint.and_then(|endpoint| endpoint.addresses().find(of_family));
        found.ok_or_else(|| format!("leaves through {}", delivery.port))
    }

    fn send(&mut self, port: PortId, kind: PacketKind, from: SocketAddr, to: SocketAddr) -> Verdict {
        self.switch.process(port, &build(kind, from, to), Instant(0))
    }
}

fn own_address(frontend: &Frontend) -> IpAddr {
    own_host().node_ip(frontend.family).unwrap()
}
