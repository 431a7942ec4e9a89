//! The objects of HNS that a packet depends on.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};

use hcn::schema::{Endpoint, LoadBalancer, LoadBalancerFlags, Network, PortMapping};
use hcn::{Client, Error, Guid, Hcn};
use vswitch::{Change, Node};

use super::{PacketError, Question};
use crate::hns::objects;

/// All networks, endpoints and load balancers, or those of one network.
#[derive(Debug, Default)]
pub struct Objects {
    networks: Vec<(Guid, Network)>,
    endpoints: Vec<(Guid, Endpoint)>,
    load_balancers: Vec<(Guid, LoadBalancer)>,
}

impl Objects {
    pub(super) fn new(
        networks: Vec<(Guid, Network)>,
        endpoints: Vec<(Guid, Endpoint)>,
        load_balancers: Vec<(Guid, LoadBalancer)>,
    ) -> Self {
        Self { networks, endpoints, load_balancers }
    }

    /// # Errors
    /// If HNS cannot be read.
    pub fn read(hcn: &dyn Hcn, client: &Client) -> Result<Self, Error> {
        // Load balancers first: the endpoints of each were created before it.
        let load_balancers = objects::load_balancers(client)?;
        let endpoints = objects::endpoints(hcn, client)?;
        Ok(Self { networks: objects::networks(hcn, client)?, endpoints, load_balancers })
    }

    /// Whether an endpoint has an address, or a subnet has it as its gateway: that of a NAT network is an address of an adapter.
    pub fn has_address(&self, address: IpAddr) -> bool {
        let subnets = self.networks.iter().flat_map(|(_, network)| &network.ipams).flat_map(|ipam| &ipam.subnets);
        let mut gateways = subnets.flat_map(|subnet| &subnet.routes).filter_map(|route| route.next_hop.parse().ok());
        self.endpoints().any(|endpoint| endpoint.addresses().any(|other| other == address))
            || gateways.any(|gateway: IpAddr| gateway == address)
    }

    pub fn endpoints(&self) -> impl Iterator<Item = &Endpoint> {
        self.endpoints.iter().map(|(_, endpoint)| endpoint)
    }

    /// Leaves out the other networks, their endpoints, and load balancers that have only such endpoints.
    ///
    /// # Errors
    /// If HNS has no network with the name.
    pub fn of_network(mut self, name: &str) -> Result<Self, PacketError> {
        // HNS ignores the case of names.
        let is_named = |network: &Network| network.name.eq_ignore_ascii_case(name);
        if !self.networks.iter().any(|(_, network)| is_named(network)) {
            let known = self.networks.iter().map(|(_, network)| network.name.clone()).collect();
            return Err(PacketError::NetworkNotFound { name: name.to_owned(), known });
        }
        self.networks.retain(|(_, network)| is_named(network));
        let is_of_other = |endpoint: &Endpoint| {
            endpoint.host_compute_network.is_some_and(|id| !self.networks.iter().any(|(network, _)| *network == id))
        };
        let is_left_out: HashMap<Guid, bool> =
            self.endpoints.iter().map(|(id, endpoint)| (*id, is_of_other(endpoint))).collect();
        let left_out = |id: &Guid| is_left_out.get(id).copied().unwrap_or_default();
        self.load_balancers.retain(|(_, load_balancer)| {
            let mut ids = load_balancer.endpoint_ids().peekable();
            ids.peek().is_none() || ids.any(|id| !left_out(&id))
        });
        self.endpoints.retain(|(id, _)| !left_out(id));
        Ok(self)
    }

    /// In an order in which the switch knows what an object refers to.
    pub(super) fn changes(&self) -> impl Iterator<Item = Change> {
        let networks = self.networks.iter().map(|(id, network)| Change::Network(*id, Some(Box::new(network.clone()))));
        let endpoints =
            self.endpoints.iter().map(|(id, endpoint)| Change::Endpoint(*id, Some(Box::new(endpoint.clone()))));
        let load_balancers = self
            .load_balancers
            .iter()
            .map(|(id, document)| Change::LoadBalancer(*id, Some(Box::new(document.clone()))));
        networks.chain(endpoints).chain(load_balancers)
    }

    /// The name of an endpoint, if it has one.
    pub(super) fn endpoint_name(&self, id: Guid) -> Option<&str> {
        let name = self.endpoints.iter().find(|(other, _)| *other == id).map(|(_, endpoint)| endpoint.name.as_str());
        name.filter(|name| !name.is_empty())
    }

    /// Whether the provider address of an endpoint is its own address.
    pub(super) fn is_own_provider(&self, id: Guid) -> bool {
        let endpoint = self.endpoints.iter().find(|(other, _)| *other == id);
        endpoint.is_some_and(|(_, endpoint)| {
            let provider_address = endpoint.provider_address();
            endpoint.addresses().any(|address| Some(address) == provider_address)
        })
    }

    /// The endpoints of a load balancer that HNS does not have.
    pub(super) fn missing_endpoints(&self, load_balancer: Guid) -> Vec<Guid> {
        let is_missing = |id: &Guid| !self.endpoints.iter().any(|(other, _)| other == id);
        let document = self.load_balancer(load_balancer);
        document.into_iter().flat_map(LoadBalancer::endpoint_ids).filter(is_missing).collect()
    }

    /// The port mapping of a load balancer for the frontend of the question.
    pub(super) fn mapping(&self, load_balancer: Guid, question: &Question) -> Option<&PortMapping> {
        let mut mappings = self.load_balancer(load_balancer)?.port_mappings.iter();
        mappings
            .find(|mapping| mapping.protocol == question.protocol && mapping.external_port == question.frontend.port())
    }

    /// The other frontends with the address of the question, sorted.
    pub(super) fn other_frontends(&self, question: &Question, node: &Node) -> Vec<String> {
        let address = question.frontend.ip();
        let mappings = self.load_balancers_of(address, node).flat_map(|document| &document.port_mappings);
        let asked = (question.frontend.port(), question.protocol);
        let mut ports: Vec<_> = mappings.map(|mapping| (mapping.external_port, mapping.protocol)).collect();
        ports.retain(|port| *port != asked);
        ports.sort_unstable();
        ports.dedup();
        ports.iter().map(|(port, protocol)| format!("{}/{protocol}", SocketAddr::new(address, *port))).collect()
    }

    /// The number of load balancers with the frontend of the question.
    pub(super) fn count_load_balancers(&self, question: &Question, node: &Node) -> usize {
        let Question { protocol, frontend, .. } = question;
        let has_frontend = |document: &&LoadBalancer| {
            let mut mappings = document.port_mappings.iter();
            mappings.any(|mapping| mapping.protocol == *protocol && mapping.external_port == frontend.port())
        };
        self.load_balancers_of(frontend.ip(), node).filter(has_frontend).count()
    }

    /// The load balancers with an address, or with all addresses of the node if it is one of them.
    fn load_balancers_of(&self, address: IpAddr, node: &Node) -> impl Iterator<Item = &LoadBalancer> {
        let is_of_node = node.addresses.contains(&address);
        let has_address = move |document: &&LoadBalancer| match document.frontend_vips.is_empty() {
            true => is_of_node && document.flags.contains(LoadBalancerFlags::IPV6) == address.is_ipv6(),
            false => document.vips().any(|vip| vip == address),
        };
        self.load_balancers.iter().map(|(_, document)| document).filter(has_address)
    }

    fn load_balancer(&self, id: Guid) -> Option<&LoadBalancer> {
        self.load_balancers.iter().find(|(other, _)| *other == id).map(|(_, document)| document)
    }
}
