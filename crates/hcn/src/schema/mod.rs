//! The documents of the HCN (v2) API and of the HNS v1 API.
//!
//! Callers use the v2 schema throughout; [`v1`] converts v1 documents. A known member may be missing, null, a number as text, or the name of
//! an enumeration. If it cannot be read, it counts as absent, and the rest of the document is not affected. Unknown and unreadable members are
//! kept in `other` and written back. Known members are written in one form: numbers as numbers, ids in lower case, and a member that is
//! empty, zero or false is left out. Source: [HCN JSON
//! documents](https://learn.microsoft.com/windows-server/networking/technologies/hcn/hcn-json-document-schemas).

pub(crate) mod document;
pub mod endpoint;
pub mod enumeration;
pub mod load_balancer;
pub(crate) mod member;
pub mod network;
pub mod policy;
pub mod query;
pub mod v1;

use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use document::Document;
pub use endpoint::{Endpoint, EndpointFlags, IpConfiguration};
pub use load_balancer::{DistributionType, LoadBalancer, LoadBalancerFlags, PortMapping, PortMappingFlags, Protocol};
pub use member::Unreadable;
pub use network::{Ipam, Network, NetworkType, Route, Subnet};
pub use policy::{Policy, RemoteSubnetRoute};
pub use query::Query;

/// Unknown and unreadable members of a document, unchanged.
pub type Other = serde_json::Map<String, Value>;

/// The schema version of a document, or the one that a query asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default, deny_unknown_fields)]
pub struct SchemaVersion {
    /// 2 for HCN v2 documents; 1 for HNS v1 documents, as is a document without a version.
    pub major: u32,
    /// The minor version. Microsoft's schema documents name the first version that has each member.
    pub minor: u32,
}

impl SchemaVersion {
    /// Version 2.0, which every build with the HCN API has.
    pub const V2: Self = Self { major: 2, minor: 0 };
}

impl member::Member for SchemaVersion {
    fn read(value: &Value) -> Option<Self> {
        // Serde would also read a list.
        value.as_object().and_then(|_| Self::deserialize(value).ok())
    }

    fn is_empty(&self) -> bool {
        false
    }
}

impl Default for SchemaVersion {
    fn default() -> Self {
        Self::V2
    }
}

/// Reads a document. The error has the position of what is invalid.
pub(crate) fn read<'a, T: Deserialize<'a>>(function: &'static str, text: &'a str) -> Result<T, crate::Error> {
    serde_json::from_str(text).map_err(|error| crate::Error::Document { function, reason: error.to_string() })
}

/// Writes a document.
pub(crate) fn write<T: Serialize>(document: &T) -> String {
    // Serialization fails for keys that are not strings and for a `Serialize` that fails. Our documents have neither.
    serde_json::to_string(document).unwrap_or_default()
}
