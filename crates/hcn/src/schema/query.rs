//! Query documents, which select objects and the schema of the reply.

use serde::{Deserialize, Serialize};

use super::SchemaVersion;
use crate::Guid;

/// A query. Its filter is a JSON object in a string.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Query {
    /// The schema of the reply.
    pub schema_version: SchemaVersion,
    /// A JSON object as text, all of whose members must match. Empty: all objects match.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub filter: String,
}

impl Query {
    /// Matches all objects.
    pub fn all() -> Self {
        Self::default()
    }

    /// Matches objects with a name.
    pub fn name(name: &str) -> Self {
        Self::filter("Name", name)
    }

    /// Matches the object with an id.
    pub fn id(id: Guid) -> Self {
        Self::filter("ID", &id.to_string())
    }

    /// Matches the endpoints of a network. HNS expects the v1 key in a v2 query too.
    pub fn network(network: Guid) -> Self {
        Self::filter("VirtualNetwork", &network.to_string())
    }

    fn filter(key: &str, value: &str) -> Self {
        Self { filter: serde_json::json!({ key: value }).to_string(), ..Self::default() }
    }

    /// The query as JSON.
    pub fn to_json(&self) -> String {
        super::write(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_is_json_in_a_string() {
        assert_eq!(Query::all().to_json(), r#"{"SchemaVersion":{"Major":2,"Minor":0}}"#);
        assert_eq!(
            Query::name("cbr0").to_json(),
            r#"{"SchemaVersion":{"Major":2,"Minor":0},"Filter":"{\"Name\":\"cbr0\"}"}"#
        );
    }
}
