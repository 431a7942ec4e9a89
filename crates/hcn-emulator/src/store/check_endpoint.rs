//! Checks endpoints, and assigns addresses and routes.

use std::net::IpAddr;

use hcn::schema::Endpoint;
use hcn::{Guid, Kind};
use serde_json::{Value, json};

use super::Store;
use super::facts::{Facts, print_mac};
use super::members::{complete, set, typed, unset};
use crate::rules::{self, Rule};

impl Store {
    pub(super) fn check_endpoint(&mut self, network: Option<Guid>, id: Guid, document: &mut Value) -> Result<(), Rule> {
        self.spell_policies(Kind::Endpoint, document)?;
        let endpoint: Endpoint = typed(document)?;
        // `HcnCreateEndpoint` has an open network.
        let by_hns_call = network.is_none();
        let network = network.or(endpoint.host_compute_network).ok_or(rules::NETWORK_OF_NEW_ENDPOINT)?;
        self.get(Kind::Network, network).map_err(|_| rules::NETWORK_OF_NEW_ENDPOINT)?;
        let remote = endpoint.is_remote();
        if remote && endpoint.mac_address.is_empty() {
            return Err(rules::REMOTE_WITHOUT_MAC);
        }
        let mut addresses = Vec::new();
        for ip in &endpoint.ip_configurations {
            addresses.push(ip.ip_address.parse::<IpAddr>().map_err(|_| rules::INVALID_ADDRESS)?);
        }
        for policy in &endpoint.policies {
            self.check_policy(id, remote, policy)?;
        }
        if !remote {
            for address in &addresses {
                self.check_local_address(network, *address).map_err(|rule| {
                    let renamed = rule == rules::ADDRESS_IN_USE && by_hns_call && self.build.version.major < 10;
                    if renamed { rules::ADDRESS_EXISTS } else { rule }
                })?;
            }
            if addresses.is_empty()
                && let Some(address) = self.free_address(network)?
            {
                set(document, "IpConfigurations", json!([{ "IpAddress": address.to_string() }]));
                addresses.push(address);
            }
        }
        set(document, "HostComputeNetwork", network.to_string());
        let completed = self.complete_endpoint(network, remote, &addresses, document);
        if completed.is_err()
            && let Some(facts) = self.index.networks.get_mut(&network)
        {
            addresses.iter().for_each(|address| facts.freed(*address));
        }
        completed
    }

    /// Fills in the members that HNS reports of every endpoint.
    fn complete_endpoint(
        &mut self,
        network: Guid,
        remote: bool,
        addresses: &[IpAddr],
        document: &mut Value,
    ) -> Result<(), Rule> {
        complete(document, "Name", || "Ethernet".into());
        self.complete_addresses(network, document);
        if remote {
            return Ok(());
        }
        if let Some(facts) = self.index.networks.get(&network) {
            let routes = default_routes(facts, addresses);
            complete(document, "Routes", || routes.into());
        }
        if document.get("MacAddress").and_then(Value::as_str).is_none_or(str::is_empty) {
            let mac = self.free_mac(network).ok_or(rules::NO_FREE_MAC)?;
            set(document, "MacAddress", print_mac(mac));
        }
        Ok(())
    }

    /// Fills in prefix lengths from the subnets. A remote endpoint outside of them has none.
    pub(crate) fn complete_addresses(&self, network: Guid, document: &mut Value) {
        let facts = self.index.networks.get(&network);
        let configurations = document.get_mut("IpConfigurations").and_then(Value::as_array_mut);
        for ip in configurations.into_iter().flatten() {
            let given = ip.get("PrefixLength").and_then(Value::as_u64).unwrap_or_default();
            let address = ip.get("IpAddress").and_then(Value::as_str).and_then(|text| text.parse::<IpAddr>().ok());
            if let (0, Some(address)) = (given, address) {
                match facts.and_then(|facts| facts.subnet_of(address)) {
                    Some(subnet) => set(ip, "PrefixLength", subnet.prefix.prefix_len()),
                    None => unset(ip, "PrefixLength"),
                }
            }
        }
    }

    fn check_local_address(&self, network: Guid, address: IpAddr) -> Result<(), Rule> {
        let facts = self.index.networks.get(&network);
        let Some(subnet) = facts.and_then(|facts| facts.subnet_of(address)) else {
            let has_ipv6 = facts.is_some_and(|facts| facts.subnets.iter().any(|subnet| subnet.prefix.addr().is_ipv6()));
            return Err(if address.is_ipv6() && !has_ipv6 { rules::NO_IPV6_SUBNET } else { rules::NOT_IN_SUBNET });
        };
        if subnet.reserves(address) {
            return Err(rules::RESERVED_ADDRESS);
        }
        for (_, remote) in self.index.addresses.get(&(network, address)).into_iter().flatten() {
            if !remote {
                return Err(rules::ADDRESS_IN_USE);
            }
            if self.build.quirks.remote_blocks_local {
                return Err(rules::REMOTE_HAS_ADDRESS);
            }
        }
        Ok(())
    }

    /// A free address of the network; `None` in a network without a subnet.
    fn free_address(&mut self, network: Guid) -> Result<Option<IpAddr>, Rule> {
        let has_subnet = self.index.networks.get(&network).is_some_and(|facts| !facts.subnets.is_empty());
        if !has_subnet {
            return Ok(None);
        }
        while let Some(address) = self.index.networks.get_mut(&network).and_then(Facts::next_address) {
            if self.check_local_address(network, address).is_ok() {
                return Ok(Some(address));
            }
        }
        Err(rules::NO_FREE_ADDRESS)
    }

    /// The next free MAC address of the pool of the network.
    fn free_mac(&mut self, network: Guid) -> Option<u64> {
        let facts = self.index.networks.entry(network).or_default();
        if facts.macs_are_taken {
            return None;
        }
        let size = facts.macs.len();
        for step in 0..size {
            let index = (facts.next_mac + step) % size;
            if let Some(mac) = facts.macs.get(index)
                && !self.index.macs.contains(&(network, mac))
            {
                facts.next_mac = (index + 1) % size;
                return Some(mac);
            }
        }
        facts.macs_are_taken = true;
        None
    }

    /// A MAC address for an endpoint of another user: from the pool of the network, or a unique one.
    pub(crate) fn mac_for(&mut self, network: Guid) -> String {
        let mac = self.free_mac(network).or_else(|| {
            // Locally administered, so that no pool has it.
            let taken = u64::try_from(self.index.macs.len()).unwrap_or_default();
            (0x0200_0000_0000 + taken..0x0300_0000_0000).find(|mac| !self.index.macs.contains(&(network, *mac)))
        });
        print_mac(mac.unwrap_or_default())
    }
}

/// A default route for each address family that has an address and a gateway.
fn default_routes(facts: &Facts, addresses: &[IpAddr]) -> Vec<Value> {
    let gateway = |six: bool| {
        let mut own = addresses.iter().filter(|address| address.is_ipv6() == six);
        own.find_map(|address| facts.subnet_of(*address)?.gateway())
    };
    let route = |(destination, six): (&str, bool)| {
        let gateway = gateway(six)?.to_string();
        Some(json!({"NextHop": gateway, "DestinationPrefix": destination}))
    };
    [("0.0.0.0/0", false), ("::/0", true)].into_iter().filter_map(route).collect()
}
