//! Networks in the v1 schema, and their conversion.

use serde_json::Value;

use super::{default_route, dns_to_v1, dns_to_v2, flat_to_v2, gateway, only, take_list, v2_to_flat};
use crate::Guid;
use crate::schema::document::document;
use crate::schema::{Ipam, Network, NetworkType, Policy, SchemaVersion, Subnet};

document! {
    /// A network in the v1 schema.
    pub struct HnsNetwork {
        /// The id of the network.
        "ID" => id: Option<Guid>,
        /// The name of the network.
        "Name" (always) => name: String,
        /// The type, usually in lower case.
        "Type" (always) => kind: NetworkType,
        /// The network adapter of the host that the network uses.
        "NetworkAdapterName" => network_adapter_name: String,
        /// The source MAC address of outgoing traffic.
        "SourceMac" => source_mac: String,
        /// Whether endpoints use the DNS servers of the host.
        "AutomaticDNS" => automatic_dns: bool,
        /// The policies: objects with a `Type` beside their settings.
        "Policies" => policies: Vec<Value>,
        /// Ranges of MAC addresses for endpoints.
        "MacPools" => mac_pools: Vec<Value>,
        /// The subnets of the network.
        "Subnets" => subnets: Vec<HnsSubnet>,
        /// DNS suffixes, separated by commas.
        "DNSSuffix" => dns_suffix: String,
        /// DNS servers, separated by commas.
        "DNSServerList" => dns_server_list: String,
    }
}

document! {
    /// A subnet in the v1 schema.
    pub struct HnsSubnet {
        /// The prefix, for example `10.244.1.0/24`.
        "AddressPrefix" (always) => address_prefix: String,
        /// The address of the gateway, or empty.
        "GatewayAddress" => gateway_address: String,
        /// The policies, for example VLAN or VSID.
        "Policies" => policies: Vec<Value>,
    }
}

/// v2 policies that are members in v1, with the setting that has the value.
const ADAPTER: (&str, &str) = ("NetAdapterName", "NetworkAdapterName");
const SOURCE_MAC: (&str, &str) = ("SourceMacAddress", "SourceMacAddress");
const AUTOMATIC_DNS: (&str, &str) = ("AutomaticDNS", "Enable");

impl From<HnsNetwork> for Network {
    fn from(v1: HnsNetwork) -> Self {
        let mut other = v1.other;
        other.shift_remove("SchemaVersion");
        let mut policies: Vec<Policy> = v1.policies.into_iter().map(flat_to_v2).collect();
        let mut policy = |(kind, member): (&str, &str), value: Value| {
            policies.push(Policy { kind: kind.to_owned(), settings: only(member, value), ..Policy::default() });
        };
        if !v1.network_adapter_name.is_empty() {
            policy(ADAPTER, v1.network_adapter_name.into());
        }
        if !v1.source_mac.is_empty() {
            policy(SOURCE_MAC, v1.source_mac.into());
        }
        if v1.automatic_dns {
            policy(AUTOMATIC_DNS, true.into());
        }
        if !v1.mac_pools.is_empty() {
            other.insert("MacPool".into(), only("Ranges", v1.mac_pools));
        }
        if let Some(dns) = dns_to_v2(&v1.dns_suffix, &v1.dns_server_list) {
            other.insert("Dns".into(), dns);
        }
        let subnets: Vec<Subnet> = v1.subnets.into_iter().map(Subnet::from).collect();
        let ipam = Ipam { kind: "Static".into(), subnets, ..Ipam::default() };
        Network {
            id: v1.id,
            name: v1.name,
            kind: v1.kind,
            policies,
            ipams: Some(ipam).filter(|ipam| !ipam.subnets.is_empty()).into_iter().collect(),
            schema_version: SchemaVersion::V2,
            other,
            unreadable: v1.unreadable,
        }
    }
}

