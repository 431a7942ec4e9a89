//! Checks networks, and fills in missing members.

use std::net::Ipv4Addr;

use hcn::schema::Network;
use hcn::{Kind, Version};
use ipnet::{IpNet, Ipv4Net};
use serde_json::{Value, json};

use super::Store;
use super::members::{complete, typed};
use super::spelling::NETWORK_TYPES;
use crate::rules::{self, Rule};

impl Store {
    pub(super) fn check_network(&self, document: &mut Value) -> Result<(), Rule> {
        complete(document, "Type", || "NAT".into());
        let network: Network = typed(document)?;
        if !NETWORK_TYPES.iter().any(|kind| kind.eq_ignore_ascii_case(&network.kind.0)) {
            return Err(rules::UNKNOWN_NETWORK_TYPE);
        }
        let name = |document: &Value| document.get("Name").and_then(Value::as_str).unwrap_or_default().to_lowercase();
        if let Some((_, other)) = self.table(Kind::Network).iter().find(|(_, other)| name(other) == name(document)) {
            let ics = |document: &Value| document.get("Type").and_then(Value::as_str) == Some("ICS");
            let both = ics(document) && ics(other);
            return Err(if both { rules::DUPLICATE_ICS_NETWORK } else { rules::DUPLICATE_NETWORK });
        }
        self.spell_policies(Kind::Network, document)?;
        let mut prefixes: Vec<IpNet> = Vec::new();
        for subnet in network.ipams.iter().flat_map(|ipam| &ipam.subnets) {
            let prefix: IpNet = subnet.ip_address_prefix.parse().map_err(|_| rules::INVALID_PREFIX)?;
            if prefix.addr() != prefix.network() {
                return Err(rules::INVALID_PREFIX);
            }
            if prefixes.iter().any(|other| overlap(other, &prefix)) {
                return Err(rules::OVERLAPPING_SUBNETS);
            }
            prefixes.push(prefix);
        }
        // Docker requests 0.0.0.0/0 (docker/for-win 348).
        let has_prefix = prefixes.iter().any(|prefix| prefix.prefix_len() > 0);
        if !has_prefix
            && network.kind.0.eq_ignore_ascii_case("NAT")
            && let Some(prefix) = self.free_prefix()
        {
            let gateway = u32::from(prefix.network()).checked_add(1).map(Ipv4Addr::from);
            let routes = json!([{"NextHop": gateway, "DestinationPrefix": "0.0.0.0/0"}]);
            let subnet = json!({"IpAddressPrefix": prefix.to_string(), "Routes": routes});
            super::set(document, "Ipams", json!([{"Type": "Static", "Subnets": [subnet]}]));
        }
        if network.kind.0.eq_ignore_ascii_case("NAT") {
            self.isolate(document);
        }
        Ok(())
    }

    /// Adds the VLAN policy that HNS gives to each NAT network by itself: seen on 13.3 to 16.0, and not on 9.x. A VLAN that the caller
    /// chose stays.
    fn isolate(&self, document: &mut Value) {
        let vlan = |document: &Value| {
            let policies = document.get("Policies").and_then(Value::as_array).into_iter().flatten();
            let mut vlans = policies.filter(|policy| policy.get("Type").and_then(Value::as_str) == Some("VLAN"));
            vlans.next().map(|policy| policy.pointer("/Settings/IsolationId").and_then(Value::as_u64))
        };
        if self.build.version < Version::new(13, 0) || vlan(document).is_some() {
            return;
        }
        let taken: Vec<u64> = self.table(Kind::Network).iter().filter_map(|(_, other)| vlan(other)?).collect();
        let free = (1_u64..).find(|number| !taken.contains(number));
        complete(document, "Policies", || json!([]));
        if let Some(policies) = document.get_mut("Policies").and_then(Value::as_array_mut) {
            policies.push(json!({"Type": "VLAN", "Settings": {"IsolationId": free}}));
        }
    }

    /// A prefix for a NAT network without one, which overlaps with no other network.
    fn free_prefix(&self) -> Option<Ipv4Net> {
        let taken = || self.index.networks.values().flat_map(|facts| &facts.subnets);
        let candidates = (16..32).filter_map(|second| Ipv4Net::new(Ipv4Addr::new(172, second, 0, 0), 20).ok());
        candidates.into_iter().find(|prefix| !taken().any(|subnet| overlap(&subnet.prefix, &IpNet::V4(*prefix))))
    }
}

fn overlap(one: &IpNet, other: &IpNet) -> bool {
    one.contains(other) || other.contains(one)
}
