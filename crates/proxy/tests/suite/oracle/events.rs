//! What other programs do on the host: the CNI, a kube-proxy, an operator, a script.

use hcn::schema::{Endpoint, LoadBalancer};
use hcn::{Guid, Kind};
use proxy::Frontend;
use serde_json::{Value, json};

use super::cluster::{SmallCluster, addresses};
use super::difference::Snapshot;
use super::disturbances::What;
use super::hns::{Hns, State, id_of};
use super::random::Random;
use crate::rig::{NETWORK, SECOND};

/// What may happen in a world.
#[derive(Debug, Clone, Copy)]
pub(super) struct Programs {
    /// The CNI is late, or early, or creates an endpoint again.
    pub(super) cni: bool,
    /// Objects of ours vanish, or return as they were.
    pub(super) meddler: bool,
    /// They also change, and keep their ids.
    pub(super) contents: bool,
    /// Another proxy creates objects of its own.
    pub(super) rival: bool,
    /// Networks vanish and return.
    pub(super) networks: bool,
}

fn new_id(random: &mut Random) -> Guid {
    Guid::from_u128(u128::from(random.below(u64::MAX >> 12)) << 64 | u128::from(random.below(u64::MAX >> 12)))
}

/// The network of a pod.
fn network_of(pod: u8, networks: usize) -> Guid {
    if pod % 5 == 4 && networks > 1 { SECOND } else { NETWORK }
}

impl Hns {
    /// What is on the host before the first process.
    pub(super) fn furnish(&self, state: &mut State, networks: usize) {
        let anchor = Guid::from_u128(0xa0c4);
        self.add_local(state, "anchor", anchor, NETWORK, &["10.244.1.5".parse().unwrap()]);
        let remote = json!({"HostComputeNetwork": NETWORK, "Flags": 1, "MacAddress": "02-11-00-00-00-09",
            "IpConfigurations": [{"IpAddress": "10.244.7.7"}], "SchemaVersion": {"Major": 2, "Minor": 0}});
        self.add(state, Kind::Endpoint, Guid::from_u128(0x7e07e), remote);
        let balancer = json!({"HostComputeEndpoints": [anchor], "FrontendVIPs": ["172.16.0.1"],
            "PortMappings": [{"Protocol": 6, "InternalPort": 1, "ExternalPort": 80}],
            "SchemaVersion": {"Major": 2, "Minor": 0}});
        self.add(state, Kind::LoadBalancer, Guid::from_u128(0xba1a), balancer);
        let mut random = state.random.clone();
        if random.one_in(2) {
            let name = state.witness.facts.settings.root_endpoint_name.clone();
            let addresses = ["10.244.1.2".parse().unwrap(), "fd00:244::2".parse().unwrap()];
            self.add_local(state, &name, Guid::from_u128(0x4007), NETWORK, &addresses);
        }
        let pods: Vec<u8> = state.witness.cluster.local_pods().collect();
        for pod in pods {
            if random.below(4) > 0 {
                self.add_pod(state, &mut random, pod, networks);
            }
        }
        state.random = random;
    }

    /// Something happens.
    pub(super) fn happen(&self, state: &mut State, programs: Programs, networks: usize) {
        let mut random = state.random.clone();
        let snapshot = Snapshot::of(&self.emulator);
        match random.below(20) {
            0..6 if programs.cni => self.cni(state, &mut random, &snapshot, networks),
            6..12 if programs.meddler => self.meddle(state, &mut random, &snapshot, programs.contents),
            12..17 if programs.rival => self.rival(state, &mut random, &snapshot),
            19 if programs.networks => self.network(state, &mut random),
            _ => {}
        }
        state.random = random;
    }

    fn add_local(&self, state: &mut State, name: &str, id: Guid, network: Guid, addresses: &[std::net::IpAddr]) {
        let configurations: Vec<Value> = addresses.iter().map(|one| json!({"IpAddress": one})).collect();
        let last = id.as_bytes()[15];
        let document = json!({"Name": name, "HostComputeNetwork": network, "IpConfigurations": configurations,
            "MacAddress": format!("00-15-5D-00-{:02X}-{last:02X}", id.as_bytes()[14]),
            "SchemaVersion": {"Major": 2, "Minor": 0}});
        state.witness.foreign.insert(id);
        self.add(state, Kind::Endpoint, id, document);
    }

