//! Host documents: the objects of HNS, and facts about the host.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A host document. `objects` are HCN v2 documents with a member `_kind`: `Network`, `Endpoint` or `LoadBalancer`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Host {
    /// The version of HNS, for example `15.5`, or the name of a build.
    pub hns_version: String,
    /// The name of the node.
    #[serde(default)]
    pub node: String,
    /// The addresses of the node.
    #[serde(rename = "nodeIPs", default)]
    pub node_ips: Vec<IpAddr>,
    /// The MAC address of the adapter with the address of the node.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host_mac: Option<String>,
    #[serde(default)]
    pub objects: Vec<Value>,
}

/// Why a host document is invalid.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HostError {
    #[error("hnsVersion: {0}")]
    Version(String),
    #[error("objects[{index}]{}: {reason}", name.as_ref().map(|n| format!(" ({n})")).unwrap_or_default())]
    Object {
        /// Its position in the list, from 0.
        index: usize,
        /// Its name or id, if it has one.
        name: Option<String>,
        reason: String,
    },
}
