//! The HNS networks of the pods, which of them an address belongs to, and the conditions of the host.

use std::cmp::Reverse;
use std::net::IpAddr;

use hcn::schema::RemoteSubnetRoute;
use hcn::{Guid, Kind};
use ipnet::IpNet;

use crate::foreign_writer::{ForeignWriter, RepeatedLoss};
use crate::model::Family;
use crate::source_vip::SourceVipAbsent;

/// The fields of an HNS network that hnsproxy uses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Network {
    pub id: Guid,
    pub overlay: bool,
    /// The subnets of this node's pods.
    pub subnets: Vec<IpNet>,
    /// The subnets of other nodes, from the policies `RemoteSubnetRoute`; overlay networks only.
    pub remote_subnets: Vec<RemoteSubnetRoute>,
}

impl Network {
    /// The address of the node that an address is on: the provider address of the last remote subnet that contains it,
    /// or the address itself if it is a provider address. As in kube-proxy, the last match counts.
    pub fn provider_address(&self, address: IpAddr) -> Option<IpAddr> {
        self.remote_subnets
            .iter()
            .rev()
            .find(|subnet| subnet.destination_prefix.contains(&address) || subnet.provider_address == address)
            .map(|subnet| subnet.provider_address)
    }

    /// The longest prefix length among its own subnets that contain an address.
    fn longest_prefix(&self, address: IpAddr) -> Option<u8> {
        self.subnets.iter().filter(|subnet| subnet.contains(&address)).map(IpNet::prefix_len).max()
    }
}

/// A configured network, and what is known about it from HNS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedNetwork {
    /// The name in the settings. HNS may have renamed the network. Of a pattern, the name of the network that was found for it.
    pub name: String,
    /// The networks that a pattern can mean, by name, as they were last listed.
    pub candidates: Vec<String>,
    /// The state when it was last read; `None` if it was never found.
    pub network: Option<Network>,
    /// Whether HNS has it and it can be used. Frontends whose backends are in a missing network are not changed.
    pub present: bool,
    pub host_conditions: Vec<HostCondition>,
}

/// The position of a network in `--network-name`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NetworkIndex(usize);

impl NetworkIndex {
    /// The network that the settings name first. An address outside all subnets belongs to it.
    pub const FIRST: Self = Self(0);

    pub(crate) fn position(self) -> usize {
        self.0
    }
}

/// The networks that the settings name, in that order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Networks {
    all: Vec<NamedNetwork>,
    primary_family: Family,
}

impl Networks {
    /// Networks whose names are known and nothing else.
    pub fn new(names: &[String], primary_family: Family) -> Self {
        let named = |name: &String| NamedNetwork {
            name: name.clone(),
            candidates: Vec::new(),
            network: None,
            present: false,
            host_conditions: Vec::new(),
        };
        Self { all: names.iter().map(named).collect(), primary_family }
    }

    pub fn set_primary_family(&mut self, family: Family) {
        self.primary_family = family;
    }

    pub fn iter(&self) -> impl Iterator<Item = &NamedNetwork> {
        self.all.iter()
    }

    pub fn indices(&self) -> impl Iterator<Item = NetworkIndex> + use<> {
        (0..self.all.len()).map(NetworkIndex)
    }

    /// The number of configured networks, present in HNS or not.
    pub fn len(&self) -> usize {
        self.all.len()
    }

    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    pub fn named(&self, index: NetworkIndex) -> Option<&NamedNetwork> {
        self.all.get(index.0)
    }

    pub fn named_mut(&mut self, index: NetworkIndex) -> Option<&mut NamedNetwork> {
        self.all.get_mut(index.0)
    }

    /// What was last read of a network, even if it is missing now: its Services keep their addresses and wait for it.
    pub fn known(&self, index: NetworkIndex) -> Option<&Network> {
        self.named(index)?.network.as_ref()
    }

    /// The network, if HNS has it now.
    pub fn present(&self, index: NetworkIndex) -> Option<&Network> {
        self.named(index).filter(|named| named.present)?.network.as_ref()
    }