    fn add_pod(&self, state: &mut State, random: &mut Random, pod: u8, networks: usize) {
        let network = network_of(pod, networks);
        if self.emulator.document(Kind::Network, network).is_some() {
            self.add_local(state, "pod", new_id(random), network, &addresses(pod));
        }
    }

    /// The CNI creates the endpoints of this node's pods, and deletes those of pods that are gone, sooner or later.
    fn cni(&self, state: &mut State, random: &mut Random, snapshot: &Snapshot, networks: usize) {
        let cluster: SmallCluster = state.witness.cluster.clone();
        let pod = u8::try_from(random.below(6)).unwrap();
        let existing = addresses(pod).first().and_then(|address| snapshot.local_at(*address));
        match (existing, cluster.is_local(pod)) {
            (None, true) => self.add_pod(state, random, pod, networks),
            // The pod is here before its slice says so.
            (None, false) if random.one_in(4) => self.add_pod(state, random, pod, networks),
            (Some(id), false) => self.remove(state, Kind::Endpoint, id),
            // The sandbox of the pod is created again.
            (Some(id), true) if random.one_in(3) => {
                self.remove(state, Kind::Endpoint, id);
                if random.one_in(2) {
                    self.add_pod(state, random, pod, networks);
                }
            }
            _ => {}
        }
    }

    /// Objects of ours vanish, change, or return as they were.
    fn meddle(&self, state: &mut State, random: &mut Random, snapshot: &Snapshot, contents: bool) {
        let is_own = |id: &&Guid| !state.witness.foreign.contains(*id);
        let endpoints: Vec<Guid> = snapshot.endpoints.keys().filter(is_own).copied().collect();
        let balancers: Vec<Guid> = snapshot.load_balancers.keys().filter(is_own).copied().collect();
        let facts = &state.witness.facts;
        let modifies = contents
            && hcn::Features::of(facts.version).modify_load_balancer
            && facts.api == hcn::ApiVersion::V2
            && !self.emulator.build().quirks.silent_modify;
        match random.below(8) {
            0 => {
                if let Some(id) = random.pick(&balancers) {
                    self.remove(state, Kind::LoadBalancer, *id);
                }
            }
            1 => {
                if let Some(id) = random.pick(&endpoints) {
                    self.remove(state, Kind::Endpoint, *id);
                }
            }
            2 => balancers.iter().for_each(|id| self.remove(state, Kind::LoadBalancer, *id)),
            3 if modifies => {
                if let Some(id) = random.pick(&balancers) {
                    self.change_balancer(state, random, *id, &snapshot.load_balancers[id]);
                }
            }
            4 if contents => {
                if let Some(id) = random.pick(&endpoints) {
                    let mut document = self.emulator.document(Kind::Endpoint, *id).unwrap();
                    document["MacAddress"] = "02-11-de-ad-be-ef".into();
                    self.add(state, Kind::Endpoint, *id, document);
                }
            }
            _ => self.exhume(state, random, snapshot, modifies),
        }
    }

    fn change_balancer(&self, state: &mut State, random: &mut Random, id: Guid, before: &LoadBalancer) {
        let mut document = self.emulator.document(Kind::LoadBalancer, id).unwrap();
        if random.one_in(2) || before.host_compute_endpoints.len() < 2 {
            document["PortMappings"][0]["InternalPort"] = 7.into();
        } else {
            document["HostComputeEndpoints"].as_array_mut().unwrap().pop();
        }
        self.add(state, Kind::LoadBalancer, id, document);
    }

