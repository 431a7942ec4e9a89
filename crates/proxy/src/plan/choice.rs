//! In which network a load balancer is: HNS takes backends of one only.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::net::IpAddr;

use super::Planner;
use crate::condition::Problem;
use crate::frontend::{EndpointPurpose, Target};

/// The network chosen for a load balancer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice {
    /// Its place; none: there are backends, and none of their networks is there.
    pub place: Option<usize>,
    /// What is left out for it.
    pub problems: Vec<Problem>,
}

impl Planner<'_> {
    /// The network that most backends are in, among those that are there. Of two equal groups, that of the network named first, so that
    /// the choice does not depend on order.
    pub fn choose(&self, targets: &[Target]) -> Choice {
        if self.networks.len() == 1 {
            return Choice { place: Some(0), problems: Vec::new() };
        }
        let mut counts: BTreeMap<usize, usize> = BTreeMap::new();
        for target in targets {
            *counts.entry(self.home(*target)).or_default() += 1;
        }
        let is_present = |place: &usize| self.networks.present(*place).is_some();
        let largest = counts.iter().filter(|(place, _)| is_present(place)).max_by_key(|(p, n)| (**n, Reverse(**p)));
        let place = match largest {
            Some((place, _)) => Some(*place),
            None if counts.is_empty() => (0..self.networks.len()).find(is_present),
            None => None,
        };
        let name = |place: usize| self.networks.named(place).map(|named| named.name.clone()).unwrap_or_default();
        let missing = counts.keys().filter(|place| !is_present(place));
        let mut problems: Vec<Problem> =
            missing.map(|place| Problem::NetworkMissing { network: name(*place) }).collect();
        let others = counts.iter().filter(|(other, _)| is_present(other) && Some(**other) != place);
        let dropped: usize = others.map(|(_, count)| count).sum();
        if let Some(place) = place.filter(|_| dropped > 0) {
            problems.push(Problem::SeveralNetworks { network: name(place), dropped });
        }
        Choice { place, problems }
    }

    /// The place of the network that a backend is in: where its endpoint is, or should be.
    pub(crate) fn home(&self, target: Target) -> usize {
        let root = || self.observed.named(&self.settings.root_endpoint_name);
        match target {
            Target::Root => root().and_then(|id| self.place_of(id)).unwrap_or_default(),
            Target::Address { address, local } => {
                let of_host = || root().filter(|_| local && self.host.node_ips.contains(&address));
                let endpoint = self.observed.local_at(address).or_else(of_host);
                endpoint.and_then(|id| self.place_of(id)).unwrap_or_else(|| self.place_for(address))
            }
        }
    }

    /// The place of the network in which an endpoint of ours for an address should be.
    pub(super) fn place_for(&self, address: IpAddr) -> usize {
        match self.desired.purpose(address) {
            Some(EndpointPurpose::SourceVip | EndpointPurpose::ServiceAddress) => self.networks.overlay(),
            Some(EndpointPurpose::Backend) | None => None,
        }
        .unwrap_or_else(|| self.networks.of(address))
    }

    fn place_of(&self, endpoint: hcn::Guid) -> Option<usize> {
        self.networks.place_of(self.observed.endpoint(endpoint)?.network)
    }
}