    /// Whether any network was ever read.
    pub fn any_known(&self) -> bool {
        self.all.iter().any(|named| named.network.is_some())
    }

    /// The ids of the networks that HNS has now.
    pub fn present_ids(&self) -> Vec<Guid> {
        self.indices().filter_map(|index| self.present(index)).map(|network| network.id).collect()
    }

    pub fn index_of(&self, id: Guid) -> Option<NetworkIndex> {
        self.indices().find(|index| self.known(*index).is_some_and(|network| network.id == id))
    }

    /// The overlay network. There is one at most: the source VIP, which overlay networks need, is in one network.
    pub fn overlay(&self) -> Option<NetworkIndex> {
        self.indices().find(|index| self.known(*index).is_some_and(|network| network.overlay))
    }

    /// Whether Services of a family can be programmed in any network.
    pub fn any_supports(&self, family: Family) -> bool {
        self.indices().any(|index| self.supports(index, family))
    }

    /// Whether a network can have addresses of a family. An overlay network has the node's primary family only, as with kube-proxy. A
    /// network that was never read may be of any type.
    pub fn supports(&self, index: NetworkIndex, family: Family) -> bool {
        family == self.primary_family || !self.known(index).is_some_and(|network| network.overlay)
    }

    /// The network that an address belongs to: the one with the longest subnet that contains it, else the overlay network that routes it
    /// to another node, else the first that supports its family.
    pub fn network_of(&self, address: IpAddr) -> NetworkIndex {
        // With one network, subnets do not matter: kube-proxy treats every backend as part of its network.
        if self.len() < 2 {
            return NetworkIndex::FIRST;
        }
        let family = Family::of(address);
        let known = || {
            let supporting = self.indices().filter(|index| self.supports(*index, family));
            supporting.filter_map(|index| Some((index, self.known(index)?)))
        };
        let own = known().filter_map(|(index, network)| Some((network.longest_prefix(address)?, Reverse(index)))).max();
        let elsewhere = || known().find(|(_, network)| network.provider_address(address).is_some());
        let first = || self.indices().find(|index| self.supports(*index, family)).unwrap_or_default();
        own.map(|(_, Reverse(index))| index).or_else(|| Some(elsewhere()?.0)).unwrap_or_else(first)
    }
}

/// A condition of the host or of a network, not of a single Service.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
pub enum HostCondition {
    #[error("network {from:?} was renamed to {to:?} in HNS, and is still used; set --network-name")]
    NetworkRenamed { from: String, to: String },
    /// One of several networks is missing, or cannot be used.
    #[error("{reason}; backends in other networks are programmed")]
    NetworkMissing { reason: String },
    /// A subnet, of this node or of another, is invalid.
    #[error("network {network:?}: invalid subnet: {reason}; its addresses are treated as outside the network")]
    SubnetUnreadable { network: String, reason: String },
    /// The endpoint whose address is the source VIP has vanished.
    #[error("{0}")]
    SourceVipAbsent(SourceVipAbsent),
    /// HNS chooses the ids of objects of a kind itself.
    #[error("HNS does not keep the requested ids of {}; contents are compared instead, which makes a start slower", plural(*kind))]
    IdsNotHonoured { kind: Kind },
    /// Another program keeps writing objects of hnsproxy.
    #[error("{0}")]
    ForeignWriter(ForeignWriter),
    /// Most objects are lost repeatedly, but not often enough to be contended.
    #[error("{0}")]
    RepeatedLoss(RepeatedLoss),
    /// A document of HNS is invalid.
    #[error("HNS object {id} is ignored: {reason}")]
    ObjectSkipped { id: Guid, reason: String },
    /// An HNS v1 list contradicts the HCN (v2) API.
    #[error("the HNS v1 list of {} is not used: {contradiction}; what other programs modify in place is not detected", plural(*kind))]
    V1ListDistrusted { kind: Kind, contradiction: Contradiction },
    /// A list lacks objects that HNS has.
    #[error("the list of {} lacks some that HNS has; what it lacks is treated as present", plural(*kind))]
    ListIncomplete { kind: Kind },
}

