//! Which endpoint of HNS stands for a backend.

use std::net::IpAddr;

use hcn::Guid;

use super::{ExpectedEndpoint, Planner};
use crate::frontend::Target;
use crate::model::Family;

/// What stands for a backend, or why nothing does.
#[derive(Debug, Clone, PartialEq)]
pub enum Resolved {
    /// An endpoint made by the CNI, or the host's own.
    Local(Guid),
    /// The host's own endpoint, for a backend that uses the host's network.
    Host(Guid),
    /// An endpoint of ours, or one of others that says the same.
    Remote(Guid),
    /// An endpoint that is to be created.
    Create(Box<ExpectedEndpoint>),
    /// The endpoint could not be created, and is not due to be tried again.
    Blocked,
    /// The backend runs on this node, and the CNI has made no endpoint for it.
    NoLocalEndpoint(IpAddr),
    /// The backend uses the host's network, and the host has no endpoint of its own.
    NoHostEndpoint(IpAddr),
    /// The host has no endpoint of its own for a health check.
    NoRootEndpoint,
    /// The backend is in another network than most.
    OtherNetwork,
    /// The backend's network is not there.
    NetworkMissing,
    /// Nobody wants an endpoint there.
    NotWanted,
}

impl Planner<'_> {
    /// What stands for a backend of a load balancer in the network of a place.
    pub fn resolve_target(&self, target: Target, place: Option<usize>) -> Resolved {
        if self.networks.len() > 1 {
            let home = self.home(target);
            if self.networks.present(home).is_none() {
                return Resolved::NetworkMissing;
            }
            if place != Some(home) {
                return Resolved::OtherNetwork;
            }
        }
        match target {
            Target::Root => {
                self.observed.named(&self.settings.root_endpoint_name).map_or(Resolved::NoRootEndpoint, Resolved::Local)
            }
            Target::Address { address, local } => self.resolve_address(address, local),
        }
    }

    fn resolve_address(&self, address: IpAddr, local: bool) -> Resolved {
        if let Some(id) = self.observed.local_at(address) {
            return Resolved::Local(id);
        }
        if local {
            return match self.host.node_ips.contains(&address) {
                true => {
                    self.host_endpoint(Family::of(address)).map_or(Resolved::NoHostEndpoint(address), Resolved::Host)
                }
                false => Resolved::NoLocalEndpoint(address),
            };
        }
        let Some(expected) = self.expected_endpoint(address) else { return Resolved::NotWanted };
        match self.standing(&expected) {
            Some(standing) => Resolved::Remote(standing),
            None if self.restraint.blocked.contains(&address) => Resolved::Blocked,
            None => Resolved::Create(Box::new(expected)),
        }
    }

    /// The host's own endpoint, if it has an address of a family: behind it is whatever listens on all addresses of the host.
    fn host_endpoint(&self, family: Family) -> Option<Guid> {
        let id = self.observed.named(&self.settings.root_endpoint_name)?;
        let of_family = |address: &IpAddr| Family::of(*address) == family;
        self.observed.endpoint(id).filter(|held| held.addresses.iter().any(of_family)).map(|_| id)
    }
}
