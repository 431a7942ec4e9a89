//! Compares the objects in HNS with what the frontends of the cluster want, computed without the code under test.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;

use hcn::schema::{Endpoint, LoadBalancer};
use hcn::{Guid, Kind};
use hcn_emulator::Emulator;
use proxy::Frontend;
use proxy::model::Family;
use serde_json::Value;

use super::cluster::{SmallCluster, SmallService};
use super::networks::Network;
use super::wanted::{Backend, Facts, Frontends, Wanted};

/// What a difference is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Subject {
    Frontend(Frontend),
    Address(IpAddr),
    Networks,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Difference {
    /// The first is where HNS differs; the others are what may have caused it.
    pub(super) subjects: Vec<Subject>,
    pub(super) text: String,
}

/// The objects in HNS.
#[derive(Debug, Clone, Default)]
pub(super) struct Snapshot {
    pub(super) endpoints: BTreeMap<Guid, Endpoint>,
    pub(super) load_balancers: BTreeMap<Guid, LoadBalancer>,
}

fn read<T: serde::de::DeserializeOwned>(document: Value) -> T {
    serde_json::from_value(document).unwrap()
}

impl Snapshot {
    pub(super) fn of(emulator: &Emulator) -> Self {
        let endpoints = emulator.documents(Kind::Endpoint).into_iter().map(read::<Endpoint>);
        let load_balancers = emulator.documents(Kind::LoadBalancer).into_iter().map(read::<LoadBalancer>);
        Self {
            endpoints: endpoints.map(|one| (one.id.unwrap(), one)).collect(),
            load_balancers: load_balancers.map(|one| (one.id.unwrap(), one)).collect(),
        }
    }

    /// The local endpoint at an address.
    pub(super) fn local_at(&self, address: IpAddr) -> Option<Guid> {
        let is_there = |one: &Endpoint| !one.is_remote() && one.addresses().any(|own| own == address);
        self.endpoints.iter().find(|(_, one)| is_there(one)).map(|(id, _)| *id)
    }

    pub(super) fn on(&self, frontend: Frontend) -> impl Iterator<Item = (Guid, &LoadBalancer)> {
        let is_on = move |one: &LoadBalancer| Frontend::of(one).any(|own| own == frontend);
        self.load_balancers.iter().filter(move |(_, one)| is_on(one)).map(|(id, one)| (*id, one))
    }

    pub(super) fn users(&self, endpoint: Guid) -> impl Iterator<Item = Guid> {
        let uses = move |one: &LoadBalancer| one.endpoint_ids().any(|id| id == endpoint);
        self.load_balancers.iter().filter(move |(_, one)| uses(one)).map(|(id, _)| *id)
    }

    fn root(&self, name: &str) -> Option<Guid> {
        self.endpoints.iter().find(|(_, one)| !one.is_remote() && one.name == name).map(|(id, _)| *id)
    }
}

/// Where a backend is to be found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Endpoint(Guid),
    /// A local endpoint at the address. After a restart of HNS, there may be two.
    Local(IpAddr),
    /// A remote endpoint at the address.
    Remote(IpAddr),
}

/// The comparison of one moment.
pub(super) struct Comparison<'a> {
    pub(super) snapshot: &'a Snapshot,
    pub(super) frontends: &'a Frontends,
    pub(super) cluster: &'a SmallCluster,
    pub(super) facts: &'a Facts,
    /// Objects of other programs.
    pub(super) foreign: &'a BTreeSet<Guid>,
    /// The addresses of all endpoints that ever were.
    pub(super) seen: &'a HashMap<Guid, Vec<IpAddr>>,
}