    /// An object returns as it was once, perhaps with the id of the present one.
    fn exhume(&self, state: &mut State, random: &mut Random, snapshot: &Snapshot, modifies: bool) {
        let Some((kind, id, document)) = random.pick(&state.graveyard).cloned() else { return };
        match kind {
            Kind::LoadBalancer => {
                let balancer: LoadBalancer = serde_json::from_value(document.clone()).unwrap();
                let is_taken = |frontend| snapshot.on(frontend).any(|(other, _)| other != id);
                let there = snapshot.load_balancers.contains_key(&id);
                // Without modification, an object with the same id has the same content.
                if Frontend::of(&balancer).any(is_taken) || there && !modifies {
                    return;
                }
                self.add(state, kind, id, document.clone());
                state.note(kind, &Some(document), What::Contents);
            }
            Kind::Endpoint => {
                let endpoint: Endpoint = serde_json::from_value(document.clone()).unwrap();
                let network = endpoint.host_compute_network.unwrap_or_default();
                if self.emulator.document(Kind::Network, network).is_some() {
                    self.add(state, kind, id, document.clone());
                    // Its id seems to tell its content.
                    state.note(kind, &Some(document), What::Contents);
                }
            }
            _ => {}
        }
    }

    /// Another proxy takes frontends, and creates endpoints of its own.
    fn rival(&self, state: &mut State, random: &mut Random, snapshot: &Snapshot) {
        let frontends: Vec<Frontend> = state.witness.frontends.keys().copied().collect();
        match random.below(6) {
            0..3 => {
                let Some(frontend) = random.pick(&frontends).copied() else { return };
                let on: Vec<Guid> = snapshot.on(frontend).map(|(id, _)| id).collect();
                if !on.is_empty() && random.one_in(2) {
                    return;
                }
                on.iter().for_each(|id| self.remove(state, Kind::LoadBalancer, *id));
                let ipv6 = if frontend.family == proxy::model::Family::V6 { 2 } else { 0 };
                let backends: Vec<Guid> = snapshot.endpoints.keys().copied().take(1).collect();
                let id = new_id(random);
                state.witness.foreign.insert(id);
                let document = json!({"HostComputeEndpoints": backends, "Flags": ipv6,
                    "FrontendVIPs": frontend.address.iter().collect::<Vec<_>>(),
                    "PortMappings": [{"Protocol": frontend.protocol.0, "InternalPort": 1, "ExternalPort": frontend.port}],
                    "SchemaVersion": {"Major": 2, "Minor": 0}});
                self.add(state, Kind::LoadBalancer, id, document);
            }
            3 => {
                // Half of them equal ours.
                let last = 12 + random.below(8);
                let mac = if random.one_in(2) {
                    format!("02-11-0A-F4-02-{last:02X}")
                } else {
                    "02-11-00-00-00-01".to_owned()
                };
                let id = new_id(random);
                state.witness.foreign.insert(id);
                let document = json!({"HostComputeNetwork": NETWORK, "Flags": 1, "MacAddress": mac,
                    "IpConfigurations": [{"IpAddress": format!("10.244.2.{last}")}],
                    "SchemaVersion": {"Major": 2, "Minor": 0}});
                if self.emulator.document(Kind::Network, NETWORK).is_some() {
                    self.add(state, Kind::Endpoint, id, document);
                }
            }
            _ => {
                let own = |id: &&Guid| state.witness.foreign.contains(*id) && id.as_u128() > u128::from(u32::MAX);
                let remote = snapshot.endpoints.iter().filter(|(_, one)| one.is_remote()).map(|(id, _)| id);
                let remote: Vec<Guid> = remote.filter(own).copied().collect();
                let balancers: Vec<Guid> = snapshot.load_balancers.keys().filter(own).copied().collect();
                if let Some(id) = random.pick(&balancers) {
                    self.remove(state, Kind::LoadBalancer, *id);
                } else if let Some(id) = random.pick(&remote) {
                    self.remove(state, Kind::Endpoint, *id);
                }
            }
        }
    }

    /// A network is deleted with its objects, or created again.
    fn network(&self, state: &mut State, random: &mut Random) {
        let documents = self.emulator.documents(Kind::Network);
        let hidden = std::mem::take(&mut state.networks);
        for (_, document) in hidden {
            self.add(state, Kind::Network, id_of(&document), document);
        }
        if random.one_in(2)
            && let Some(document) = random.pick(&documents)
        {
            let lost = [Kind::Endpoint, Kind::LoadBalancer].into_iter();
            for (kind, one) in
                lost.flat_map(|kind| self.emulator.documents(kind).into_iter().map(move |one| (kind, one)))
            {
                state.note(kind, &Some(one), What::Ids);
            }
            self.remove(state, Kind::Network, id_of(document));
            state.networks.push((Kind::Network, document.clone()));
        }
    }
}
