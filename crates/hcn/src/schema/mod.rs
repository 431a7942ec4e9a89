//! The documents of the HCN (v2) API and of the HNS v1 API.
//!
//! Callers use the v2 schema throughout; [`v1`] converts v1 documents. Unknown members are kept in `other` and written back.
//! Enumerations are open: an unknown value is data, not an error. Source: [HCN JSON
//! documents](https://learn.microsoft.com/windows-server/networking/technologies/hcn/hcn-json-document-schemas).

pub mod endpoint;
pub mod load_balancer;
pub mod network;
pub mod policy;
pub mod query;
pub mod v1;

use serde::{Deserialize, Deserializer, Serialize};

pub use endpoint::{Endpoint, EndpointFlags, IpConfiguration};
pub use load_balancer::{DistributionType, LoadBalancer, LoadBalancerFlags, PortMapping, PortMappingFlags, Protocol};
pub use network::{Ipam, Network, NetworkType, Route, Subnet};
pub use policy::{Policy, RemoteSubnetRoute};
pub use query::Query;

/// Unknown members of a document, unchanged.
pub type Other = serde_json::Map<String, serde_json::Value>;

/// The schema version of a document, or the one that a query asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
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

impl Default for SchemaVersion {
    fn default() -> Self {
        Self::V2
    }
}

/// Defines a bit set. Unknown bits are kept.
macro_rules! flags {
    ($(#[$meta:meta])* $name:ident { $($(#[$bit_meta:meta])* $bit:ident = $value:literal;)* }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Default, serde::Serialize)]
        #[serde(transparent)]
        pub struct $name(pub u32);

        impl $name {
            /// No bit set.
            pub const NONE: Self = Self(0);
            $($(#[$bit_meta])* pub const $bit: Self = Self($value);)*

            /// Whether no bit is set.
            pub fn is_empty(&self) -> bool {
                self.0 == 0
            }

            /// Whether all bits of `other` are set.
            pub fn contains(self, other: Self) -> bool {
                self.0 & other.0 == other.0
            }

            /// These bits and, if `condition` holds, those of `other`.
            #[must_use]
            pub fn with(self, other: Self, condition: bool) -> Self {
                if condition { Self(self.0 | other.0) } else { self }
            }

            /// Only those bits that `mask` has too.
            #[must_use]
            pub fn masked(self, mask: Self) -> Self {
                Self(self.0 & mask.0)
            }
        }

        impl std::ops::BitOr for $name {
            type Output = Self;
            fn bitor(self, other: Self) -> Self {
                Self(self.0 | other.0)
            }
        }

        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                let mut rest = self.0;
                let mut names: Vec<String> = Vec::new();
                $(if rest & $value == $value { names.push(stringify!($bit).to_owned()); rest &= !$value; })*
                if rest != 0 || names.is_empty() { names.push(format!("{rest}")); }
                f.write_str(&names.join("|"))
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                crate::schema::number(deserializer).map(Self)
            }
        }
    };
}
pub(crate) use flags;

/// Reads a number that HNS and its clients also write as a decimal string.
pub(crate) fn number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum NumberOrText {
        Number(u32),
        Text(String),
    }
    match NumberOrText::deserialize(deserializer)? {
        NumberOrText::Number(number) => Ok(number),
        NumberOrText::Text(text) => text.parse().map_err(serde::de::Error::custom),
    }
}

/// Reads a list that may be missing or null.
pub(crate) fn list<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Vec<T>, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// Reads a string that may be missing or null.
pub(crate) fn text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// Reads an id that may be missing, null or an empty string.
pub(crate) fn id<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<crate::Guid>, D::Error> {
    match Option::<String>::deserialize(deserializer)? {
        None => Ok(None),
        Some(text) if text.is_empty() => Ok(None),
        Some(text) => text.parse().map(Some).map_err(serde::de::Error::custom),
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
