//! `HostComputeNetwork`.

use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::document::document;
use super::member::Member;
use super::{Policy, SchemaVersion};
use crate::Guid;

document! {
    /// A virtual network.
    pub struct Network {
        /// The id. `None` lets HNS choose one.
        "ID" => id: Option<Guid>,
        /// The name, unique among networks. Case does not matter.
        "Name" (always) => name: String,
        /// The type, for example overlay.
        "Type" (always) => kind: NetworkType,
        /// The policies, for example remote subnets.
        "Policies" => policies: Vec<Policy>,
        /// The subnets, in sets.
        "Ipams" => ipams: Vec<Ipam>,
        /// The schema version of the document.
        "SchemaVersion" (always) => schema_version: SchemaVersion,
    }
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

impl Member for NetworkType {
    fn read(value: &Value) -> Option<Self> {
        String::read(value).map(Self)
    }

    fn is_empty(&self) -> bool {
        false
    }
}

impl PartialEq for NetworkType {
    fn eq(&self, other: &Self) -> bool {
        self.0.eq_ignore_ascii_case(&other.0)
    }
}

document! {
    /// A set of subnets.
    pub struct Ipam {
        /// `Static` or `DHCP`.
        "Type" => kind: String,
        /// The subnets.
        "Subnets" => subnets: Vec<Subnet>,
    }
}

document! {
    /// A subnet of a network.
    pub struct Subnet {
        /// The prefix, for example `10.244.1.0/24`.
        "IpAddressPrefix" (always) => ip_address_prefix: String,
        /// The routes. The default route has the gateway.
        "Routes" => routes: Vec<Route>,
        /// The policies, for example VLAN or VSID.
        "Policies" => policies: Vec<Policy>,
    }
}

document! {
    /// A route of a subnet or an endpoint.
    pub struct Route {
        /// The address of the gateway.
        "NextHop" (always) => next_hop: String,
        /// The destination prefix. `0.0.0.0/0` and `::/0` are default routes.
        "DestinationPrefix" (always) => destination_prefix: String,
    }
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
