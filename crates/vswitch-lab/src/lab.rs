//! Plays a setup: the history of HNS, the hosts and the traffic, event by event.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use vswitch::{Assumptions, Change, Instant, InvalidChange};

use crate::client::{Client, Outcome, Purpose};
use crate::connection::{Connection, Key, Program};
use crate::history::{self, instant};
use crate::hosts::Hosts;
use crate::network::{Arrival, Distance, Network};
use crate::packet::{self, Header};
use crate::schedule::Schedule;
use crate::setup::Setup;
use crate::stack::{CONNECTION_TIMEOUT, Stack};
use crate::tally::Tally;

/// The way to a host on the node, and to another computer, in microseconds.
const NEAR: u64 = 50;
const FAR: u64 = 300;
/// Held connections are opened during this time, in microseconds.
const OPENING: u64 = 1_000_000;
/// The first port of clients.
const FIRST_PORT: u16 = 49152;
/// A stack that says that it has to be polled again at once has nothing that it can do yet.
const MIN_WAIT: u64 = 1000;

/// Why a setup cannot be played.
#[derive(Debug, thiserror::Error)]
pub enum LabError {
    #[error(transparent)]
    Change(#[from] InvalidChange),
    #[error("unknown client {0}: no host has this address")]
    UnknownClient(IpAddr),
    #[error("invalid traffic: it has no client or no frontend")]
    NoTraffic,
}

/// Plays a setup once.
///
/// # Errors
/// If the history has an invalid document, or the traffic does not fit the hosts.
pub fn run(setup: &Setup, assumptions: Assumptions, seed: u64) -> Result<Tally, LabError> {
    if setup.traffic.clients.is_empty() || setup.traffic.frontends.is_empty() {
        return Err(LabError::NoTraffic);
    }
    let network = Network::new(setup.node.clone(), assumptions, &setup.hosts);
    if let Some(unknown) = setup.traffic.clients.iter().find(|client| network.hosts.get(**client).is_none()) {
        return Err(LabError::UnknownClient(*unknown));
    }
    let changes = history::read(&setup.changes)?;
    let mut lab = Lab {
        setup,
        network,
        rng: fastrand::Rng::with_seed(seed),
        now: Instant::default(),
        schedule: Schedule::new(),
        connections: BTreeMap::new(),
        ports: BTreeMap::new(),
        tally: Tally::default(),
    };
    lab.plan(changes);
    lab.play();
    Ok(lab.finish())
}

#[derive(Debug)]
enum Event {
    Change(Box<Change>),
    /// The server of a host ends.
    ServerEnds(IpAddr),
    OpenHeld,
    /// Opens a new connection, and plans the next one.
    OpenNew,
    /// A packet arrives at a host.
    Arrive(IpAddr, Vec<u8>),
    /// A timer of a stack.
    Wake(Key),
    /// A client sends its next message.
    Tick(Key),
}

struct Lab<'a> {
    setup: &'a Setup,
    network: Network,
    rng: fastrand::Rng,
    now: Instant,
    schedule: Schedule<Event>,
    connections: BTreeMap<Key, Connection>,
    /// The last port of each client.
    ports: BTreeMap<IpAddr, u16>,
    tally: Tally,
}

