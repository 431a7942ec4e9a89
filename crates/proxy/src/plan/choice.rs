//! Chooses the HNS network of a load balancer. All its backends must be in the same network.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::net::IpAddr;

use super::Planner;
use crate::condition::Condition;
use crate::frontend::{EndpointPurpose, Target};
use crate::network::NetworkIndex;

/// The network chosen for a load balancer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice {
    /// None if there are backends, and all their networks are missing.
    pub network: Option<NetworkIndex>,
    pub conditions: Vec<Condition>,
}

impl Planner<'_> {
    /// Of the networks that exist, the one with the most backends. If two have equally many, the first in
    /// `--network-name`, so that the choice does not depend on the order of backends.
    pub fn choose(&self, targets: &[Target]) -> Choice {
        // With one network there is nothing to choose. Whether HNS has it is known before anything is planned.
        if self.networks.len() == 1 {
            return Choice { network: Some(NetworkIndex::FIRST), conditions: Vec::new() };
        }
        let mut counts: BTreeMap<NetworkIndex, usize> = BTreeMap::new();
        for target in targets {
            *counts.entry(self.target_network(*target)).or_default() += 1;
        }
        let is_present = |index: &NetworkIndex| self.networks.present(*index).is_some();
        let largest = counts.iter().filter(|(index, _)| is_present(index)).max_by_key(|(i, n)| (**n, Reverse(**i)));
        let network = match largest {
            Some((index, _)) => Some(*index),
            // Without backends, any network will do: no load balancer is created, and an old one must be deleted.
            None if counts.is_empty() => self.networks.indices().find(is_present),
            None => None,
        };
        let name = |index| self.networks.named(index).map(|named| named.name.clone()).unwrap_or_default();
        let missing = counts.keys().filter(|index| !is_present(index));
        let mut conditions: Vec<Condition> =
            missing.map(|index| Condition::NetworkMissing { network: name(*index) }).collect();
        // HNS is assumed to refuse a load balancer with endpoints of several networks, so the smaller groups are left
        // out.
        let others = counts.iter().filter(|(other, _)| is_present(other) && Some(**other) != network);
        let dropped: usize = others.map(|(_, count)| count).sum();
        if let Some(index) = network.filter(|_| dropped > 0) {
            conditions.push(Condition::SeveralNetworks { network: name(index), dropped });
        }
        Choice { network, conditions }
    }

    /// The network that a backend is in: that of its endpoint, or the one where its endpoint should be.
    pub(crate) fn target_network(&self, target: Target) -> NetworkIndex {
        let root = || self.observed.named(&self.settings.root_endpoint_name);
        match target {
            Target::Root => root().and_then(|id| self.endpoint_network(id)).unwrap_or_default(),
            Target::Address { address, local } => {
                let of_host = || root().filter(|_| local && self.host.node_ips.contains(&address));
                let endpoint = self.observed.local_at(address).or_else(of_host);
                endpoint.and_then(|id| self.endpoint_network(id)).unwrap_or_else(|| self.network_for(address))
            }
        }
    }

    /// The network in which an endpoint of ours for an address should be.
    pub(super) fn network_for(&self, address: IpAddr) -> NetworkIndex {
        match self.desired.purpose(address) {
            // Both belong to the overlay network, even if another subnet contains them.
            Some(EndpointPurpose::SourceVip | EndpointPurpose::ServiceAddress) => self.networks.overlay(),
            Some(EndpointPurpose::Backend) | None => None,
        }
        .unwrap_or_else(|| self.networks.network_of(address))
    }

    fn endpoint_network(&self, endpoint: hcn::Guid) -> Option<NetworkIndex> {
        self.networks.index_of(self.observed.endpoint(endpoint)?.network)
    }
}
