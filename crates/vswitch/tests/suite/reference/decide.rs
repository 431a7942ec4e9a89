//! How the reference engine decides about a request.

use std::net::{IpAddr, SocketAddr};

use vswitch::assumptions::*;
use vswitch::{PortId, SOURCE_PORTS, Tuple};

use super::engine::{Decided, Flow, Installed, Outcome, Reference, UNKNOWN, same_side, uses};
use super::model::Nat;

impl Reference {
    /// Where a request goes, with which addresses, and by which load balancer. The error says whether a load balancer is missing.
    pub(super) fn decide(
        &self,
        from: PortId,
        tuple: Tuple,
        flow: Option<&Flow>,
        is_reply: bool,
        seen: &Outcome,
    ) -> Result<Decided, bool> {
        let is_outside = matches!(from, PortId::Uplink | PortId::Tunnel);
        let Some(installed) = self.matching(from, &tuple)? else {
            let target = tuple.destination.ip();
            let (to, source) = self.way(from, target, self.is_overlay && matches!(from, PortId::Endpoint(_)))?;
            if is_outside && matches!(to, PortId::Uplink | PortId::Tunnel) {
                return Err(false);
            }
            let sent = self.translated(tuple, tuple.destination, source, to, flow, is_reply, seen)?;
            return Ok(Decided { to, sent, balanced: None, provider: self.provider(to, target) });
        };
        let balancer = &installed.rule;
        let is_overlay = self.is_overlay && !balancer.backends.is_empty();
        let backend = self.backend(installed, &tuple, flow)?;
        let is_from_node = from == PortId::Host;
        let mut source = None;
        if !balancer.is_dsr || (is_from_node && is_overlay) {
            let own = self.node.iter().copied().find(|address| address.is_ipv4() == backend.is_ipv4());
            let vip = balancer.source_vip.filter(|vip| vip.is_ipv4() == backend.is_ipv4());
            source = Some(vip.or(own.filter(|_| !is_overlay)).ok_or(false)?);
        }
        let as_port = if source.is_some() { PortId::Host } else { from };
        let (to, of_pod) = self.way(as_port, backend, is_overlay)?;
        source = source.or(of_pod);
        if source.is_none() && to == from && matches!(from, PortId::Endpoint(_)) {
            let pod = self.endpoints.iter().find(|endpoint| endpoint.port() == from).ok_or(false)?;
            if pod.nat != Some(Nat::Only(backend)) {
                return Err(false);
            }
            source = self.node.iter().copied().find(|address| address.is_ipv4() == backend.is_ipv4());
        }
        let preserves = balancer.flags & 8 != 0;
        let destination = if preserves { tuple.destination } else { SocketAddr::new(backend, 8080) };
        let sent = self.translated(tuple, destination, source, to, flow, is_reply, seen)?;
        let balanced = Some((balancer.number, installed.created, installed.modified, backend));
        Ok(Decided { to, sent, balanced, provider: self.provider(to, backend) })
    }

    fn matching(&self, from: PortId, tuple: &Tuple) -> Result<Option<&Installed>, bool> {
        let (address, is_outside) = (tuple.destination.ip(), matches!(from, PortId::Uplink | PortId::Tunnel));
        let management = self.node.iter().find(|own| own.is_ipv4() == address.is_ipv4());
        let is_node = match self.assumptions.node_port {
            NodePortAddresses::All => self.node.contains(&address),
            NodePortAddresses::Management => management == Some(&address),
        };
        let has = |protocol: u32, vip: Option<IpAddr>, is_ipv6: bool| {
            let of_address = vip.map_or(is_node && is_ipv6 == address.is_ipv6(), |vip| vip == address);
            protocol == tuple.protocol.0 && tuple.destination.port() == 80 && of_address
        };
        let mut any = false;
        for with_vip in [true, false] {
            let of = |installed: &&Installed| {
                let rule = &installed.rule;
                rule.vip.is_some() == with_vip && has(rule.protocol, rule.vip, rule.is_ipv6)
            };
            let ever = self.frontends_ever.iter().filter(|(_, vip, _)| vip.is_some() == with_vip);
            let was_ever = { ever }.any(|(protocol, vip, is_ipv6)| has(*protocol, *vip, *is_ipv6));
            let rules: Vec<&Installed> = self.installed.iter().filter(of).collect();
            let are_lost = self.is_stopped && self.assumptions.service_down == ServiceDown::RulesLost;
            any |= was_ever && (rules.is_empty() || are_lost);
            let applies = |rule: &&&Installed| !(are_lost || is_outside && rule.rule.flags & 1 != 0);
            if let Some(rule) = rules.iter().find(applies) {
                return Ok(Some(rule));
            }
        }
        if any { Err(true) } else { Ok(None) }
    }

