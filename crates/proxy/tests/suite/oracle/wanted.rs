//! What each frontend of a cluster is served by, computed without the code under test: frontends, their owners, backends, ports and
//! flags. It does not depend on the objects in HNS.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use hcn::{ApiVersion, Features, Version};
use proxy::model::{Family, Protocol, ServiceName};
use proxy::{Frontend, Settings};

use super::cluster::{SmallCluster, SmallService, TARGET_PORTS, address, target_port};
use super::networks::Networks;
use crate::reference::{Answer, Endpoint, Question, answer};

/// Everything besides the cluster that decides.
#[derive(Debug, Clone)]
pub(super) struct Facts {
    pub(super) settings: Settings,
    pub(super) version: Version,
    pub(super) api: ApiVersion,
    pub(super) networks: Networks,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Backend {
    Address {
        address: IpAddr,
        local: bool,
    },
    /// The host's own endpoint.
    Root,
}

/// A load balancer that a Service wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Wanted {
    pub(super) service: ServiceName,
    created: i64,
    pub(super) backends: Vec<Backend>,
    pub(super) internal_port: u16,
    pub(super) flags: u32,
    pub(super) mapping_flags: u32,
    /// 0 by connection, 1 by source address.
    pub(super) distribution: u32,
    /// In overlay networks only.
    pub(super) source_vip: Option<IpAddr>,
    is_check: bool,
}

impl Wanted {
    /// Whether two are of one Service, and differ at most in their backends.
    pub(super) fn differs_at_most_in_backends(&self, other: &Self) -> bool {
        Self { backends: other.backends.clone(), ..self.clone() } == *other
    }
}

/// The load balancers of all frontends. If Services of one age claim a frontend, any of them may have it.
pub(super) type Frontends = BTreeMap<Frontend, Vec<Wanted>>;

pub(super) const DSR: u32 = 1;
const IPV6: u32 = 2;
const LOCAL_ROUTED_VIP: u32 = 2;
const USE_MUX: u32 = 4;
pub(super) const PRESERVE_DIP: u32 = 8;
const VIP_EXTERNAL_IP: u32 = 16;

impl Facts {
    pub(super) fn has_dsr(&self) -> bool {
        Features::of(self.version).dsr
    }

    fn flags_mask(&self) -> u32 {
        if self.api == ApiVersion::V1 { DSR } else { DSR | IPV6 }
    }

    fn mapping_mask(&self) -> u32 {
        if self.api == ApiVersion::V1 { 1 } else { 31 }
    }

    fn has_affinity(&self) -> bool {
        self.api == ApiVersion::V2 && Features::of(self.version).session_affinity
    }

    /// Whether Services of a family are programmed. The node is an IPv4 node.
    pub(super) fn has_family(&self, family: Family) -> bool {
        let v6 = self.api == ApiVersion::V2 && Features::of(self.version).ipv6_dual_stack;
        family == Family::V4 || v6 && self.networks.any_supports(Family::V6)
    }
}

pub(super) fn frontends(cluster: &SmallCluster, facts: &Facts) -> Frontends {
    let mut claims: BTreeMap<Frontend, Vec<Wanted>> = BTreeMap::new();
    for (index, small) in cluster.services.iter().enumerate().filter(|(_, small)| small.there) {
        let mut own: BTreeMap<Frontend, Wanted> = BTreeMap::new();
        for (frontend, wanted) in of_service(cluster, index, small, facts) {
            // Ports share the health check of an address: one that serves is enough.
            let first = own.entry(frontend).or_insert_with(|| wanted.clone());
            if first.backends.is_empty() {
                *first = wanted;
            }
        }
        own.into_iter().for_each(|(frontend, wanted)| claims.entry(frontend).or_default().push(wanted));
    }
    for wanted in claims.values_mut() {
        let oldest = wanted.iter().map(|one| one.created).min().unwrap();
        let serving_checks: Vec<Wanted> =
            wanted.iter().filter(|one| one.is_check && !one.backends.is_empty()).cloned().collect();
        let owners = wanted.iter().filter(|one| one.created == oldest);
        // A health check is about the node: any Service with a backend here may answer it.
        if owners.clone().any(|one| one.is_check && one.backends.is_empty()) && !serving_checks.is_empty() {
            *wanted = serving_checks;
        } else {
            wanted.retain(|one| one.created == oldest);
        }
    }
    claims
}

