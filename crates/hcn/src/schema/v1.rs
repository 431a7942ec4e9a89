//! The documents of HNS v1, and their conversion from and to the v2 shapes.
//!
//! v1 says less: no affinity, no flags of a port mapping, no IPv6 flag. What it can't say is lost in conversion; the proxy masks what
//! it wants to what the generation can say before it compares.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{
    DistributionType, Endpoint, EndpointFlags, IpConfiguration, LoadBalancer, LoadBalancerFlags, Network, NetworkType,
    Other, Policy, PortMapping, PortMappingFlags, Protocol, SchemaVersion,
};
use crate::Guid;

/// What every answer of `HNSCall` is wrapped in.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Envelope {
    /// Whether the call succeeded.
    pub success: bool,
    /// The text of the failure.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub error: String,
    /// The answer.
    #[serde(skip_serializing_if = "Value::is_null")]
    pub output: Value,
}

/// A network of v1.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct HnsNetwork {
    /// The id.
    #[serde(rename = "ID", deserialize_with = "super::id", skip_serializing_if = "Option::is_none")]
    pub id: Option<Guid>,
    /// The name.
    pub name: String,
    /// The type, often in lower case.
    #[serde(rename = "Type")]
    pub kind: NetworkType,
    /// Policies: flat objects with a `Type`.
    #[serde(deserialize_with = "super::list", skip_serializing_if = "Vec::is_empty")]
    pub policies: Vec<Value>,
    /// The rest.
    #[serde(flatten)]
    pub other: Other,
}

impl From<HnsNetwork> for Network {
    fn from(v1: HnsNetwork) -> Self {
        let policies = v1.policies.into_iter().filter_map(flat_to_v2).collect();
        Network { id: v1.id, name: v1.name, kind: v1.kind, policies, ..Network::default() }
    }
}

/// An endpoint of v1.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct HnsEndpoint {
    /// The id.
    #[serde(rename = "ID", deserialize_with = "super::id", skip_serializing_if = "Option::is_none")]
    pub id: Option<Guid>,
    /// The name.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// The network's id.
    #[serde(deserialize_with = "super::id", skip_serializing_if = "Option::is_none")]
    pub virtual_network: Option<Guid>,
    /// Policies: flat objects with a `Type`.
    #[serde(deserialize_with = "super::list", skip_serializing_if = "Vec::is_empty")]
    pub policies: Vec<Value>,
    /// The MAC address.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub mac_address: String,
    /// The IPv4 address.
    #[serde(rename = "IPAddress", skip_serializing_if = "String::is_empty")]
    pub ip_address: String,
    /// The length of its prefix.
    #[serde(skip_serializing_if = "is_zero")]
    pub prefix_length: u8,
    /// The IPv6 address.
    #[serde(rename = "IPv6Address", skip_serializing_if = "String::is_empty")]
    pub ipv6_address: String,
    /// The length of its prefix.
    #[serde(rename = "IPv6PrefixLength", skip_serializing_if = "is_zero")]
    pub ipv6_prefix_length: u8,
    /// Whether the endpoint stands for an address on another node.
    #[serde(skip_serializing_if = "is_false")]
    pub is_remote_endpoint: bool,
    /// The rest.
    #[serde(flatten)]
    pub other: Other,
}

fn is_zero(number: &u8) -> bool {
    *number == 0
}

fn is_false(value: &bool) -> bool {
    !value
}

impl From<HnsEndpoint> for Endpoint {
    fn from(v1: HnsEndpoint) -> Self {
        let ip = |address: String, length| {
            (!address.is_empty()).then(|| IpConfiguration {
                ip_address: address,
                prefix_length: length,
                ..IpConfiguration::default()
            })
        };
        Endpoint {
            id: v1.id,
            name: v1.name,
            host_compute_network: v1.virtual_network,
            policies: v1.policies.into_iter().filter_map(flat_to_v2).collect(),
            ip_configurations: [ip(v1.ip_address, v1.prefix_length), ip(v1.ipv6_address, v1.ipv6_prefix_length)]
                .into_iter()
                .flatten()
                .collect(),
            mac_address: v1.mac_address,
            flags: EndpointFlags::NONE.with(EndpointFlags::REMOTE, v1.is_remote_endpoint),
            schema_version: SchemaVersion::V2,
            other: Other::new(),
        }
    }
}

impl From<&Endpoint> for HnsEndpoint {
    fn from(v2: &Endpoint) -> Self {
        let ip = |want_v6: bool| {
            v2.ip_configurations.iter().find(|ip| ip.ip_address.contains(':') == want_v6).cloned().unwrap_or_default()
        };
        let (v4, v6) = (ip(false), ip(true));
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
            is_remote_endpoint: v2.is_remote(),
            other: Other::new(),
        }
    }
}

/// A v1 policy as a v2 policy: `PA` is renamed, others keep their members as settings.
fn flat_to_v2(flat: Value) -> Option<Policy> {
    let Value::Object(mut members) = flat else { return None };
    let kind = members.remove("Type")?.as_str()?.to_owned();
    if kind.eq_ignore_ascii_case("PA") {
        let settings = json!({ "ProviderAddress": members.remove("PA")? });
        return Some(Policy { kind: Policy::PROVIDER_ADDRESS.into(), settings });
    }
    Some(Policy { kind, settings: Value::Object(members) })
}

/// A v2 policy as v1 writes it.
fn v2_to_flat(policy: &Policy) -> Value {
    if let Some(address) = policy.as_provider_address() {
        return json!({ "Type": "PA", "PA": address.to_string() });
    }
    let mut members = policy.settings.as_object().cloned().unwrap_or_default();
    members.insert("Type".into(), policy.kind.clone().into());
    Value::Object(members)
}

