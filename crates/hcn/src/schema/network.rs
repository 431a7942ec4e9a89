//! `HostComputeNetwork`.

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use super::{Other, Policy, SchemaVersion};
use crate::Guid;

/// A virtual network.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Network {
    /// The id. `None` lets HNS choose one.
    #[serde(rename = "ID", deserialize_with = "super::id", skip_serializing_if = "Option::is_none")]
    pub id: Option<Guid>,
    /// The name, unique among networks. Case does not matter.
    #[serde(deserialize_with = "super::text")]
    pub name: String,
    /// The type, for example overlay.
    #[serde(rename = "Type")]
    pub kind: NetworkType,
    /// The policies, for example remote subnets.
    #[serde(deserialize_with = "super::list", skip_serializing_if = "Vec::is_empty")]
    pub policies: Vec<Policy>,
    /// The subnets, in sets.
    #[serde(deserialize_with = "super::list", skip_serializing_if = "Vec::is_empty")]
    pub ipams: Vec<Ipam>,
    /// The schema version of the document.
    pub schema_version: SchemaVersion,
    /// Unknown members.
    #[serde(flatten)]
    pub other: Other,
}

impl Network {
    /// The prefixes of the subnets; an invalid one is an error. An empty prefix, and the prefix of all addresses that DHCP networks have,
    /// are left out: they do not restrict the addresses of the network.
    pub fn prefixes(&self) -> impl Iterator<Item = Result<IpNet, String>> + '_ {
        let texts = self.ipams.iter().flat_map(|ipam| &ipam.subnets).map(|subnet| subnet.ip_address_prefix.as_str());
        let read = |text: &str| text.parse::<IpNet>().map_err(|error| format!("{text:?}: {error}"));
        let says_nothing =
            |prefix: &Result<IpNet, String>| prefix.as_ref().is_ok_and(|prefix| prefix.prefix_len() == 0);
        texts.filter(|text| !text.is_empty()).map(read).filter(move |prefix| !says_nothing(prefix))
    }
}

/// The type of a network. Case does not matter, and unknown types are kept. A document without a type is a NAT network.
#[derive(Debug, Clone, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct NetworkType(pub String);

impl NetworkType {
    /// An overlay (VXLAN) network.
    pub const OVERLAY: &str = "Overlay";
    /// A bridge on the layer 2 segment of the node (L2Bridge).
    pub const L2_BRIDGE: &str = "L2Bridge";

    /// Whether this is an overlay network, whose load balancers and remote endpoints need further members.
    pub fn is_overlay(&self) -> bool {
        self.0.eq_ignore_ascii_case(Self::OVERLAY)
    }
}

impl Default for NetworkType {
    fn default() -> Self {
        Self("NAT".to_owned())
    }
}

impl PartialEq for NetworkType {
    fn eq(&self, other: &Self) -> bool {
        self.0.eq_ignore_ascii_case(&other.0)
    }
}

/// A set of subnets.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Ipam {
    /// `Static` or `DHCP`.
    #[serde(rename = "Type", skip_serializing_if = "String::is_empty")]
    pub kind: String,
    /// The subnets.
    #[serde(deserialize_with = "super::list", skip_serializing_if = "Vec::is_empty")]
    pub subnets: Vec<Subnet>,
    /// Unknown members.
    #[serde(flatten)]
    pub other: Other,
}

/// A subnet of a network.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Subnet {
    /// The prefix, for example `10.244.1.0/24`.
    pub ip_address_prefix: String,
    /// The routes. The default route has the gateway.
    #[serde(deserialize_with = "super::list", skip_serializing_if = "Vec::is_empty")]
    pub routes: Vec<Route>,
    /// The policies, for example VLAN or VSID.
    #[serde(deserialize_with = "super::list", skip_serializing_if = "Vec::is_empty")]
    pub policies: Vec<Policy>,
    /// Unknown members.
    #[serde(flatten)]
    pub other: Other,
}

/// A route of a subnet or an endpoint.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Route {
    /// The address of the gateway.
    pub next_hop: String,
    /// The destination prefix. `0.0.0.0/0` and `::/0` are default routes.
    pub destination_prefix: String,
    /// Unknown members.
    #[serde(flatten)]
    pub other: Other,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn empty_prefixes_are_left_out_and_invalid_ones_are_errors() {
        let subnet = |prefix: &str| json!({ "IpAddressPrefix": prefix });
        let network: Network = serde_json::from_value(json!({
            "Ipams": [{"Subnets": [subnet("10.244.1.0/24"), subnet(""), subnet("0.0.0.0/0")]},
                      {"Subnets": [subnet("10.0.0.300/8"), subnet("fd00:1::/64")]}]
        }))
        .unwrap();
        let prefixes: Vec<_> = network.prefixes().map(|prefix| prefix.map(|prefix| prefix.to_string())).collect();
        assert_eq!(
            prefixes,
            [
                Ok("10.244.1.0/24".to_owned()),
                Err("\"10.0.0.300/8\": invalid IP address syntax".to_owned()),
                Ok("fd00:1::/64".to_owned()),
            ]
        );
    }
}