fn of_service(cluster: &SmallCluster, index: usize, small: &SmallService, facts: &Facts) -> Vec<(Frontend, Wanted)> {
    let mut all = Vec::new();
    for family in Family::ALL {
        if family == Family::V6 && !small.dual || !facts.has_family(family) {
            continue;
        }
        for port in small.ports(index) {
            let port = Port { cluster, index, small, facts, family, name: port.name.to_string(), number: port.port };
            all.extend(
                port.frontends(small.ports(index).iter().find(|p| *p.name == port.name).and_then(|p| p.node_port)),
            );
        }
    }
    all
}

/// One port of a Service in one family.
struct Port<'a> {
    cluster: &'a SmallCluster,
    index: usize,
    small: &'a SmallService,
    facts: &'a Facts,
    family: Family,
    name: String,
    number: u16,
}

impl Port<'_> {
    fn protocol(&self) -> Protocol {
        if self.small.udp { Protocol::UDP } else { Protocol::TCP }
    }

    fn answer(&self) -> Answer {
        let dsr = self.facts.has_dsr();
        let question = Question {
            internal_local: self.small.internal_local,
            external_local: self.small.external_local && dsr,
            preserve_destination: self.small.preserve && dsr,
            zone: self.cluster.zone,
        };
        let reachable = self.small.backends.iter().filter(|(pod, _)| address(**pod, self.family).is_some());
        let endpoints: Vec<Endpoint> = reachable
            .map(|(pod, one)| Endpoint {
                id: *pod,
                ready: one.state == 0,
                serving: one.state == 0 || one.state == 2,
                terminating: one.state >= 2,
                local: self.cluster.is_local(*pod),
                zones: match one.hint {
                    1 => vec!["a"],
                    2 => vec!["b"],
                    _ => vec![],
                },
                nodes: if one.hint == 3 { vec!["here"] } else { vec![] },
            })
            .collect();
        answer(&endpoints, question)
    }

    fn frontends(&self, node_port: Option<u16>) -> Vec<(Frontend, Wanted)> {
        let (small, facts, answer) = (self.small, self.facts, self.answer());
        let dsr = facts.has_dsr();
        let (external_local, preserve) = (small.external_local && dsr, small.preserve && dsr);
        let preserved = if preserve { USE_MUX | PRESERVE_DIP } else { 0 };
        let reachable = if small.internal_local && external_local { &answer.external_ip } else { &self.cluster_wide() };
        let source_vip = self.source_vip(reachable);
        let flag = |dsr: bool| u32::from(dsr) * DSR;
        let mut all = Vec::new();
        let mut add = |address, port, ids: &BTreeSet<u8>, flags, mapping_flags| {
            all.push((self.frontend(address, port), self.wanted(ids, flags, mapping_flags, source_vip)));
        };
        let cluster_ip = SmallService::cluster_ip(self.index, self.family);
        add(Some(cluster_ip), self.number, &answer.cluster_ip, flag(facts.settings.enable_dsr && dsr), 0);
        if let Some(node_port) = node_port {
            add(None, node_port, &answer.node_port, flag(external_local), LOCAL_ROUTED_VIP | VIP_EXTERNAL_IP);
        }
        let of_family = |ips: Vec<IpAddr>| ips.into_iter().filter(|ip| Family::of(*ip) == self.family);
        for address in of_family(small.external_ips()).filter(|_| facts.settings.external_ips) {
            add(Some(address), self.number, &answer.external_ip, flag(external_local), VIP_EXTERNAL_IP);
        }
        for address in of_family(small.ingress_ips()) {
            let flags = flag(external_local || preserve);
            add(Some(address), self.number, &answer.ingress_ip, flags, VIP_EXTERNAL_IP | preserved);
        }
        let port = small.check_port(self.index).or(facts.settings.healthz_port);
        for address in of_family(small.ingress_ips()).filter(|_| facts.settings.forward_health_check_vip) {
            let Some(port) = port else { continue };
            let base = self.wanted(&BTreeSet::new(), 0, preserved, source_vip);
            let backends = if answer.health { vec![Backend::Root] } else { vec![] };
            let check = Wanted { backends, internal_port: port, distribution: 0, is_check: true, ..base };
            all.push((self.frontend(Some(address), port), check));
        }
        all
    }

    /// The backends for traffic that may go to any node.
    fn cluster_wide(&self) -> BTreeSet<u8> {
        let small = SmallService { internal_local: false, ..self.small.clone() };
        Port { small: &small, name: self.name.clone(), ..*self }.answer().cluster_ip
    }

    /// The source address of translated traffic: the node's, if a remote backend is a node or outside the cluster.
    fn source_vip(&self, reachable: &BTreeSet<u8>) -> Option<IpAddr> {
        let (overlay, network) = self.facts.networks.overlay()?;
        let outside = reachable.iter().filter(|pod| !self.cluster.is_local(**pod)).any(|pod| {
            let Some(address) = address(*pod, self.family) else { return false };
            let provider = network.provider(address);
            self.facts.networks.of_address(address) == overlay && provider.is_none_or(|provider| provider == address)
        });
        let node: IpAddr = if self.family == Family::V4 { "192.168.77.1" } else { "fd00:77::1" }.parse().unwrap();
        if outside { Some(node) } else { self.facts.settings.source_vip_address() }
    }

    fn frontend(&self, address: Option<IpAddr>, port: u16) -> Frontend {
        Frontend { family: self.family, address, protocol: self.protocol(), port }
    }

    fn wanted(&self, ids: &BTreeSet<u8>, flags: u32, mapping_flags: u32, source_vip: Option<IpAddr>) -> Wanted {
        let other = |pod: &u8| self.small.backends.get(pod).is_some_and(|one| one.other_port);
        let others = ids.iter().filter(|pod| other(pod)).count();
        // One port for all: the most common one, and of two the higher.
        let other_port = others > 0 && others * 2 >= ids.len();
        let chosen = ids.iter().filter(|pod| other(pod) == other_port);
        let backends = chosen.filter_map(|pod| {
            Some(Backend::Address { address: address(*pod, self.family)?, local: self.cluster.is_local(*pod) })
        });
        let v6 = if self.family == Family::V6 { IPV6 } else { 0 };
        debug_assert!(TARGET_PORTS.is_sorted());
        Wanted {
            service: SmallService::name(self.index),
            created: self.small.created,
            backends: backends.collect(),
            internal_port: target_port(&self.name, other_port),
            flags: (flags | v6) & self.facts.flags_mask(),
            mapping_flags: mapping_flags & self.facts.mapping_mask(),
            distribution: u32::from(self.small.affinity && self.facts.has_affinity()),
            source_vip,
            is_check: false,
        }
    }
}

/// The answers to the health checks of Services: the ready addresses on this node, for each family.
pub(super) fn local_counts(cluster: &SmallCluster) -> BTreeMap<ServiceName, BTreeMap<Family, usize>> {
    let services =
        cluster.services.iter().enumerate().filter(|(index, small)| small.there && small.check_port(*index).is_some());
    let count = |small: &SmallService, family| {
        let ready = small.backends.iter().filter(|(_, one)| one.state == 0);
        ready.filter(|(pod, _)| cluster.is_local(**pod) && address(**pod, family).is_some()).count()
    };
    let families = |small: &SmallService| {
        let families = Family::ALL.into_iter().filter(|family| *family == Family::V4 || small.dual);
        families.map(|family| (family, count(small, family))).collect()
    };
    services.map(|(index, small)| (SmallService::name(index), families(small))).collect()
}