impl Lab<'_> {
    fn plan(&mut self, changes: Vec<(Instant, Change)>) {
        for (at, change) in changes {
            self.schedule.add(at, Event::Change(Box::new(change)));
        }
        for host in &self.setup.hosts {
            if let Some(end) = host.serves_until {
                self.schedule.add(instant(end), Event::ServerEnds(host.address));
            }
        }
        let traffic = &self.setup.traffic;
        let begin = instant(traffic.begin);
        for _ in 0..traffic.held {
            self.schedule.add(begin + self.rng.u64(0..OPENING), Event::OpenHeld);
        }
        if traffic.new_per_second > 0 {
            let first = begin + self.gap();
            self.schedule.add(first, Event::OpenNew);
        }
    }

    /// The time to the next new connection, in microseconds.
    fn gap(&mut self) -> u64 {
        let mean = 1_000_000 / u64::from(self.setup.traffic.new_per_second.max(1));
        self.rng.u64(0..=2 * mean)
    }

    fn play(&mut self) {
        let end = instant(self.setup.traffic.end);
        // What was opened last has time to fail.
        let horizon = end + (CONNECTION_TIMEOUT + OPENING);
        while let Some((at, event)) = self.schedule.take() {
            if at > horizon {
                break;
            }
            self.now = at;
            match event {
                Event::Change(change) => self.network.apply(*change),
                Event::ServerEnds(address) => self.end_server(address),
                Event::OpenHeld => self.open(Purpose::Held),
                Event::OpenNew if at >= end => {}
                Event::OpenNew => {
                    self.open(Purpose::New);
                    let next = self.now + self.gap();
                    self.schedule.add(next, Event::OpenNew);
                }
                Event::Arrive(host, packet) => self.arrive(host, packet),
                Event::Wake(key) => {
                    if self.connections.get(&key).is_some_and(|connection| connection.wakes_at == Some(at)) {
                        self.poll(key);
                    }
                }
                Event::Tick(key) => self.tick(key),
            }
        }
    }

    /// Counts what is still open, and returns all counts.
    fn finish(mut self) -> Tally {
        for (_, mut connection) in std::mem::take(&mut self.connections) {
            if let Program::Client(client) = &mut connection.program {
                let outcome = client.finish(&connection.stack);
                let backend = client.backend;
                outcome.into_iter().for_each(|outcome| self.count(outcome, backend));
            }
        }
        self.tally.packets = self.network.packets;
        self.tally
    }

    fn open(&mut self, purpose: Purpose) {
        let traffic = &self.setup.traffic;
        let held_only_tcp = |one: &&crate::Frontend| purpose == Purpose::New || one.transport == crate::Transport::Tcp;
        let frontends: Vec<_> = traffic.frontends.iter().filter(held_only_tcp).collect();
        let (Some(host), Some(frontend)) = (self.rng.choice(&traffic.clients), self.rng.choice(frontends)) else {
            return;
        };
        let (host, remote, transport) = (*host, frontend.address, frontend.transport);
        let port = self.ports.entry(host).or_insert(FIRST_PORT);
        let key = loop {
            *port = port.checked_add(1).unwrap_or(FIRST_PORT);
            let key = Key { host, transport, local: SocketAddr::new(host, *port), remote };
            if !self.connections.contains_key(&key) {
                break key;
            }
        };
        let stack = Stack::client(transport, key.local, remote, self.rng.u64(..), self.now);
        let client = Client::new(purpose, self.now);
        self.connections.insert(key, Connection::new(stack, Program::Client(client)));
        self.tick(key);
    }

    fn tick(&mut self, key: Key) {
        let Some(Connection { stack, program: Program::Client(client), .. }) = self.connections.get_mut(&key) else {
            return;
        };
        let (continues, outcome) = client.tick(stack);
        let backend = client.backend;
        if continues {
            let next = self.now + client.interval(&mut self.rng);
            self.schedule.add(next, Event::Tick(key));
        }
        outcome.into_iter().for_each(|outcome| self.count(outcome, backend));
        self.poll(key);
    }

    fn end_server(&mut self, address: IpAddr) {
        let of_host = |(key, connection): &(&Key, &Connection)| {
            key.host == address && matches!(connection.program, Program::Server { .. })
        };
        let keys: Vec<Key> = self.connections.iter().filter(of_host).map(|(key, _)| *key).collect();
        for key in keys {
            if let Some(connection) = self.connections.get_mut(&key) {
                connection.stack.close();
            }
            self.poll(key);
        }
    }

    fn poll(&mut self, key: Key) {
        let Some(connection) = self.connections.get_mut(&key) else { return };
        let (packets, outcome) = connection.poll(key.host, self.now);
        let backend = match &connection.program {
            Program::Client(client) => client.backend,
            Program::Server { .. } => None,
        };
        let is_server = matches!(connection.program, Program::Server { .. });
        // A server keeps nothing of a query that it has answered.
        let is_answered = connection.stack.is_datagram() && (is_server || outcome.is_some());
        if connection.stack.has_ended() || is_answered {
            self.connections.remove(&key);
        } else {
            let wakes_at = connection.stack.wakes_at(self.now).map(|at| at.max(self.now + MIN_WAIT));
            if wakes_at != connection.wakes_at {
                connection.wakes_at = wakes_at;
                wakes_at.into_iter().for_each(|at| self.schedule.add(at, Event::Wake(key)));
            }
        }
        outcome.into_iter().for_each(|outcome| self.count(outcome, backend));
        packets.into_iter().for_each(|packet| self.send(key.host, packet));
    }

    fn count(&mut self, outcome: Outcome, backend: Option<IpAddr>) {
        let Tally { new, held, .. } = &mut self.tally;
        let counter = match (outcome, backend) {
            (Outcome::Ok, _) => &mut new.ok,
            (Outcome::Slow, _) => &mut new.slow,
            (Outcome::Failed, _) => &mut new.failed,
            (Outcome::Kept, _) => &mut held.kept,
            (Outcome::Broken, None) => &mut held.unopened,
            (Outcome::Broken, Some(backend)) if self.network.hosts.is_ready(backend, self.now) => &mut held.broken,
            (Outcome::Broken, Some(_)) => &mut held.ended,
        };
        *counter += 1;
    }

    fn send(&mut self, from: IpAddr, packet: Vec<u8>) {
        if let Some(Arrival { host, distance, packet }) = self.network.send(from, packet, self.now) {
            let time = if distance == Distance::Near { NEAR } else { FAR };
            self.schedule.add(self.now + time, Event::Arrive(host, packet));
        }
    }

    fn arrive(&mut self, address: IpAddr, packet: Vec<u8>) {
        let Some(header) = packet::read(&packet) else { return };
        let Header { transport, source: remote, destination: local, opens } = header;
        let key = Key { host: address, transport, local, remote };
        if !self.connections.contains_key(&key) {
            let seed = self.rng.u64(..);
            let Some(host) = self.network.hosts.get(address) else { return };
            let listens = host.ports.contains(&local.port()) && !Hosts::has_ended(host, self.now);
            if !(opens && listens) {
                let mut stack = Stack::without_socket(local, remote, seed, self.now);
                stack.receive(packet);
                stack.poll(self.now).into_iter().for_each(|answer| self.send(address, answer));
                return;
            }
            let stack = Stack::server(transport, local, remote, seed, self.now);
            let server = Program::Server { has_greeted: false };
            self.connections.insert(key, Connection::new(stack, server));
        }
        if let Some(connection) = self.connections.get_mut(&key) {
            connection.stack.receive(packet);
        }
        self.poll(key);
    }
}
