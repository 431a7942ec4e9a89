//! Resolves a backend to an HNS endpoint.

use std::net::IpAddr;

use hcn::Guid;

use super::{ExpectedEndpoint, Planner};
use crate::frontend::Target;
use crate::model::Family;
use crate::network::NetworkIndex;

/// The endpoint of a backend, or why there is none.
#[derive(Debug, Clone, PartialEq)]
pub enum Resolved {
    /// An endpoint created by the CNI, or the root endpoint for a health check.
    Local(Guid),
    /// The root endpoint, for a backend in the host's network.
    Host(Guid),
    /// A remote endpoint of ours, or an equal foreign one.
    Remote(Guid),
    /// An endpoint that is to be created, with its id.
    Create(Guid, Box<ExpectedEndpoint>),
    /// The endpoint could not be created, and its retry is not due yet.
    Blocked,
    /// The backend runs on this node, and the CNI has not created its endpoint.
    NoLocalEndpoint(IpAddr),
    /// The backend is in the host's network, and there is no root endpoint with an address of its family.
    NoHostEndpoint(IpAddr),
    /// There is no root endpoint, which a health check needs.
    NoRootEndpoint,
    /// The backend is in another network than the load balancer.
    OtherNetwork,
    /// The backend's network is missing.
    NetworkMissing,
    /// No load balancer uses the address.
    NotDesired,
}

impl Planner<'_> {
    /// Resolves a backend. `network` is the network of the load balancer.
    pub fn resolve_target(&self, target: Target, network: Option<NetworkIndex>) -> Resolved {
        // With one network, backends outside its subnets are in it too: nodes and addresses outside the cluster are reached through it.
        if self.networks.len() > 1 {
            let target_network = self.target_network(target);
            if self.networks.present(target_network).is_none() {
                return Resolved::NetworkMissing;
            }
            if network != Some(target_network) {
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
        // A local endpoint comes first, whatever node name the EndpointSlice has: HNS delivers traffic to it on this
        // node, and a remote endpoint of the same address would send the traffic away.
        if let Some(id) = self.observed.local_at(address) {
            return Resolved::Local(id);
        }
        // Local endpoints belong to the CNI. A remote endpoint in their place would send the traffic to another node, and can keep the
        // CNI from creating the pod (kubernetes issue 130963).
        if local {
            return match self.host.node_ips.contains(&address) {
                true => {
                    self.host_endpoint(Family::of(address)).map_or(Resolved::NoHostEndpoint(address), Resolved::Host)
                }
                false => Resolved::NoLocalEndpoint(address),
            };
        }
        let Some(expected) = self.expected_endpoint(address) else { return Resolved::NotDesired };
        match self.matching_endpoint(&expected) {
            Some(matching) => Resolved::Remote(matching),
            // A backend whose endpoint HNS refuses must not delay the others: the load balancer is programmed without it until the retry.
            None if self.constraints.blocked.contains(&address) => Resolved::Blocked,
            None => Resolved::Create(self.id_of(&expected), Box::new(expected)),
        }
    }

    /// The root endpoint, if it has an address of the family. It reaches processes that listen on all addresses.
    fn host_endpoint(&self, family: Family) -> Option<Guid> {
        let id = self.observed.named(&self.settings.root_endpoint_name)?;
        let of_family = |address: &IpAddr| Family::of(*address) == family;
        self.observed.endpoint(id).filter(|observed| observed.addresses.iter().any(of_family)).map(|_| id)
    }
}
