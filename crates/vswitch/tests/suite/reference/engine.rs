//! The reference engine: it keeps lists, searches them from the beginning, and decides about each packet anew.

use std::net::{IpAddr, SocketAddr};

use vswitch::assumptions::*;
use vswitch::{Assumptions, Instant, PortId, Tuple};

use super::model::{Endpoint, LoadBalancer};

/// What happens to a packet.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Outcome {
    /// Port, addresses and provider address.
    Leaves(PortId, Tuple, Option<IpAddr>),
    Reset,
    Lost,
}

/// Where a request goes.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Decided {
    pub(super) to: PortId,
    pub(super) sent: Tuple,
    /// The number, the creation, the modification and the backend of a load balancer.
    pub(super) balanced: Option<(u128, usize, usize, IpAddr)>,
    pub(super) provider: Option<IpAddr>,
}

/// What one frontend of a load balancer decides.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Rule {
    pub(super) number: u128,
    pub(super) protocol: u32,
    pub(super) vip: Option<IpAddr>,
    pub(super) is_ipv6: bool,
    pub(super) is_dsr: bool,
    pub(super) flags: u32,
    pub(super) distribution: u32,
    pub(super) source_vip: Option<IpAddr>,
    pub(super) backends: Vec<(u128, IpAddr)>,
}

#[derive(Debug, Clone)]
pub(super) struct Installed {
    pub(super) rule: Rule,
    pub(super) created: usize,
    pub(super) modified: usize,
}

#[derive(Debug, Clone)]
pub(super) struct Programmed {
    pub(super) load_balancer: LoadBalancer,
    pub(super) created: usize,
    /// The addresses that its endpoints have or had.
    pub(super) known: Vec<(u128, Vec<IpAddr>)>,
}

#[derive(Debug, Clone)]
pub(super) struct Flow {
    pub(super) from: PortId,
    pub(super) request: Tuple,
    pub(super) to: PortId,
    pub(super) reply: Tuple,
    pub(super) balanced: Option<(u128, usize, usize, IpAddr)>,
    pub(super) finished: [bool; 2],
    pub(super) is_reset: bool,
    pub(super) last: Instant,
    /// Whether the port of the request, or that of the reply, was removed. A port that is created again is another port.
    pub(super) is_gone: [bool; 2],
}

#[derive(Debug, Clone)]
pub(crate) enum Change {
    Endpoint(u128, Option<Endpoint>),
    LoadBalancer(u128, Option<LoadBalancer>),
    Stop,
    Start,
}

/// What a packet is, beyond its addresses.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Flags {
    pub(crate) opens: bool,
    pub(crate) fin: bool,
    pub(crate) rst: bool,
}

pub(crate) struct Reference {
    pub(super) assumptions: Assumptions,
    pub(super) node: Vec<IpAddr>,
    pub(super) is_overlay: bool,
    pub(super) endpoints: Vec<Endpoint>,
    pub(super) programmed: Vec<Programmed>,
    pub(super) installed: Vec<Installed>,
    pub(super) frontends_ever: Vec<(u32, Option<IpAddr>, bool)>,
    pub(super) is_stopped: bool,
    pub(super) postponed: Vec<Change>,
    pub(super) flows: Vec<Flow>,
    pub(super) changes: usize,
}

const TCP: u32 = 6;

/// The port of a translated source that no packet has shown yet.
pub(super) const UNKNOWN: u16 = 0;

impl Reference {
    pub(crate) fn new(assumptions: Assumptions, node: Vec<IpAddr>, is_overlay: bool) -> Self {
        Self {
            assumptions,
            node,
            is_overlay,
            endpoints: Vec::new(),
            programmed: Vec::new(),
            installed: Vec::new(),
            frontends_ever: Vec::new(),
            is_stopped: false,
            postponed: Vec::new(),
            flows: Vec::new(),
            changes: 0,
        }
    }