impl HostCondition {
    /// In CamelCase, for the status and Events.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::NetworkRenamed { .. } => "NetworkRenamed",
            // The reason of the outage where no network is left.
            Self::NetworkMissing { .. } => "NetworkAbsent",
            Self::SubnetUnreadable { .. } => "SubnetUnreadable",
            Self::SourceVipAbsent(_) => "SourceVIPAbsent",
            Self::IdsNotHonoured { .. } => "IdsNotHonoured",
            Self::ForeignWriter(_) => "ForeignWriter",
            Self::RepeatedLoss(_) => "RepeatedLoss",
            Self::ObjectSkipped { .. } => "ObjectSkipped",
            Self::V1ListDistrusted { .. } => "V1ListDistrusted",
            Self::ListIncomplete { .. } => "ListIncomplete",
        }
    }
}

/// How the HNS v1 list of a kind contradicts the HCN (v2) API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
pub enum Contradiction {
    #[error("it lacks {0}, which HNS has")]
    Lacks(Guid),
    #[error("it has {0}, which HNS does not have")]
    ShowsAbsent(Guid),
    #[error("it shows {0} with other content than HNS has")]
    OtherContent(Guid),
}

fn plural(kind: Kind) -> &'static str {
    match kind {
        Kind::Network => "networks",
        Kind::Endpoint => "endpoints",
        Kind::LoadBalancer => "load balancers",
        Kind::Namespace => "namespaces",
        Kind::Route => "routes",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn networks(all: &[(bool, &[&str], &[&str])]) -> Networks {
        let names: Vec<String> = (0..all.len()).map(|n| format!("net{n}")).collect();
        let mut networks = Networks::new(&names, Family::V4);
        for (index, (overlay, own, remote)) in all.iter().enumerate() {
            let subnet = |prefix: &&str| RemoteSubnetRoute {
                destination_prefix: prefix.parse().unwrap(),
                isolation_id: 4096,
                provider_address: [192, 168, 77, 9].into(),
                distributed_router_mac_address: String::new(),
            };
            let network = Network {
                id: Guid::from_u128(index as u128),
                overlay: *overlay,
                subnets: own.iter().map(|prefix| prefix.parse().unwrap()).collect(),
                remote_subnets: remote.iter().map(subnet).collect(),
            };
            networks.all[index] = NamedNetwork { network: Some(network), present: true, ..networks.all[index].clone() };
        }
        networks
    }

    fn of(networks: &Networks, address: &str) -> usize {
        networks.network_of(address.parse().unwrap()).0
    }

    #[test]
    fn an_address_belongs_to_the_network_of_its_subnet_else_to_the_overlay_that_routes_it_else_to_the_first() {
        let networks = networks(&[
            (false, &["10.1.0.0/16", "fd00:1::/64"], &[]),
            (false, &["10.1.7.0/24"], &[]),
            (true, &["10.3.1.0/24"], &["10.3.2.0/24"]),
        ]);
        let addresses = ["10.1.1.1", "10.1.7.1", "10.3.1.1", "10.3.2.1", "192.168.77.9", "8.8.8.8", "fd00:1::1"];
        assert_eq!(addresses.map(|address| of(&networks, address)), [0, 1, 2, 2, 2, 0, 0]);
    }

    #[test]
    fn an_overlay_network_has_no_address_of_the_other_family() {
        let networks = networks(&[(true, &["10.1.1.0/24", "fd00:1::/64"], &[]), (false, &["10.2.1.0/24"], &[])]);
        assert_eq!(["9.9.9.9", "fd00:1::1", "fd00:9::1"].map(|address| of(&networks, address)), [0, 1, 1]);
        assert!(networks.any_supports(Family::V6));
    }

    #[test]
    fn every_address_belongs_to_the_only_network() {
        let networks = networks(&[(true, &["10.1.1.0/24"], &[])]);
        assert_eq!(["10.1.1.1", "9.9.9.9", "fd00:9::1"].map(|address| of(&networks, address)), [0, 0, 0]);
        assert!(!networks.any_supports(Family::V6));
    }
}
