//! `HostComputeNetwork`.

use serde::{Deserialize, Serialize};

use super::{Other, Policy, SchemaVersion};
use crate::Guid;

/// A virtual network.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Network {
    /// The id.
    #[serde(rename = "ID", deserialize_with = "super::id", skip_serializing_if = "Option::is_none")]
    pub id: Option<Guid>,
    /// The name, unique among networks without regard to case.
    #[serde(deserialize_with = "super::text")]
    pub name: String,
    /// The type.
    #[serde(rename = "Type")]
    pub kind: NetworkType,
    /// Policies of the network, remote subnets among them.
    #[serde(deserialize_with = "super::list", skip_serializing_if = "Vec::is_empty")]
    pub policies: Vec<Policy>,
    /// Address ranges.
    #[serde(deserialize_with = "super::list", skip_serializing_if = "Vec::is_empty")]
    pub ipams: Vec<Ipam>,
    /// The version of the document.
    pub schema_version: SchemaVersion,
    /// The rest.
    #[serde(flatten)]
    pub other: Other,
}

/// The type of a network. Spelled in any case; unknown types are kept. A document without a type is a NAT network.
#[derive(Debug, Clone, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct NetworkType(pub String);

impl NetworkType {
    /// An overlay (VXLAN) network.
    pub const OVERLAY: &str = "Overlay";
    /// A bridge on the node's own segment.
    pub const L2_BRIDGE: &str = "L2Bridge";

    /// Whether this is an overlay network, the one distinction that a Service proxy makes.
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
    /// The rest.
    #[serde(flatten)]
    pub other: Other,
}

/// A subnet of a network.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Subnet {
    /// The prefix, `10.244.1.0/24` for instance.
    pub ip_address_prefix: String,
    /// Routes; the default one names the gateway.
    #[serde(deserialize_with = "super::list", skip_serializing_if = "Vec::is_empty")]
    pub routes: Vec<Route>,
    /// VLAN or VSID.
    #[serde(deserialize_with = "super::list", skip_serializing_if = "Vec::is_empty")]
    pub policies: Vec<Policy>,
    /// The rest.
    #[serde(flatten)]
    pub other: Other,
}

/// A route of a subnet or an endpoint.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Route {
    /// The gateway.
    pub next_hop: String,
    /// The destination; `0.0.0.0/0` and `::/0` are the default routes.
    pub destination_prefix: String,
    /// The rest.
    #[serde(flatten)]
    pub other: Other,
}
