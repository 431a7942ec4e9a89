//! `HostComputeEndpoint`.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::{Other, Policy, SchemaVersion, flags};
use crate::Guid;

/// A port of a virtual network: a pod, the host, or an address on another node.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Endpoint {
    /// The id.
    #[serde(rename = "ID", deserialize_with = "super::id", skip_serializing_if = "Option::is_none")]
    pub id: Option<Guid>,
    /// The name; not unique. HNS calls an unnamed endpoint `Ethernet`.
    #[serde(deserialize_with = "super::text", skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// The network.
    #[serde(deserialize_with = "super::id", skip_serializing_if = "Option::is_none")]
    pub host_compute_network: Option<Guid>,
    /// Policies of the endpoint, the provider address among them.
    #[serde(deserialize_with = "super::list", skip_serializing_if = "Vec::is_empty")]
    pub policies: Vec<Policy>,
    /// Addresses.
    #[serde(deserialize_with = "super::list", skip_serializing_if = "Vec::is_empty")]
    pub ip_configurations: Vec<IpConfiguration>,
    /// The MAC address, with hyphens or colons.
    #[serde(deserialize_with = "super::text", skip_serializing_if = "String::is_empty")]
    pub mac_address: String,
    /// Remote or local, and more.
    #[serde(skip_serializing_if = "EndpointFlags::is_empty")]
    pub flags: EndpointFlags,
    /// The version of the document.
    pub schema_version: SchemaVersion,
    /// The rest.
    #[serde(flatten)]
    pub other: Other,
}

impl Endpoint {
    /// The addresses that can be read, in order.
    pub fn addresses(&self) -> impl Iterator<Item = IpAddr> + '_ {
        self.ip_configurations.iter().filter_map(|ip| ip.ip_address.parse().ok())
    }

    /// Whether the endpoint stands for an address on another node.
    pub fn is_remote(&self) -> bool {
        self.flags.contains(EndpointFlags::REMOTE)
    }

    /// The address of the node that the endpoint is on, for overlay networks.
    pub fn provider_address(&self) -> Option<IpAddr> {
        self.policies.iter().find_map(Policy::as_provider_address)
    }
}

/// An address of an endpoint.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct IpConfiguration {
    /// The address.
    #[serde(deserialize_with = "super::text")]
    pub ip_address: String,
    /// The length of its prefix; HNS fills it in from the subnet.
    #[serde(skip_serializing_if = "is_zero")]
    pub prefix_length: u8,
    /// The rest.
    #[serde(flatten)]
    pub other: Other,
}

fn is_zero(number: &u8) -> bool {
    *number == 0
}

flags! {
    /// Flags of an endpoint.
    EndpointFlags {
        /// An address on another node.
        REMOTE = 1;
        /// Kept from talking to its neighbours.
        DISABLE_INTER_COMPUTE_COMMUNICATION = 2;
        /// Traffic is mirrored.
        ENABLE_MIRRORING = 4;
        /// A low interface metric.
        ENABLE_LOW_INTERFACE_METRIC = 8;
    }
}