    pub(crate) fn change(&mut self, change: Change) {
        self.changes += 1;
        match change {
            Change::Stop => self.is_stopped = true,
            Change::Start => {
                let was_stopped = std::mem::take(&mut self.is_stopped);
                for change in std::mem::take(&mut self.postponed) {
                    self.change(change);
                }
                if was_stopped && self.assumptions.service_down == ServiceDown::RulesLost {
                    for programmed in &mut self.programmed {
                        self.changes += 1;
                        programmed.created = self.changes;
                    }
                    self.install();
                }
            }
            change if self.is_stopped => self.postponed.push(change),
            Change::Endpoint(number, endpoint) => {
                if endpoint.is_none() {
                    let port = PortId::Endpoint(crate::world::id(number));
                    for flow in &mut self.flows {
                        flow.is_gone[0] |= flow.from == port;
                        flow.is_gone[1] |= flow.to == port;
                    }
                }
                self.endpoints.retain(|old| old.number != number);
                self.endpoints.extend(endpoint);
                self.install();
            }
            Change::LoadBalancer(number, load_balancer) => {
                let old = self.programmed.iter().position(|old| old.load_balancer.number == number);
                match (old, load_balancer) {
                    (Some(old), Some(load_balancer)) => {
                        self.programmed[old].load_balancer = load_balancer;
                        self.programmed[old].known.clear();
                    }
                    (None, Some(load_balancer)) => {
                        self.programmed.push(Programmed { load_balancer, created: self.changes, known: Vec::new() });
                    }
                    (Some(old), None) => {
                        self.programmed.remove(old);
                    }
                    (None, None) => {}
                }
                self.install();
            }
        }
    }

    /// Makes the list of rules, and notes which ones differ from before.
    fn install(&mut self) {
        let old = std::mem::take(&mut self.installed);
        for programmed in &mut self.programmed {
            let balancer = &programmed.load_balancer;
            let mut known = Vec::new();
            for number in &balancer.backends {
                let present = self.endpoints.iter().find(|endpoint| endpoint.number == *number);
                let before = programmed.known.iter().find(|(known, _)| known == number);
                match (present, before) {
                    (Some(endpoint), _) => known.push((*number, endpoint.addresses.clone())),
                    (None, Some(before)) if self.assumptions.removed_endpoint == RemovedEndpoint::KeepsShare => {
                        known.push(before.clone());
                    }
                    _ => {}
                }
            }
            programmed.known = known;
            let vips: Vec<Option<IpAddr>> = match balancer.vips.as_slice() {
                [] => vec![None],
                vips => vips.iter().copied().map(Some).collect(),
            };
            for vip in vips {
                let is_ipv6 = vip.map_or(balancer.is_ipv6, |vip| vip.is_ipv6());
                let of_family =
                    |addresses: &Vec<IpAddr>| addresses.iter().copied().find(|address| address.is_ipv6() == is_ipv6);
                let known = programmed.known.iter();
                let mut backends: Vec<(u128, IpAddr)> =
                    known.filter_map(|(number, addresses)| Some((*number, of_family(addresses)?))).collect();
                if self.assumptions.order == BackendOrder::Sorted {
                    backends.sort_by_key(|(_, address)| *address);
                }
                let rule = Rule {
                    number: balancer.number,
                    protocol: balancer.protocol,
                    vip,
                    is_ipv6,
                    is_dsr: balancer.is_dsr,
                    flags: balancer.mapping_flags & (1 | 8 | 16),
                    distribution: balancer.distribution,
                    source_vip: balancer.source_vip,
                    backends,
                };
                let before = old.iter().find(|old| old.rule == rule);
                let modified = before.map_or(self.changes, |before| before.modified);
                self.frontends_ever.push((balancer.protocol, vip, is_ipv6));
                self.installed.push(Installed { rule, created: programmed.created, modified });
            }
        }
    }

    pub(crate) fn packet(&mut self, port: PortId, tuple: Tuple, flags: Flags, now: Instant, seen: &Outcome) -> Outcome {
        if !self.has_port(port) {
            return Outcome::Lost;
        }
        self.flows.retain(|flow| {
            let limit = if flow.is_reset || flow.finished == [true, true] { 2_000_000 } else { 240_000_000 };
            now.0 - flow.last.0 <= limit
        });
        self.learn_source_port(port, tuple, seen);
        let found = self.flows.iter().position(|flow| uses(flow, port, tuple));
        let Some(position) = found else { return self.first(port, tuple, flags, now, seen) };
        let flow = self.flows.remove(position);
        if flags.opens {
            return self.first(port, tuple, flags, now, seen);
        }
        let is_reply = !requests(&flow, port, tuple);
        if flow.is_gone[0] {
            return Outcome::Lost;
        }
        let decided = self.decide(flow.from, flow.request, Some(&flow), is_reply, seen);
        let Ok(Decided { to, sent, balanced, provider }) = decided else {
            let reset = !is_reply && !flags.rst && tuple.protocol.0 == TCP && decided == Err(true);
            let is_reset = reset && self.assumptions.gap == Gap::Reset;
            self.flows.push(flow);
            return if is_reset { Outcome::Reset } else { Outcome::Lost };
        };
        let is_gone = [false, !self.has_port(to)];
        let mut flow = Flow { to, reply: sent.reversed(), balanced, is_gone, ..flow };
        let conflict = self.flows.iter().position(|other| uses(other, to, flow.reply));
        if let Some(position) = conflict {
            if self.assumptions.reply_conflict == ReplyConflict::OldestWins {
                return Outcome::Lost;
            }
            self.flows.remove(position);
        }
        if !uses(&flow, port, tuple) {
            // The reply of a former backend.
            self.flows.push(flow);
            return self.first(port, tuple, flags, now, seen);
        }
        flow.finished[usize::from(is_reply)] |= flags.fin;
        flow.is_reset |= flags.rst;
        flow.last = now;
        let outcome = match is_reply {
            true => self.reply_leaves(flow.from, flow.request.reversed()),
            false => Outcome::Leaves(to, sent, provider),
        };
        self.flows.push(flow);
        outcome
    }

