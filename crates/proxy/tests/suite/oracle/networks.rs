//! The networks that the process knows, and which network an address belongs to, computed without the code under test.

use std::net::IpAddr;

use hcn::schema::{self, Policy};
use hcn::{Guid, Kind};
use hcn_emulator::Emulator;
use ipnet::IpNet;
use proxy::model::Family;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Network {
    pub(super) id: Guid,
    pub(super) overlay: bool,
    subnets: Vec<IpNet>,
    /// The subnets of other nodes, and the address of each node.
    remote: Vec<(IpNet, IpAddr)>,
}

impl Network {
    /// The address of the node that an address is on.
    pub(super) fn provider(&self, address: IpAddr) -> Option<IpAddr> {
        let is_there = |(subnet, provider): &&(IpNet, IpAddr)| subnet.contains(&address) || *provider == address;
        self.remote.iter().rev().find(is_there).map(|(_, provider)| *provider)
    }
}

/// The configured networks, in their order. A network that is not present is as last read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Networks(Vec<(Option<Network>, bool)>);

impl Networks {
    /// What a process knows.
    pub(super) fn known(networks: &proxy::Networks) -> Self {
        let one = |named: &proxy::network::NamedNetwork| {
            let network = named.network.as_ref().map(|network| Network {
                id: network.id,
                overlay: network.overlay,
                subnets: network.subnets.clone(),
                remote: network
                    .remote_subnets
                    .iter()
                    .map(|one| (one.destination_prefix, one.provider_address))
                    .collect(),
            });
            (network, named.present)
        };
        Self(networks.iter().map(one).collect())
    }

    /// What HNS has, by name.
    pub(super) fn in_hns(emulator: &Emulator, names: &[String]) -> Self {
        let documents: Vec<schema::Network> =
            emulator.documents(Kind::Network).into_iter().map(|one| serde_json::from_value(one).unwrap()).collect();
        let one = |name: &String| {
            let network = documents.iter().find(|document| document.name == *name).map(|document| Network {
                id: document.id.unwrap(),
                overlay: document.kind.is_overlay(),
                subnets: document.prefixes().filter_map(Result::ok).collect(),
                remote: document
                    .policies
                    .iter()
                    .filter_map(Policy::as_remote_subnet)
                    .filter_map(Result::ok)
                    .map(|one| (one.destination_prefix, one.provider_address))
                    .collect(),
            });
            let present = network.is_some();
            (network, present)
        };
        Self(names.iter().map(one).collect())
    }

    /// Whether what is known is what HNS has. A missing network stays known.
    pub(super) fn is_as_in(&self, hns: &Self) -> bool {
        self.0.iter().zip(&hns.0).all(|(known, has)| known.1 == has.1 && (!has.1 || known.0 == has.0))
    }

    pub(super) fn present(&self, index: usize) -> Option<&Network> {
        self.0.get(index).filter(|(_, present)| *present)?.0.as_ref()
    }

    fn known_at(&self, index: usize) -> Option<&Network> {
        self.0.get(index)?.0.as_ref()
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn overlay(&self) -> Option<(usize, &Network)> {
        self.0.iter().enumerate().find_map(|(index, (network, _))| {
            network.as_ref().filter(|network| network.overlay).map(|network| (index, network))
        })
    }

    /// An overlay network has IPv4 only, the family of the node.
    pub(super) fn supports(&self, index: usize, family: Family) -> bool {
        family == Family::V4 || !self.known_at(index).is_some_and(|network| network.overlay)
    }

    pub(super) fn any_supports(&self, family: Family) -> bool {
        (0..self.len()).any(|index| self.supports(index, family))
    }

    pub(super) fn index_of(&self, id: Guid) -> Option<usize> {
        (0..self.len()).find(|index| self.known_at(*index).is_some_and(|network| network.id == id))
    }

    /// The network of an address that has no endpoint.
    pub(super) fn of_address(&self, address: IpAddr) -> usize {
        if self.len() < 2 {
            return 0;
        }
        let family = Family::of(address);
        let candidates: Vec<usize> = (0..self.len()).filter(|index| self.supports(*index, family)).collect();
        let mut longest: Option<(u8, usize)> = None;
        for index in &candidates {
            for subnet in self.known_at(*index).iter().flat_map(|network| &network.subnets) {
                if subnet.contains(&address) && longest.is_none_or(|(length, _)| subnet.prefix_len() > length) {
                    longest = Some((subnet.prefix_len(), *index));
                }
            }
        }
        let routed = || -> Option<usize> {
            let routes = |index: &&usize| self.known_at(**index).is_some_and(|one| one.provider(address).is_some());
            candidates.iter().find(routes).copied()
        };
        longest.map(|(_, index)| index).or_else(routed).or_else(|| candidates.first().copied()).unwrap_or_default()
    }
}
