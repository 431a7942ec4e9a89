//! The networks and endpoints that the switch knows, and which of them has an address.

mod nat;
mod ports;

use std::net::IpAddr;

use hcn::Guid;
use hcn::schema::{Endpoint, Network, Policy, RemoteSubnetRoute};
use rustc_hash::FxHashMap;
use smallvec::SmallVec;

pub(crate) use nat::OutboundNat;
pub(crate) use ports::{PortIndex, Ports};

use crate::Node;

/// What the switch needs of a network.
#[derive(Debug, PartialEq)]
pub(crate) struct NetworkState {
    pub(crate) is_overlay: bool,
    /// The virtual subnet id.
    pub(crate) isolation_id: u32,
    pub(crate) remote_subnets: Vec<RemoteSubnetRoute>,
}

impl NetworkState {
    fn read(network: &Network) -> Self {
        let subnets = network.ipams.iter().flat_map(|ipam| &ipam.subnets);
        Self {
            is_overlay: network.kind.is_overlay(),
            isolation_id: subnets.flat_map(|subnet| &subnet.policies).find_map(isolation_id).unwrap_or(0),
            remote_subnets: network.policies.iter().filter_map(Policy::as_remote_subnet).flatten().collect(),
        }
    }
}

fn isolation_id(policy: &Policy) -> Option<u32> {
    let id = policy.settings.get("IsolationId").filter(|_| policy.is("VSID"))?;
    id.as_u64().or_else(|| id.as_str()?.parse().ok())?.try_into().ok()
}

/// What the switch needs of an endpoint.
#[derive(Debug, PartialEq)]
pub(crate) struct EndpointState {
    pub(crate) network: Option<Guid>,
    pub(crate) addresses: SmallVec<[IpAddr; 2]>,
    pub(crate) is_remote: bool,
    /// Whether it belongs to the host, and not to a pod.
    pub(crate) is_host: bool,
    pub(crate) provider_address: Option<IpAddr>,
    pub(crate) nat: Vec<OutboundNat>,
}

impl EndpointState {
    fn read(endpoint: &Endpoint, node: &Node) -> Self {
        Self {
            network: endpoint.host_compute_network,
            addresses: endpoint.addresses().collect(),
            is_remote: endpoint.is_remote(),
            is_host: !endpoint.is_remote() && node.host_endpoints.contains(&endpoint.name),
            provider_address: endpoint.provider_address(),
            nat: endpoint.policies.iter().filter_map(OutboundNat::read).collect(),
        }
    }
}

/// All networks, endpoints and ports.
#[derive(Debug, Default)]
pub(crate) struct Objects {
    pub(crate) ports: Ports,
    networks: FxHashMap<Guid, NetworkState>,
    endpoints: FxHashMap<Guid, EndpointState>,
    by_address: FxHashMap<IpAddr, SmallVec<[Guid; 1]>>,
}

impl Objects {
    pub(crate) fn network(&self, id: Guid) -> Option<&NetworkState> {
        self.networks.get(&id)
    }

    pub(crate) fn networks(&self) -> impl Iterator<Item = &NetworkState> {
        self.networks.values()
    }

    pub(crate) fn endpoint(&self, id: Guid) -> Option<&EndpointState> {
        self.endpoints.get(&id)
    }

    /// Whether an endpoint's network is an overlay network.
    pub(crate) fn is_overlay(&self, network: Option<Guid>) -> bool {
        network.and_then(|id| self.network(id)).is_some_and(|network| network.is_overlay)
    }

    /// Whether a remote subnet of an overlay network has an address.
    pub(crate) fn has_remote_subnet(&self, address: IpAddr) -> bool {
        let mut subnets =
            self.networks().filter(|network| network.is_overlay).flat_map(|network| &network.remote_subnets);
        subnets.any(|subnet| subnet.destination_prefix.contains(&address))
    }

    /// The port of a local endpoint.
    pub(crate) fn port_of(&self, endpoint: Guid) -> Option<PortIndex> {
        let state = self.endpoint(endpoint)?;
        if state.is_host { Some(PortIndex::HOST) } else { self.ports.find(crate::PortId::Endpoint(endpoint)) }
    }

    /// The endpoint with an address: a local one rather than a remote one, then one of the network rather than of another, then the oldest.
    pub(crate) fn endpoint_with(&self, address: IpAddr, network: Option<Guid>) -> Option<(Guid, &EndpointState)> {
        let candidates = self.by_address.get(&address)?.iter().filter_map(|id| Some((*id, self.endpoints.get(id)?)));
        candidates.min_by_key(|(_, state)| (state.is_remote, network.is_some() && state.network != network))
    }

    /// Returns whether anything changed.
    pub(crate) fn set_network(&mut self, id: Guid, network: Option<&Network>) -> bool {
        let state = network.map(NetworkState::read);
        if self.networks.get(&id) == state.as_ref() {
            return false;
        }
        match state {
            Some(state) => self.networks.insert(id, state),
            None => self.networks.remove(&id),
        };
        true
    }

    /// Returns whether anything changed.
    pub(crate) fn set_endpoint(&mut self, id: Guid, endpoint: Option<&Endpoint>, node: &Node) -> bool {
        let state = endpoint.map(|endpoint| EndpointState::read(endpoint, node));
        let old = self.endpoints.remove(&id);
        let is_changed = old != state;
        if is_changed {
            self.replace(id, old.as_ref(), state.as_ref());
        }
        if let Some(state) = state {
            self.endpoints.insert(id, state);
        }
        is_changed
    }

    fn replace(&mut self, id: Guid, old: Option<&EndpointState>, new: Option<&EndpointState>) {
        for address in old.into_iter().flat_map(|state| &state.addresses) {
            if let Some(ids) = self.by_address.get_mut(address) {
                ids.retain(|other| *other != id);
                if ids.is_empty() {
                    self.by_address.remove(address);
                }
            }
        }
        for address in new.into_iter().flat_map(|state| &state.addresses) {
            self.by_address.entry(*address).or_default().push(id);
        }
        let port = |state: Option<&EndpointState>| {
            state.filter(|state| !state.is_remote && !state.is_host).map(|state| state.network)
        };
        // A modified endpoint keeps its port.
        if port(old) != port(new) {
            self.ports.remove(id);
            if let Some(network) = port(new) {
                self.ports.add(id, network);
            }
        }
    }
}