    fn backend(&self, installed: &Installed, tuple: &Tuple, flow: Option<&Flow>) -> Result<IpAddr, bool> {
        let Installed { rule, created, modified } = installed;
        let assumptions = &self.assumptions;
        if let Some((number, of_created, of_modified, backend)) = flow.and_then(|flow| flow.balanced) {
            let is_same = number == rule.number && of_created == *created;
            let is_listed = rule.backends.iter().any(|(_, address)| *address == backend);
            let has_flag = rule.flags & 16 != 0;
            let stays = if is_same && of_modified == *modified {
                true
            } else if !is_listed {
                match assumptions.removed_backend {
                    RemovedBackend::Drops => return Err(false),
                    RemovedBackend::Stays => true,
                    RemovedBackend::Rehashed => false,
                }
            } else if has_flag && assumptions.external_flag == ExternalFlag::Keeps {
                true
            } else if is_same {
                assumptions.modification == Modification::Stays
            } else {
                assumptions.recreation == Recreation::Stays
            };
            if stays {
                return Ok(backend);
            }
        }
        let hashed = hash(rule.distribution, tuple);
        let selected = match assumptions.selection {
            Selection::Modulo if rule.backends.is_empty() => None,
            Selection::Modulo => rule.backends.get((mix(hashed) % rule.backends.len() as u64) as usize),
            Selection::Rendezvous => rule
                .backends
                .iter()
                .max_by_key(|(_, backend)| mix(fnv(fnv(hashed, &octets(*backend)), &8080_u16.to_be_bytes()))),
        };
        selected.map(|(_, backend)| *backend).ok_or(false)
    }

    /// The port of an address, and the source that the sender's policy gives. In an overlay network, the address needs a provider address.
    fn way(&self, from: PortId, target: IpAddr, is_overlay: bool) -> Result<(PortId, Option<IpAddr>), bool> {
        let with_address = |is_remote: bool| {
            self.endpoints
                .iter()
                .find(|endpoint| endpoint.is_remote == is_remote && endpoint.addresses.contains(&target))
        };
        if let Some(endpoint) = with_address(false) {
            return Ok((endpoint.port(), None));
        }
        if self.node.contains(&target) {
            return Ok((PortId::Host, None));
        }
        let sender =
            self.endpoints.iter().find(|endpoint| !endpoint.is_remote && !endpoint.is_host && endpoint.port() == from);
        let own = self.node.iter().copied().find(|own| own.is_ipv4() == target.is_ipv4());
        let translates = match sender.and_then(|sender| sender.nat.as_ref()) {
            Some(Nat::Except(prefix)) => !prefix.contains(&target),
            Some(Nat::Only(address)) => *address == target,
            None => false,
        };
        if translates && own.is_some() {
            return Ok((PortId::Uplink, own));
        }
        match with_address(true) {
            Some(endpoint) if self.is_overlay => match endpoint.provider_address {
                Some(provider) if provider != target => Ok((PortId::Tunnel, None)),
                _ => Ok((PortId::Uplink, None)),
            },
            None if is_overlay => Err(false),
            _ => Ok((PortId::Uplink, None)),
        }
    }

    #[allow(clippy::too_many_arguments, reason = "a test")]
    fn translated(
        &self,
        tuple: Tuple,
        destination: SocketAddr,
        source: Option<IpAddr>,
        to: PortId,
        flow: Option<&Flow>,
        is_reply: bool,
        seen: &Outcome,
    ) -> Result<Tuple, bool> {
        let Some(address) = source else { return Ok(Tuple { destination, ..tuple }) };
        let with = |source| Tuple { source, destination, ..tuple };
        let kept = flow.map(|flow| flow.reply.destination).filter(|kept| {
            kept.ip() == address
                && flow.is_some_and(|flow| {
                    !flow.is_gone[1] && flow.reply == with(*kept).reversed() && same_side(flow.to, to)
                })
        });
        match (kept, seen) {
            (Some(kept), _) if is_reply || kept.port() != UNKNOWN => Ok(with(kept)),
            // Which free port the switch takes is its own decision. It becomes visible with the next request.
            (_, Outcome::Leaves(_, sent, _)) if !is_reply => {
                let port = sent.source.port();
                let sent = with(SocketAddr::new(address, port));
                let is_taken = self.flows.iter().any(|other| uses(other, to, sent.reversed()));
                assert!(SOURCE_PORTS.contains(&port) && !is_taken, "source of {sent}");
                Ok(sent)
            }
            _ => Ok(with(SocketAddr::new(address, UNKNOWN))),
        }
    }
}

fn hash(distribution: u32, tuple: &Tuple) -> u64 {
    let mut bytes = Vec::new();
    let Tuple { protocol, source, destination } = tuple;
    match distribution {
        0 => {
            bytes.extend(protocol.0.to_be_bytes());
            bytes.extend(octets(source.ip()));
            bytes.extend(source.port().to_be_bytes());
            bytes.extend(octets(destination.ip()));
            bytes.extend(destination.port().to_be_bytes());
        }
        with_protocol => {
            bytes.extend(octets(source.ip()));
            bytes.extend(octets(destination.ip()));
            if with_protocol == 1 {
                bytes.extend(protocol.0.to_be_bytes());
            }
        }
    }
    fnv(0xcbf2_9ce4_8422_2325, &bytes)
}

fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    }
}

fn fnv(start: u64, bytes: &[u8]) -> u64 {
    bytes.iter().fold(start, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3))
}

fn mix(hash: u64) -> u64 {
    let hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    hash ^ (hash >> 31)
}
