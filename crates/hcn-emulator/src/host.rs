//! A host as a document: what its HNS holds, and what the host knows of itself.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A host document. `objects` are HCN v2 documents with a member `_kind`: `Network`, `Endpoint` or `LoadBalancer`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Host {
    /// The version of HNS, `15.5` for instance, or the name of a build.
    pub hns_version: String,
    /// The node's name.
    #[serde(default)]
    pub node: String,
    /// The node's addresses.
    #[serde(rename = "nodeIPs", default)]
    pub node_ips: Vec<IpAddr>,
    /// The MAC address of the adapter that has the node's address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host_mac: Option<String>,
    /// The objects that HNS holds.
    #[serde(default)]
    pub objects: Vec<Value>,
}

/// What is wrong with a host document.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HostError {
    /// The version is none.
    #[error("hnsVersion: {0}")]
    Version(String),
    /// An object can't be taken.
    #[error("objects[{index}]{}: {reason}", name.as_ref().map(|n| format!(" ({n})")).unwrap_or_default())]
    Object {
        /// Its place in the list.
        index: usize,
        /// Its name or id, if it has one.
        name: Option<String>,
        /// What is wrong with it.
        reason: String,
    },
}