    /// A reply can be the first packet that shows the translated source of a flow.
    fn learn_source_port(&mut self, port: PortId, tuple: Tuple, seen: &Outcome) {
        let with_port = |flow: &Flow| {
            let destination = SocketAddr::new(flow.reply.destination.ip(), tuple.destination.port());
            Tuple { destination, ..flow.reply }
        };
        let found = self.flows.iter().position(|flow| {
            flow.reply.destination.port() == UNKNOWN
                && same_side(flow.to, port)
                && with_port(flow) == tuple
                && *seen == self.reply_leaves(flow.from, flow.request.reversed())
        });
        if let Some(flow) = found.and_then(|position| self.flows.get_mut(position)) {
            flow.reply = tuple;
        }
    }

    fn first(&mut self, port: PortId, tuple: Tuple, flags: Flags, now: Instant, seen: &Outcome) -> Outcome {
        let Decided { to, sent, balanced, provider } = match self.decide(port, tuple, None, false, seen) {
            Ok(decided) => decided,
            Err(is_gap) => {
                let may_reset = is_gap && tuple.protocol.0 == TCP && !flags.rst;
                return if may_reset && self.assumptions.gap == Gap::Reset { Outcome::Reset } else { Outcome::Lost };
            }
        };
        if balanced.is_none() && sent == tuple && tuple.protocol.0 == TCP && !flags.opens {
            return Outcome::Leaves(to, sent, provider);
        }
        let reply = sent.reversed();
        if let Some(position) = self.flows.iter().position(|other| uses(other, to, reply)) {
            if self.assumptions.reply_conflict == ReplyConflict::OldestWins {
                return Outcome::Lost;
            }
            self.flows.remove(position);
        }
        let (finished, is_reset) = ([flags.fin, false], flags.rst);
        let is_gone = [false, false];
        let last = now;
        self.flows.push(Flow { from: port, request: tuple, to, reply, balanced, finished, is_reset, last, is_gone });
        Outcome::Leaves(to, sent, provider)
    }

    fn reply_leaves(&self, to: PortId, tuple: Tuple) -> Outcome {
        let provider = self.provider(to, tuple.destination.ip());
        // A client without a provider address is not in the overlay network.
        let to = if to == PortId::Tunnel && provider.is_none() { PortId::Uplink } else { to };
        Outcome::Leaves(to, tuple, provider)
    }

    pub(super) fn provider(&self, to: PortId, target: IpAddr) -> Option<IpAddr> {
        let remote = self.endpoints.iter().find(|endpoint| endpoint.is_remote && endpoint.addresses.contains(&target));
        remote.and_then(|endpoint| endpoint.provider_address).filter(|_| to == PortId::Tunnel)
    }

    fn has_port(&self, port: PortId) -> bool {
        match port {
            PortId::Endpoint(_) => self
                .endpoints
                .iter()
                .any(|endpoint| !endpoint.is_remote && !endpoint.is_host && endpoint.port() == port),
            _ => true,
        }
    }
}

/// Whether a flow has a key, as a request or as a reply.
pub(super) fn uses(flow: &Flow, port: PortId, tuple: Tuple) -> bool {
    if tuple.destination.port() == UNKNOWN {
        return false;
    }
    requests(flow, port, tuple) || (!flow.is_gone[1] && same_side(flow.to, port) && flow.reply == tuple)
}

fn requests(flow: &Flow, port: PortId, tuple: Tuple) -> bool {
    !flow.is_gone[0] && same_side(flow.from, port) && flow.request == tuple
}

pub(super) fn same_side(one: PortId, other: PortId) -> bool {
    let is_outside = |port| matches!(port, PortId::Uplink | PortId::Tunnel);
    one == other || (is_outside(one) && is_outside(other))
}
