//! Policies of networks and endpoints: a type and settings.

use std::net::IpAddr;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// A policy. Types compare without regard to case; settings stay as they came.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Policy {
    /// The type, `ProviderAddress` for instance.
    #[serde(rename = "Type")]
    pub kind: String,
    /// The settings, in the form of the type.
    #[serde(skip_serializing_if = "Value::is_null")]
    pub settings: Value,
}

impl Policy {
    /// The address of the node that an overlay endpoint lives on.
    pub const PROVIDER_ADDRESS: &str = "ProviderAddress";
    /// A subnet of an overlay network on another node.
    pub const REMOTE_SUBNET_ROUTE: &str = "RemoteSubnetRoute";

    /// A `ProviderAddress` policy.
    pub fn provider_address(address: IpAddr) -> Self {
        Self { kind: Self::PROVIDER_ADDRESS.into(), settings: json!({ "ProviderAddress": address.to_string() }) }
    }

    /// Whether the policy is of a type, in any spelling.
    pub fn is(&self, kind: &str) -> bool {
        self.kind.eq_ignore_ascii_case(kind)
    }

    /// The provider address, where this is such a policy and has one.
    pub fn as_provider_address(&self) -> Option<IpAddr> {
        if !self.is(Self::PROVIDER_ADDRESS) {
            return None;
        }
        self.settings.get("ProviderAddress")?.as_str()?.parse().ok()
    }

    /// The remote subnet, where this is such a policy. The inner error names what can't be read of it.
    pub fn as_remote_subnet(&self) -> Option<Result<RemoteSubnetRoute, String>> {
        self.is(Self::REMOTE_SUBNET_ROUTE)
            .then(|| serde_json::from_value(self.settings.clone()).map_err(|error| error.to_string()))
    }
}

/// A subnet of an overlay network on another node.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct RemoteSubnetRoute {
    /// The subnet's addresses.
    pub destination_prefix: IpNet,
    /// The virtual subnet id.
    #[serde(default)]
    pub isolation_id: u32,
    /// The address of the node that has the subnet.
    pub provider_address: IpAddr,
    /// The router's MAC address on that node.
    #[serde(default)]
    pub distributed_router_mac_address: String,
}