impl From<&Network> for HnsNetwork {
    fn from(v2: &Network) -> Self {
        let mut other = v2.other.clone();
        let dns = other.shift_remove("Dns");
        let (dns_suffix, dns_server_list) = dns_to_v1(dns.as_ref());
        let mac_pools = match other.shift_remove("MacPool") {
            Some(Value::Object(mut pool)) => take_list(&mut pool, "Ranges"),
            _ => Vec::new(),
        };
        let setting = |(kind, member): (&str, &str)| {
            v2.policies.iter().find(|policy| policy.is(kind)).and_then(|policy| policy.settings.get(member))
        };
        let text = |of| setting(of).and_then(Value::as_str).unwrap_or_default().to_owned();
        let automatic_dns = setting(AUTOMATIC_DNS).and_then(Value::as_bool);
        // A policy whose value is of another type stays a policy.
        let is_member = |policy: &Policy| {
            let is_text = |(kind, member)| policy.is(kind) && policy.settings.get(member).is_some_and(Value::is_string);
            is_text(ADAPTER) || is_text(SOURCE_MAC) || (policy.is(AUTOMATIC_DNS.0) && automatic_dns.is_some())
        };
        let rest = v2.policies.iter().filter(|policy| !is_member(policy));
        HnsNetwork {
            id: v2.id,
            name: v2.name.clone(),
            kind: v2.kind.clone(),
            network_adapter_name: text(ADAPTER),
            source_mac: text(SOURCE_MAC),
            automatic_dns: automatic_dns.unwrap_or_default(),
            policies: rest.map(v2_to_flat).collect(),
            mac_pools,
            subnets: v2.ipams.iter().flat_map(|ipam| &ipam.subnets).map(HnsSubnet::from).collect(),
            dns_suffix,
            dns_server_list,
            other,
            unreadable: v2.unreadable.clone(),
        }
    }
}

impl From<HnsSubnet> for Subnet {
    fn from(v1: HnsSubnet) -> Self {
        Subnet {
            routes: default_route(&v1.gateway_address).into_iter().collect(),
            ip_address_prefix: v1.address_prefix,
            policies: v1.policies.into_iter().map(flat_to_v2).collect(),
            other: v1.other,
            unreadable: v1.unreadable,
        }
    }
}

impl From<&Subnet> for HnsSubnet {
    fn from(v2: &Subnet) -> Self {
        HnsSubnet {
            address_prefix: v2.ip_address_prefix.clone(),
            gateway_address: gateway(&v2.routes, v2.ip_address_prefix.contains(':')),
            policies: v2.policies.iter().map(v2_to_flat).collect(),
            other: v2.other.clone(),
            unreadable: v2.unreadable.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_network_is_converted_between_both_schemas() {
        let v1 = json!({
            "Name": "vxlan0", "Type": "overlay", "NetworkAdapterName": "Ethernet 2", "SourceMac": "00-15-5D-01-02-03",
            "AutomaticDNS": true,
            "Policies": [{"Type": "RemoteSubnetRoute", "DestinationPrefix": "10.244.2.0/24", "IsolationId": 4096}],
            "MacPools": [{"StartMacAddress": "00-15-5D-52-C0-00", "EndMacAddress": "00-15-5D-52-CF-FF"}],
            "Subnets": [{"AddressPrefix": "10.244.1.0/24", "GatewayAddress": "10.244.1.1",
                         "Policies": [{"Type": "VSID", "VSID": 4096}], "Extra": 1}],
            "DNSSuffix": "a.local,b.local", "DNSServerList": "10.96.0.10", "ManagementIP": "192.168.77.1"
        });
        let v2 = json!({
            "Name": "vxlan0", "Type": "overlay",
            "Policies": [
                {"Type": "RemoteSubnetRoute", "Settings": {"DestinationPrefix": "10.244.2.0/24", "IsolationId": 4096}},
                {"Type": "NetAdapterName", "Settings": {"NetworkAdapterName": "Ethernet 2"}},
                {"Type": "SourceMacAddress", "Settings": {"SourceMacAddress": "00-15-5D-01-02-03"}},
                {"Type": "AutomaticDNS", "Settings": {"Enable": true}}],
            "Ipams": [{"Type": "Static", "Subnets": [{"IpAddressPrefix": "10.244.1.0/24",
                "Routes": [{"NextHop": "10.244.1.1", "DestinationPrefix": "0.0.0.0/0"}],
                "Policies": [{"Type": "VSID", "Settings": {"IsolationId": 4096}}], "Extra": 1}]}],
            "SchemaVersion": {"Major": 2, "Minor": 0},
            "MacPool": {"Ranges": [{"StartMacAddress": "00-15-5D-52-C0-00", "EndMacAddress": "00-15-5D-52-CF-FF"}]},
            "Dns": {"Domain": "a.local", "Search": ["a.local", "b.local"], "ServerList": ["10.96.0.10"]},
            "ManagementIP": "192.168.77.1"
        });
        let old: HnsNetwork = serde_json::from_value(v1.clone()).unwrap();
        let new = Network::from(old);
        assert_eq!(serde_json::to_value(&new).unwrap(), v2);
        assert_eq!(serde_json::to_value(HnsNetwork::from(&new)).unwrap(), v1);
    }
}