/// A policy list of v1: a load balancer, if its one policy is of type `ELB`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct PolicyList {
    /// The id.
    #[serde(rename = "ID", deserialize_with = "super::id", skip_serializing_if = "Option::is_none")]
    pub id: Option<Guid>,
    /// Paths of endpoints, `/endpoints/<id>`.
    #[serde(deserialize_with = "super::list")]
    pub references: Vec<String>,
    /// The policies.
    #[serde(deserialize_with = "super::list")]
    pub policies: Vec<Value>,
    /// The rest.
    #[serde(flatten)]
    pub other: Other,
}

/// The path of an endpoint, as policy lists refer to it.
const ENDPOINT_PATH: &str = "/endpoints/";

/// The `ELB` policy. The order of members is that of the original Windows kernel proxy's documents.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct ElbPolicy {
    /// The port of the frontend.
    pub external_port: u16,
    /// The port of the backends.
    pub internal_port: u16,
    /// TCP or UDP.
    pub protocol: Protocol,
    /// `ELB`.
    #[serde(rename = "Type")]
    pub kind: String,
    /// The addresses of the frontend; none: those of the node.
    #[serde(rename = "VIPs", deserialize_with = "super::list", skip_serializing_if = "Vec::is_empty")]
    pub vips: Vec<String>,
    /// The source address of translated traffic.
    #[serde(rename = "SourceVIP", skip_serializing_if = "String::is_empty")]
    pub source_vip: String,
    /// An internal load balancer.
    #[serde(rename = "ILB", skip_serializing_if = "is_false")]
    pub ilb: bool,
    /// Answers go to the client directly.
    #[serde(rename = "IsDSR", skip_serializing_if = "is_false")]
    pub is_dsr: bool,
}

impl ElbPolicy {
    const TYPE: &str = "ELB";
}

impl TryFrom<PolicyList> for LoadBalancer {
    type Error = String;

    /// Fails, with the reason, where the list is no load balancer.
    fn try_from(v1: PolicyList) -> Result<Self, String> {
        let mut document = LoadBalancer {
            id: v1.id,
            host_compute_endpoints: v1
                .references
                .iter()
                .map(|path| path.strip_prefix(ENDPOINT_PATH).unwrap_or(path).to_owned())
                .collect(),
            ..LoadBalancer::default()
        };
        for policy in v1.policies {
            let elb: ElbPolicy = serde_json::from_value(policy).map_err(|error| error.to_string())?;
            if !elb.kind.eq_ignore_ascii_case(ElbPolicy::TYPE) {
                return Err(format!("a policy list of type {:?} is no load balancer", elb.kind));
            }
            document.source_vip = elb.source_vip;
            document.frontend_vips = elb.vips;
            document.flags = document.flags.with(LoadBalancerFlags::DSR, elb.is_dsr);
            document.port_mappings.push(PortMapping {
                protocol: elb.protocol,
                internal_port: elb.internal_port,
                external_port: elb.external_port,
                distribution_type: DistributionType::CONNECTION,
                flags: PortMappingFlags::NONE.with(PortMappingFlags::ILB, elb.ilb),
            });
        }
        Ok(document)
    }
}

impl From<&LoadBalancer> for PolicyList {
    fn from(v2: &LoadBalancer) -> Self {
        let policies = v2.port_mappings.iter().map(|mapping| {
            let elb = ElbPolicy {
                external_port: mapping.external_port,
                internal_port: mapping.internal_port,
                protocol: mapping.protocol,
                kind: ElbPolicy::TYPE.to_owned(),
                vips: v2.frontend_vips.clone(),
                source_vip: v2.source_vip.clone(),
                ilb: mapping.flags.contains(PortMappingFlags::ILB),
                is_dsr: v2.flags.contains(LoadBalancerFlags::DSR),
            };
            serde_json::to_value(elb).unwrap_or_default()
        });
        PolicyList {
            id: v2.id,
            references: v2.host_compute_endpoints.iter().map(|id| format!("{ENDPOINT_PATH}{id}")).collect(),
            policies: policies.collect(),
            other: Other::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_policy_list_of_the_original_windows_kernel_proxy() {
        let document = LoadBalancer {
            host_compute_endpoints: vec![
                "ca8b877b-ab90-499a-bc0e-7d736c425632".into(),
                "ee0ef08b-8434-4f8b-b748-393884e77465".into(),
            ],
            frontend_vips: vec!["11.0.98.129".into()],
            port_mappings: vec![PortMapping {
                protocol: Protocol::TCP,
                internal_port: 80,
                external_port: 80,
                ..PortMapping::default()
            }],
            ..LoadBalancer::default()
        };
        let golden = r#"{"Policies":[{"ExternalPort":80,"InternalPort":80,"Protocol":6,"Type":"ELB","VIPs":["11.0.98.129"]}],"References":["/endpoints/ca8b877b-ab90-499a-bc0e-7d736c425632","/endpoints/ee0ef08b-8434-4f8b-b748-393884e77465"]}"#;
        let golden: Value = serde_json::from_str(golden).unwrap();
        let list = PolicyList::from(&document);
        assert_eq!(serde_json::to_value(&list).unwrap(), golden);
        assert_eq!(LoadBalancer::try_from(list), Ok(document));
    }

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
    fn a_route_policy_list_is_no_load_balancer() {
        let list = PolicyList { policies: vec![json!({"Type":"ROUTE"})], ..PolicyList::default() };
        assert!(LoadBalancer::try_from(list).unwrap_err().contains("ROUTE"));
    }
}
