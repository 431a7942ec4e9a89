//! The ports of the switch, each with the generation of its rules.

use hcn::Guid;
use rustc_hash::FxHashMap;

use crate::PortId;

/// The number of a port. It is not used again after the port was removed, so flows of a removed port match nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct PortIndex(u32);

impl PortIndex {
    pub(crate) const HOST: Self = Self(0);
    pub(crate) const UPLINK: Self = Self(1);
    pub(crate) const TUNNEL: Self = Self(2);

    /// Whether packets from this port come from outside the node.
    pub(crate) fn is_outside(self) -> bool {
        self == Self::UPLINK || self == Self::TUNNEL
    }

    /// The port in the keys of flows. The uplink and the tunnel are one: a reply need not take the way of the request.
    pub(crate) fn of_flows(self) -> Self {
        if self == Self::TUNNEL { Self::UPLINK } else { self }
    }
}

#[derive(Debug)]
struct Port {
    id: PortId,
    network: Option<Guid>,
    generation: u32,
}

/// All ports.
#[derive(Debug)]
pub(crate) struct Ports {
    ports: FxHashMap<PortIndex, Port>,
    by_endpoint: FxHashMap<Guid, PortIndex>,
    next: u32,
}

impl Default for Ports {
    fn default() -> Self {
        let fixed =
            [(PortIndex::HOST, PortId::Host), (PortIndex::UPLINK, PortId::Uplink), (PortIndex::TUNNEL, PortId::Tunnel)];
        let ports = fixed.map(|(index, id)| (index, Port { id, network: None, generation: 0 }));
        Self { ports: ports.into_iter().collect(), by_endpoint: FxHashMap::default(), next: 3 }
    }
}

impl Ports {
    pub(crate) fn find(&self, id: PortId) -> Option<PortIndex> {
        match id {
            PortId::Host => Some(PortIndex::HOST),
            PortId::Uplink => Some(PortIndex::UPLINK),
            PortId::Tunnel => Some(PortIndex::TUNNEL),
            PortId::Endpoint(endpoint) => self.by_endpoint.get(&endpoint).copied(),
        }
    }

    /// `None` if the port was removed.
    pub(crate) fn id(&self, index: PortIndex) -> Option<PortId> {
        self.ports.get(&index).map(|port| port.id)
    }

    /// The network of the endpoint of a port.
    pub(crate) fn network(&self, index: PortIndex) -> Option<Guid> {
        self.ports.get(&index)?.network
    }

    /// The number of changes of what the port's rules decide. `None` if the port was removed.
    pub(crate) fn generation(&self, index: PortIndex) -> Option<u32> {
        self.ports.get(&index).map(|port| port.generation)
    }

    pub(crate) fn add(&mut self, endpoint: Guid, network: Option<Guid>) -> PortIndex {
        let index = PortIndex(self.next);
        self.next += 1;
        self.ports.insert(index, Port { id: PortId::Endpoint(endpoint), network, generation: 0 });
        self.by_endpoint.insert(endpoint, index);
        index
    }

    pub(crate) fn remove(&mut self, endpoint: Guid) {
        if let Some(index) = self.by_endpoint.remove(&endpoint) {
            self.ports.remove(&index);
        }
    }

    /// Makes the flows of all ports compare their rules at their next packet.
    pub(crate) fn outdate_all(&mut self) {
        self.ports.values_mut().for_each(|port| port.generation = port.generation.wrapping_add(1));
    }

    /// The same for the ports that have the rules of a network: its own, and those that have all rules.
    pub(crate) fn outdate_network(&mut self, network: Guid) {
        let affected = self.ports.values_mut().filter(|port| port.network.is_none_or(|of_port| of_port == network));
        affected.for_each(|port| port.generation = port.generation.wrapping_add(1));
    }
}
