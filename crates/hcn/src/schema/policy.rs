//! Policies of networks and endpoints: a type with its settings.

use std::net::IpAddr;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::document::document;
use super::member::Member;

document! {
    /// A policy. The case of its type does not matter; its settings are kept unchanged.
    pub struct Policy {
        /// The type, for example `ProviderAddress`. Empty if the policy has none.
        "Type" => kind: String,
        /// The settings, in the schema of the type.
        "Settings" => settings: Value,
    }
}

impl Policy {
    /// The type of the policy with the address of the node of a remote overlay endpoint.
    pub const PROVIDER_ADDRESS: &str = "ProviderAddress";
    /// The type of the policy with a subnet of an overlay network on another node.
    pub const REMOTE_SUBNET_ROUTE: &str = "RemoteSubnetRoute";

    /// Creates a `ProviderAddress` policy.
    pub fn provider_address(address: IpAddr) -> Self {
        Self {
            kind: Self::PROVIDER_ADDRESS.into(),
            settings: json!({ "ProviderAddress": address.to_string() }),
            ..Self::default()
        }
    }

    /// Whether the policy has a type, in any case.
    pub fn is(&self, kind: &str) -> bool {
        self.kind.eq_ignore_ascii_case(kind)
    }

    /// The provider address, if the policy has a valid one.
    pub fn as_provider_address(&self) -> Option<IpAddr> {
        if !self.is(Self::PROVIDER_ADDRESS) {
            return None;
        }
        self.settings.get("ProviderAddress")?.as_str()?.parse().ok()
    }

    /// The remote subnet, if this is such a policy; an error if it has no valid prefix or provider address. The other settings are optional.
    pub fn as_remote_subnet(&self) -> Option<Result<RemoteSubnetRoute, String>> {
        self.is(Self::REMOTE_SUBNET_ROUTE).then(|| {
            Ok(RemoteSubnetRoute {
                destination_prefix: self.required("DestinationPrefix")?,
                isolation_id: self.optional("IsolationId"),
                provider_address: self.required("ProviderAddress")?,
                distributed_router_mac_address: self.optional("DistributedRouterMacAddress"),
            })
        })
    }

    fn required<T: std::str::FromStr<Err: std::fmt::Display>>(&self, name: &str) -> Result<T, String> {
        let text: String = self.optional(name);
        text.parse().map_err(|error| format!("invalid {name} {text:?}: {error}"))
    }

    fn optional<T: Member>(&self, name: &str) -> T {
        self.settings.get(name).and_then(T::read).unwrap_or_default()
    }
}

/// A subnet of an overlay network on another node.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct RemoteSubnetRoute {
    /// The prefix of the subnet.
    pub destination_prefix: IpNet,
    /// The virtual subnet id (VSID).
    #[serde(default)]
    pub isolation_id: u32,
    /// The address of the node with the subnet.
    pub provider_address: IpAddr,
    /// The MAC address of the distributed router on that node.
    #[serde(default)]
    pub distributed_router_mac_address: String,
}
