//! `HostComputeEndpoint`.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::{Other, Policy, SchemaVersion, flags};
use crate::Guid;

/// A port of a virtual network: of a pod, of the host, or for an address on another node (remote endpoint).
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Endpoint {
    /// The id. `None` lets HNS choose one.
    #[serde(rename = "ID", deserialize_with = "super::id", skip_serializing_if = "Option::is_none")]
    pub id: Option<Guid>,
    /// The name, which need not be unique. HNS names an unnamed endpoint `Ethernet`.
    #[serde(deserialize_with = "super::text", skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// The id of the network.
    #[serde(deserialize_with = "super::id", skip_serializing_if = "Option::is_none")]
    pub host_compute_network: Option<Guid>,
    /// The policies, for example the provider address.
    #[serde(deserialize_with = "super::list", skip_serializing_if = "Vec::is_empty")]
    pub policies: Vec<Policy>,
    /// The IP addresses.
    #[serde(deserialize_with = "super::list", skip_serializing_if = "Vec::is_empty")]
    pub ip_configurations: Vec<IpConfiguration>,
    /// The MAC address, with hyphens or colons between its bytes.
    #[serde(deserialize_with = "super::text", skip_serializing_if = "String::is_empty")]
    pub mac_address: String,
    /// Whether the endpoint is remote, and other flags.
    #[serde(skip_serializing_if = "EndpointFlags::is_empty")]
    pub flags: EndpointFlags,
    /// The schema version of the document.
    pub schema_version: SchemaVersion,
    /// Unknown members.
    #[serde(flatten)]
    pub other: Other,
}

impl Endpoint {
    /// The valid addresses, in order.
    pub fn addresses(&self) -> impl Iterator<Item = IpAddr> + '_ {
        self.ip_configurations.iter().filter_map(|ip| ip.ip_address.parse().ok())
    }

    /// Whether the endpoint is remote: it has an address on another node.
    pub fn is_remote(&self) -> bool {
        self.flags.contains(EndpointFlags::REMOTE)
    }

    /// The address of the node of a remote endpoint, in overlay networks.
    pub fn provider_address(&self) -> Option<IpAddr> {
        self.policies.iter().find_map(Policy::as_provider_address)
    }
}

/// An IP address of an endpoint.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct IpConfiguration {
    /// The address as text, which may be invalid.
    #[serde(deserialize_with = "super::text")]
    pub ip_address: String,
    /// The prefix length. HNS takes it from the subnet if it is missing.
    #[serde(skip_serializing_if = "is_zero")]
    pub prefix_length: u8,
    /// Unknown members.
    #[serde(flatten)]
    pub other: Other,
}

fn is_zero(number: &u8) -> bool {
    *number == 0
}

flags! {
    /// Flags of an endpoint.
    EndpointFlags {
        /// The endpoint is on another node.
        REMOTE = 1;
        /// Traffic to other endpoints of the network is blocked.
        DISABLE_INTER_COMPUTE_COMMUNICATION = 2;
        /// Traffic is mirrored.
        ENABLE_MIRRORING = 4;
        /// The interface has a low metric.
        ENABLE_LOW_INTERFACE_METRIC = 8;
    }
}
