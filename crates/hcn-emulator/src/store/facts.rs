//! Facts about a network, derived from its document once: its subnets, and the positions of its free addresses.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use hcn::schema::Network;
use ipnet::IpNet;
use serde_json::Value;

/// The maximum number of low bits of a subnet from which HNS chooses addresses, so that the offsets of IPv6 subnets can be multiplied.
const MAX_HOST_BITS: u32 = 32;

/// The facts that each creation of an endpoint needs.
#[derive(Debug, Clone, Default)]
pub(super) struct Facts {
    pub(super) subnets: Vec<SubnetFacts>,
    pub(super) macs: MacPool,
    /// How many addresses of the first subnet were tried, in the order in which HNS chooses them.
    tried: u128,
    /// Offsets of addresses of the first subnet that were in use since.
    freed: BTreeSet<u128>,
    /// Where the search for the next MAC address starts.
    pub(super) next_mac: u64,
    /// Whether the last search found no free address.
    pub(super) macs_are_taken: bool,
}

#[derive(Debug, Clone)]
pub(super) struct SubnetFacts {
    pub(super) prefix: IpNet,
    pub(super) gateways: Vec<IpAddr>,
    /// Whether the address of the gateway is reserved.
    pub(super) reserves_gateways: bool,
}

impl Facts {
    pub(super) fn of(network: &Network) -> Self {
        let subnets = network.ipams.iter().flat_map(|ipam| &ipam.subnets);
        let subnets = subnets.filter_map(|subnet| {
            let flags = subnet.other.get("Flags").and_then(Value::as_u64).unwrap_or_default();
            Some(SubnetFacts {
                prefix: subnet.ip_address_prefix.parse().ok()?,
                gateways: subnet.routes.iter().filter_map(|route| route.next_hop.parse().ok()).collect(),
                reserves_gateways: flags & 1 == 0,
            })
        });
        Self { subnets: subnets.collect(), macs: MacPool::of(network), ..Self::default() }
    }

    /// The next address of the first subnet to try for a new endpoint. It may be in use or reserved.
    pub(super) fn next_address(&mut self) -> Option<IpAddr> {
        let subnet = self.subnets.first()?;
        if let Some(offset) = self.freed.pop_first() {
            return subnet.address(offset);
        }
        loop {
            let offset = subnet.choice(self.tried)?;
            self.tried += 1;
            // The first address is reserved in IPv6 too.
            if offset > 0 {
                return subnet.address(offset);
            }
        }
    }

    /// Notes that an endpoint no longer has an address.
    pub(super) fn freed(&mut self, address: IpAddr) {
        let subnet = self.subnets.first().filter(|subnet| subnet.prefix.contains(&address));
        self.freed.extend(subnet.and_then(|subnet| subnet.offset(address)));
    }

    pub(super) fn subnet_of(&self, address: IpAddr) -> Option<&SubnetFacts> {
        self.subnets.iter().find(|subnet| subnet.prefix.contains(&address))
    }
}

impl SubnetFacts {
    /// Whether an address is reserved: the gateway, and in IPv4 the first and the last.
    pub(super) fn reserves(&self, address: IpAddr) -> bool {
        let gateway = self.reserves_gateways && self.gateways.contains(&address);
        let edge = address == self.prefix.network() || address == self.prefix.broadcast();
        gateway || (address.is_ipv4() && edge)
    }

    /// The gateway of an address family.
    pub(super) fn gateway(&self) -> Option<IpAddr> {
        self.gateways.iter().copied().find(|gateway| gateway.is_ipv4() == self.prefix.addr().is_ipv4())
    }

    /// The offset of the address that HNS chooses after this number of other addresses. HNS does not begin with the lowest one: .136 and .248 of
    /// an empty /24 were seen. The order is the same for each subnet, so that tests are repeatable.
    fn choice(&self, number: u128) -> Option<u128> {
        let bits = u32::from(self.prefix.max_prefix_len() - self.prefix.prefix_len()).min(MAX_HOST_BITS);
        let size = 1_u128 << bits;
        // An odd step visits each offset of a size that is a power of two.
        let (first, step) = (size * 17 / 32, (size * 7 / 16) | 1);
        (number < size).then(|| (first + number * step) % size)
    }

    /// The address at an offset from the first one.
    pub(super) fn address(&self, offset: u128) -> Option<IpAddr> {
        let address = match self.prefix.network() {
            IpAddr::V4(first) => {
                let number = u32::from(first).checked_add(u32::try_from(offset).ok()?)?;
                IpAddr::V4(Ipv4Addr::from(number))
            }
            IpAddr::V6(first) => IpAddr::V6(Ipv6Addr::from(u128::from(first).checked_add(offset)?)),
        };
        self.prefix.contains(&address).then_some(address)
    }

    /// The offset of an address from the first one.
    pub(super) fn offset(&self, address: IpAddr) -> Option<u128> {
        match (self.prefix.network(), address) {
            (IpAddr::V4(first), IpAddr::V4(address)) => {
                u32::from(address).checked_sub(u32::from(first)).map(u128::from)
            }
            (IpAddr::V6(first), IpAddr::V6(address)) => u128::from(address).checked_sub(u128::from(first)),
            _ => None,
        }
    }
}

/// Ranges of MAC addresses, as numbers, both ends included.
#[derive(Debug, Clone)]
pub(super) struct MacPool(Vec<(u64, u64)>);

impl Default for MacPool {
    /// The ranges of a network without a pool.
    fn default() -> Self {
        Self(vec![(0x0015_5d00_0000, 0x0015_5d00_0fff)])
    }
}

impl MacPool {
    fn of(network: &Network) -> Self {
        let ranges = network.other.get("MacPool").and_then(|pool| pool.get("Ranges")).and_then(Value::as_array);
        let end = |range: &Value, member: &str| parse_mac(range.get(member)?.as_str()?);
        let ranges: Vec<_> = ranges
            .into_iter()
            .flatten()
            .filter_map(|range| Some((end(range, "StartMacAddress")?, end(range, "EndMacAddress")?)))
            .filter(|(start, end)| start <= end)
            .collect();
        if ranges.is_empty() { Self::default() } else { Self(ranges) }
    }

    pub(super) fn len(&self) -> u64 {
        self.0.iter().map(|(start, end)| end - start + 1).sum()
    }

    /// The MAC address of a number below [`len`](Self::len).
    pub(super) fn get(&self, mut index: u64) -> Option<u64> {
        for (start, end) in &self.0 {
            let size = end - start + 1;
            if index < size {
                return Some(start + index);
            }
            index -= size;
        }
        None
    }
}

/// Parses a MAC address with hyphens, colons or neither.
pub(super) fn parse_mac(text: &str) -> Option<u64> {
    let digits: String = text.chars().filter(|c| !matches!(c, '-' | ':')).collect();
    (digits.len() == 12).then(|| u64::from_str_radix(&digits, 16).ok()).flatten()
}

/// Formats a MAC address as HNS does.
pub(super) fn print_mac(mac: u64) -> String {
    let [_, _, bytes @ ..] = mac.to_be_bytes();
    bytes.map(|byte| format!("{byte:02X}")).join("-")
}
