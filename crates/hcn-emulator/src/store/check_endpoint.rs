//! Checks endpoints, and assigns addresses and routes.

use std::net::IpAddr;

use hcn::schema::Endpoint;
use hcn::{Guid, Kind};
use serde_json::{Value, json};

use super::Store;
use super::facts::{Facts, print_mac};
use super::members::{complete, set, typed};
use crate::rules::{self, Rule};

impl Store {
    pub(super) fn check_endpoint(&mut self, network: Option<Guid>, id: Guid, document: &mut Value) -> Result<(), Rule> {
        self.spell_policies(Kind::Endpoint, document)?;
        let endpoint: Endpoint = typed(document)?;
        let network = network.or(endpoint.host_compute_network).ok_or(rules::UNKNOWN_NETWORK)?;
        self.get(Kind::Network, network)?;
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
                self.check_local_address(network, *address)?;
            }
            if addresses.is_empty()
                && let Some(address) = self.free_address(network)?
            {
                set(document, "IpConfigurations", json!([{ "IpAddress": address.to_string() }]));
                addresses.push(address);
            }
        }
        set(document, "HostComputeNetwork", network.to_string());
        self.complete_endpoint(network, remote, &addresses, document)
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

    /// Fills in prefix lengths from the subnets.
    pub(crate) fn complete_addresses(&self, network: Guid, document: &mut Value) {
        let facts = self.index.networks.get(&network);
        let configurations = document.get_mut("IpConfigurations").and_then(Value::as_array_mut);
        for ip in configurations.into_iter().flatten() {
            let given = ip.get("PrefixLength").and_then(Value::as_u64).unwrap_or_default();
            let address = ip.get("IpAddress").and_then(Value::as_str).and_then(|text| text.parse::<IpAddr>().ok());
            if let (0, Some(address)) = (given, address) {
                let subnet = facts.and_then(|facts| facts.subnet_of(address));
                let alone = if address.is_ipv4() { 32 } else { 128 };
                set(ip, "PrefixLength", subnet.map_or(alone, |subnet| subnet.prefix.prefix_len()));
            }
        }
    }

    fn check_local_address(&self, network: Guid, address: IpAddr) -> Result<(), Rule> {
        let facts = self.index.networks.get(&network);
        let subnet = facts.and_then(|facts| facts.subnet_of(address)).ok_or(rules::NOT_IN_SUBNET)?;
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

    /// The lowest free address of the network; `None` in a network without a subnet.
    fn free_address(&mut self, network: Guid) -> Result<Option<IpAddr>, Rule> {
        let Some(facts) = self.index.networks.get(&network) else { return Ok(None) };
        let Some(subnet) = facts.subnets.first() else { return Ok(None) };
        // The first address is reserved in IPv6 too.
        let mut offset = facts.next_address.max(1);
        while let Some(address) = subnet.address(offset) {
            if self.check_local_address(network, address).is_ok() {
                if let Some(facts) = self.index.networks.get_mut(&network) {
                    facts.next_address = offset;
                }
                return Ok(Some(address));
            }
            offset += 1;
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