impl Comparison<'_> {
    pub(super) fn differences(&self) -> Vec<Difference> {
        let mut all = Vec::new();
        let mut used = BTreeSet::new();
        for (frontend, candidates) in self.frontends {
            let texts: Vec<Result<Vec<IpAddr>, String>> =
                candidates.iter().map(|wanted| self.frontend(*frontend, wanted)).collect();
            match texts.iter().find(|text| text.is_ok()).or(texts.first()) {
                Some(Ok(addresses)) => used.extend(addresses),
                Some(Err(text)) => {
                    used.extend(candidates.iter().flat_map(|wanted| wanted.backends.iter()).filter_map(address_of));
                    all.push(self.difference(*frontend, candidates, text.clone()));
                }
                None => {}
            }
        }
        for (id, one) in self.snapshot.load_balancers.iter().filter(|(id, _)| !self.foreign.contains(id)) {
            for frontend in Frontend::of(one).filter(|frontend| !self.frontends.contains_key(frontend)) {
                all.push(self.difference(frontend, &[], format!("load balancer {id} on a frontend without a Service")));
            }
        }
        self.endpoints(&used, &mut all);
        all
    }

    fn difference(&self, frontend: Frontend, candidates: &[Wanted], text: String) -> Difference {
        let wanted = candidates.iter().flat_map(|one| &one.backends).filter_map(address_of);
        let has = self.snapshot.on(frontend).flat_map(|(_, one)| one.endpoint_ids().collect::<Vec<_>>());
        let has = has.filter_map(|id| self.seen.get(&id)).flatten().copied();
        let causes = wanted.chain(has).map(Subject::Address);
        let subjects = [Subject::Frontend(frontend), Subject::Networks].into_iter().chain(causes).collect();
        Difference { subjects, text: format!("{frontend}: {text}") }
    }

    /// The network of a load balancer with these backends; `None` if all are in missing networks.
    fn network(&self, backends: &[Backend]) -> Option<usize> {
        let networks = &self.facts.networks;
        if networks.len() == 1 {
            return Some(0);
        }
        let mut best: Option<(usize, usize)> = None;
        for index in (0..networks.len()).filter(|index| networks.present(*index).is_some()) {
            let count = backends.iter().filter(|backend| self.network_of(**backend) == index).count();
            if count > 0 && best.is_none_or(|(most, _)| count > most) {
                best = Some((count, index));
            }
        }
        best.map(|(_, index)| index)
    }

    fn network_of(&self, backend: Backend) -> usize {
        let networks = &self.facts.networks;
        let of_endpoint = |id: Option<Guid>| {
            let network = self.snapshot.endpoints.get(&id?)?.host_compute_network?;
            networks.index_of(network)
        };
        let root = self.snapshot.root(&self.facts.settings.root_endpoint_name);
        match backend {
            Backend::Root => of_endpoint(root).unwrap_or_default(),
            Backend::Address { address, local } => {
                let host = root.filter(|_| local && is_node(address));
                of_endpoint(self.snapshot.local_at(address).or(host)).unwrap_or_else(|| networks.of_address(address))
            }
        }
    }

    fn place(&self, backend: Backend) -> Option<Place> {
        let root = self.snapshot.root(&self.facts.settings.root_endpoint_name);
        match backend {
            Backend::Root => root.map(Place::Endpoint),
            Backend::Address { address, local } => match self.snapshot.local_at(address) {
                Some(_) => Some(Place::Local(address)),
                None if local && is_node(address) => {
                    let family = Family::of(address);
                    let has = |one: &Endpoint| one.addresses().any(|own| Family::of(own) == family);
                    root.filter(|id| has(&self.snapshot.endpoints[id])).map(Place::Endpoint)
                }
                None if local => None,
                None => Some(Place::Remote(address)),
            },
        }
    }

    /// The places of the backends that a load balancer may have. HNS refuses backends of several networks.
    fn places(&self, wanted: &Wanted) -> Vec<Place> {
        let network = self.network(&wanted.backends);
        let in_network = wanted.backends.iter().filter(|backend| Some(self.network_of(**backend)) == network);
        let mut places: Vec<Place> = Vec::new();
        for place in in_network.filter_map(|backend| self.place(*backend)) {
            if !places.contains(&place) {
                places.push(place);
            }
        }
        places
    }

    /// The addresses of the backends that a load balancer may have.
    pub(super) fn reachable(&self, wanted: &Wanted) -> Vec<IpAddr> {
        let addresses = |place: &Place| match place {
            Place::Remote(address) | Place::Local(address) => vec![*address],
            Place::Endpoint(id) => self.seen.get(id).cloned().unwrap_or_default(),
        };
        self.places(wanted).iter().flat_map(addresses).collect()
    }

    /// Whether a frontend has what it wants: the addresses that need a remote endpoint, or why not.
    fn frontend(&self, frontend: Frontend, wanted: &Wanted) -> Result<Vec<IpAddr>, String> {
        let on: Vec<(Guid, &LoadBalancer)> = self.snapshot.on(frontend).collect();
        let network = self.network(&wanted.backends);
        if network.is_none() && !wanted.backends.is_empty() {
            // All its networks are missing: HNS stays as it is.
            let has = on.iter().flat_map(|(_, one)| one.endpoint_ids()).filter_map(|id| self.seen.get(&id)).flatten();
            return Ok(wanted.backends.iter().filter_map(address_of).chain(has.copied()).collect());
        }
        let places = self.places(wanted);
        let Some(network) = network.and_then(|index| self.facts.networks.present(index)).filter(|_| !places.is_empty())
        else {
            // Without any backend, nothing may answer; if the endpoints of local backends are only missing, a foreign
            // load balancer stays.
            let surplus = |(id, _): &&(Guid, &LoadBalancer)| wanted.backends.is_empty() || !self.foreign.contains(id);
            return match on.iter().find(surplus) {
                Some((id, _)) => Err(format!("load balancer {id} without a backend")),
                None => Ok(Vec::new()),
            };
        };
        let [(id, has)] = on.as_slice() else {
            return Err(format!("{} load balancers instead of one for {places:?}", on.len()));
        };
        self.compare(frontend, wanted, network, has).map_err(|text| format!("load balancer {id}: {text}"))?;
        let endpoints: BTreeSet<Guid> = has.endpoint_ids().collect();
        for place in &places {
            let found = match place {
                Place::Endpoint(id) => endpoints.contains(id),
                Place::Local(address) => endpoints.iter().any(|id| self.is_local(*id, *address)),
                Place::Remote(address) => endpoints.iter().any(|id| self.is_backend(*id, *address, network)),
            };
            if !found {
                return Err(format!("load balancer {id} lacks {place:?}, has {endpoints:?}"));
            }
        }
        if endpoints.len() != places.len() || has.host_compute_endpoints.len() != places.len() {
            return Err(format!("load balancer {id} has {endpoints:?} instead of {places:?}"));
        }
        Ok(places
            .iter()
            .filter_map(|place| if let Place::Remote(address) = place { Some(*address) } else { None })
            .collect())
    }

    fn compare(
        &self,
        frontend: Frontend,
        wanted: &Wanted,
        network: &Network,
        has: &LoadBalancer,
    ) -> Result<(), String> {
        let [mapping] = has.port_mappings.as_slice() else { return Err("several port mappings".to_owned()) };
        let source_vip = wanted.source_vip.filter(|_| network.overlay);
        let expected = (
            vec![frontend],
            wanted.internal_port,
            wanted.flags,
            wanted.mapping_flags,
            wanted.distribution != 0,
            source_vip,
        );
        let given = (
            Frontend::of(has).collect(),
            mapping.internal_port,
            has.flags.0 & 3,
            mapping.flags.0 & 31,
            !mapping.distribution_type.is_default(),
            has.source_vip.parse().ok(),
        );
        if expected == given { Ok(()) } else { Err(format!("{given:?} instead of {expected:?}")) }
    }

    fn is_local(&self, id: Guid, address: IpAddr) -> bool {
        let endpoint = self.snapshot.endpoints.get(&id).filter(|one| !one.is_remote());
        endpoint.is_some_and(|one| one.addresses().any(|own| own == address))
    }

    /// Whether an endpoint is the remote endpoint of a backend.
    fn is_backend(&self, id: Guid, address: IpAddr, network: &Network) -> bool {
        let node = self.node(address);
        self.is_remote(id, address, network, &derived_mac(address), network.provider(address).or(node))
    }

    fn is_remote(&self, id: Guid, address: IpAddr, network: &Network, mac: &str, provider: Option<IpAddr>) -> bool {
        let Some(endpoint) = self.snapshot.endpoints.get(&id) else { return false };
        endpoint.is_remote()
            && endpoint.addresses().eq([address])
            && endpoint.host_compute_network == Some(network.id)
            && digits(&endpoint.mac_address) == digits(mac)
            && endpoint.provider_address() == provider.filter(|_| network.overlay)
    }

    fn node(&self, address: IpAddr) -> Option<IpAddr> {
        Some(if address.is_ipv4() { "192.168.77.1" } else { "fd00:77::1" }.parse().unwrap())
    }

    /// Our endpoints: each is used and right, and none is missing.
    fn endpoints(&self, used: &BTreeSet<IpAddr>, all: &mut Vec<Difference>) {
        let mut push = |address, text: String| {
            let subjects = vec![Subject::Address(address), Subject::Networks];
            all.push(Difference { subjects, text: format!("{address}: {text}") });
        };
        let overlay = self.facts.networks.overlay().filter(|(index, _)| self.facts.networks.present(*index).is_some());
        let services = self.cluster.services.iter().enumerate().filter(|(_, small)| small.there);
        let service_addresses: BTreeSet<IpAddr> =
            services.map(|(index, _)| SmallService::cluster_ip(index, Family::V4)).collect();
        let source_vip = self.facts.settings.source_vip_address();
        let own = self.snapshot.endpoints.iter().filter(|(id, _)| !self.foreign.contains(id));
        for (id, endpoint) in own {
            let Some(address) = endpoint.addresses().next() else { continue };
            if Some(address) == source_vip && !endpoint.is_remote() {
                continue;
            }
            let index = self.facts.networks.of_address(address);
            let is_service = service_addresses.contains(&address)
                && overlay.is_some_and(|(_, network)| {
                    self.is_remote(*id, address, network, "16:3f:c8:c9:10:9d", self.node(address))
                });
            let right = || {
                is_service
                    || self.facts.networks.present(index).is_some_and(|network| {
                        used.contains(&address) && self.is_backend(*id, address, network)
                    })
                    // Its network is missing, and was not looked for.
                    || self.facts.networks.present(index).is_none()
            };
            // Another program uses our endpoint, which therefore stays: HNS would delete it in spite of that.
            if self.snapshot.users(*id).any(|user| self.foreign.contains(&user)) {
                continue;
            }
            if self.snapshot.local_at(address).is_some_and(|local| local != *id) {
                push(address, format!("endpoint {id} beside a local one"));
            } else if !right() {
                push(address, format!("endpoint {id} is not wanted: {endpoint:?}"));
            }
        }
        let mut wanted: Vec<IpAddr> = Vec::new();
        if overlay.is_some() {
            wanted.extend(&service_addresses);
            wanted.extend(source_vip);
        }
        for address in wanted {
            let there = |(_, one): (&Guid, &Endpoint)| one.addresses().any(|own| own == address);
            if !self.snapshot.endpoints.iter().any(there) {
                push(address, "endpoint missing".to_owned());
            }
        }
    }
}

pub(super) fn address_of(backend: &Backend) -> Option<IpAddr> {
    match backend {
        Backend::Address { address, .. } => Some(*address),
        Backend::Root => None,
    }
}

fn is_node(address: IpAddr) -> bool {
    ["192.168.77.1", "fd00:77::1"].iter().any(|own| address.to_string() == *own)
}

fn digits(mac: &str) -> String {
    mac.chars().filter(char::is_ascii_hexdigit).collect::<String>().to_lowercase()
}

fn derived_mac(address: IpAddr) -> String {
    match address {
        IpAddr::V4(address) => {
            let [a, b, c, d] = address.octets();
            format!("0211{a:02x}{b:02x}{c:02x}{d:02x}")
        }
        IpAddr::V6(address) => {
            let octets = address.octets();
            format!("0211{:02x}{:02x}{:02x}{:02x}", octets[15], octets[14], octets[13], octets[12])
        }
    }
}
