//! Endpoints in the v1 schema, and their conversion.

use serde_json::Value;

use super::{default_route, dns_to_v1, dns_to_v2, flat_to_v2, gateway, only, take_list, v2_to_flat};
use crate::Guid;
use crate::schema::document::document;
use crate::schema::{Endpoint, EndpointFlags, IpConfiguration, Route, SchemaVersion};

document! {
    /// An endpoint in the v1 schema.
    pub struct HnsEndpoint {
        /// The id of the endpoint.
        "ID" => id: Option<Guid>,
        /// The name of the endpoint.
        "Name" => name: String,
        /// The id of the network.
        "VirtualNetwork" => virtual_network: Option<Guid>,
        /// The policies: objects with a `Type` beside their settings.
        "Policies" => policies: Vec<Value>,
        /// The MAC address.
        "MacAddress" => mac_address: String,
        /// The IPv4 address.
        "IPAddress" => ip_address: String,
        /// The prefix length of that address.
        "PrefixLength" => prefix_length: u8,
        /// The IPv6 address.
        "IPv6Address" => ipv6_address: String,
        /// The prefix length of that address.
        "IPv6PrefixLength" => ipv6_prefix_length: u8,
        /// The IPv4 gateway.
        "GatewayAddress" => gateway_address: String,
        /// The IPv6 gateway.
        "GatewayAddressV6" => gateway_address_v6: String,
        /// DNS suffixes, separated by commas.
        "DNSSuffix" => dns_suffix: String,
        /// DNS servers, separated by commas.
        "DNSServerList" => dns_server_list: String,
        /// Whether the endpoint is remote.
        "IsRemoteEndpoint" => is_remote_endpoint: bool,
        /// Whether traffic to other endpoints of the network is blocked.
        "DisableICC" => disable_icc: bool,
        /// Whether the interface has a low metric.
        "EnableLowMetric" => enable_low_metric: bool,
        /// The flags without a member of their own.
        "Flags" => flags: EndpointFlags,
    }
}

impl From<HnsEndpoint> for Endpoint {
    fn from(v1: HnsEndpoint) -> Self {
        let mut other = v1.other;
        other.shift_remove("SchemaVersion");
        let mut ip = |address: String, length: u8, member: &str| {
            if address.is_empty() {
                // v2 has no prefix length without an address.
                if length != 0 {
                    other.insert(member.into(), length.into());
                }
                return None;
            }
            Some(IpConfiguration { ip_address: address, prefix_length: length, ..IpConfiguration::default() })
        };
        let addresses = [
            ip(v1.ip_address, v1.prefix_length, "PrefixLength"),
            ip(v1.ipv6_address, v1.ipv6_prefix_length, "IPv6PrefixLength"),
        ];
        let flags = v1
            .flags
            .with(EndpointFlags::REMOTE, v1.is_remote_endpoint)
            .with(EndpointFlags::DISABLE_INTER_COMPUTE_COMMUNICATION, v1.disable_icc)
            .with(EndpointFlags::ENABLE_LOW_INTERFACE_METRIC, v1.enable_low_metric);
        if let Some(dns) = dns_to_v2(&v1.dns_suffix, &v1.dns_server_list) {
            other.insert("Dns".into(), dns);
        }
        let gateways = [&v1.gateway_address, &v1.gateway_address_v6];
        let routes: Vec<Value> =
            gateways.into_iter().filter_map(|gateway| serde_json::to_value(default_route(gateway)?).ok()).collect();
        if !routes.is_empty() {
            other.insert("Routes".into(), routes.into());
        }
        if let Some(Value::Object(namespace)) = other.get_mut("Namespace")
            && let Some(id) = namespace.shift_remove("ID")
        {
            if namespace.is_empty() {
                other.shift_remove("Namespace");
            }
            other.insert("HostComputeNamespace".into(), id);
        }
        Endpoint {
            id: v1.id,
            name: v1.name,
            host_compute_network: v1.virtual_network,
            policies: v1.policies.into_iter().map(flat_to_v2).collect(),
            ip_configurations: addresses.into_iter().flatten().collect(),
            mac_address: v1.mac_address,
            flags,
            schema_version: SchemaVersion::V2,
            other,
            unreadable: v1.unreadable,
        }
    }
}

impl From<&Endpoint> for HnsEndpoint {
    fn from(v2: &Endpoint) -> Self {
        let ip = |want_v6: bool| {
            v2.ip_configurations.iter().find(|ip| ip.ip_address.contains(':') == want_v6).cloned().unwrap_or_default()
        };
        let (v4, v6) = (ip(false), ip(true));
        let mut other = v2.other.clone();
        let dns = other.shift_remove("Dns");
        let (dns_suffix, dns_server_list) = dns_to_v1(dns.as_ref());
        let routes = take_list(&mut other, "Routes");
        let routes: Vec<Route> = routes.into_iter().filter_map(|route| serde_json::from_value(route).ok()).collect();
        if let Some(id) = other.shift_remove("HostComputeNamespace") {
            match other.get_mut("Namespace") {
                Some(Value::Object(namespace)) => drop(namespace.insert("ID".into(), id)),
                _ => drop(other.insert("Namespace".into(), only("ID", id))),
            }
        }
        let known = EndpointFlags::REMOTE
            | EndpointFlags::DISABLE_INTER_COMPUTE_COMMUNICATION
            | EndpointFlags::ENABLE_LOW_INTERFACE_METRIC;
        HnsEndpoint {
            id: v2.id,
            name: v2.name.clone(),
            virtual_network: v2.host_compute_network,
            policies: v2.policies.iter().map(v2_to_flat).collect(),
            mac_address: v2.mac_address.clone(),
            ip_address: v4.ip_address,
            prefix_length: v4.prefix_length,
            ipv6_address: v6.ip_address,
            ipv6_prefix_length: v6.prefix_length,
            gateway_address: gateway(&routes, false),
            gateway_address_v6: gateway(&routes, true),
            dns_suffix,
            dns_server_list,
            is_remote_endpoint: v2.is_remote(),
            disable_icc: v2.flags.contains(EndpointFlags::DISABLE_INTER_COMPUTE_COMMUNICATION),
            enable_low_metric: v2.flags.contains(EndpointFlags::ENABLE_LOW_INTERFACE_METRIC),
            flags: v2.flags.masked(EndpointFlags(!known.0)),
            other,
            unreadable: v2.unreadable.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::schema::Policy;

    #[test]
    fn remote_overlay_endpoints_keep_their_provider_address() {
        let document = Endpoint {
            policies: vec![Policy::provider_address("10.0.0.3".parse().unwrap())],
            ip_configurations: vec![IpConfiguration { ip_address: "10.244.2.7".into(), ..Default::default() }],
            mac_address: "02-11-0a-f4-02-07".into(),
            flags: EndpointFlags::REMOTE,
            ..Endpoint::default()
        };
        let v1 = HnsEndpoint::from(&document);
        assert_eq!(
            serde_json::to_value(&v1).unwrap(),
            json!({"Policies":[{"Type":"PA","PA":"10.0.0.3"}],"MacAddress":"02-11-0a-f4-02-07",
                   "IPAddress":"10.244.2.7","IsRemoteEndpoint":true})
        );
        assert_eq!(Endpoint::from(v1), document);
    }

    #[test]
    fn a_local_endpoint_is_converted_between_both_schemas() {
        let v1 = json!({
            "Name": "pod", "VirtualNetwork": "7b60c1d9-602e-5110-8c89-a9475b89732c",
            "Policies": [{"Type": "OutBoundNAT", "ExceptionList": ["10.96.0.0/12"]}],
            "MacAddress": "00-15-5D-00-00-01", "IPAddress": "10.244.1.5", "PrefixLength": 24,
            "IPv6Address": "fd00:10:244:1::5", "IPv6PrefixLength": 64,
            "GatewayAddress": "10.244.1.1", "GatewayAddressV6": "fd00:10:244:1::1",
            "DNSSuffix": "svc.cluster.local", "DNSServerList": "10.96.0.10,10.96.0.11",
            "DisableICC": true, "EnableLowMetric": true, "EncapOverhead": 50,
            "Namespace": {"ID": "00000000-0000-4000-8000-000000000009"}, "Flags": 32
        });
        let v2 = json!({
            "Name": "pod", "HostComputeNetwork": "7b60c1d9-602e-5110-8c89-a9475b89732c",
            "Policies": [{"Type": "OutBoundNAT", "Settings": {"Exceptions": ["10.96.0.0/12"]}}],
            "IpConfigurations": [{"IpAddress": "10.244.1.5", "PrefixLength": 24},
                                 {"IpAddress": "fd00:10:244:1::5", "PrefixLength": 64}],
            "MacAddress": "00-15-5D-00-00-01", "Flags": 42, "SchemaVersion": {"Major": 2, "Minor": 0},
            "EncapOverhead": 50,
            "Dns": {"Domain": "svc.cluster.local", "ServerList": ["10.96.0.10", "10.96.0.11"]},
            "Routes": [{"NextHop": "10.244.1.1", "DestinationPrefix": "0.0.0.0/0"},
                       {"NextHop": "fd00:10:244:1::1", "DestinationPrefix": "::/0"}],
            "HostComputeNamespace": "00000000-0000-4000-8000-000000000009"
        });
        let old: HnsEndpoint = serde_json::from_value(v1.clone()).unwrap();
        let new = Endpoint::from(old);
        assert_eq!(serde_json::to_value(&new).unwrap(), v2);
        assert_eq!(serde_json::to_value(HnsEndpoint::from(&new)).unwrap(), v1);
    }
}
