//! Query documents: which objects, and in which shape.

use serde::{Deserialize, Serialize};

use super::SchemaVersion;
use crate::Guid;

/// A query. The filter is a JSON object, written as a text inside the document.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Query {
    /// Chooses the shape of the answer.
    pub schema_version: SchemaVersion,
    /// A JSON object as text: all members must match. Empty: everything.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub filter: String,
}

impl Query {
    /// Everything.
    pub fn all() -> Self {
        Self::default()
    }

    /// The objects of this name.
    pub fn name(name: &str) -> Self {
        Self::filter("Name", name)
    }

    /// The object of this id.
    pub fn id(id: Guid) -> Self {
        Self::filter("ID", &id.to_string())
    }

    /// The endpoints of a network. The key is that of v1, inside a v2 query.
    pub fn network(network: Guid) -> Self {
        Self::filter("VirtualNetwork", &network.to_string())
    }

    fn filter(key: &str, value: &str) -> Self {
        Self { filter: serde_json::json!({ key: value }).to_string(), ..Self::default() }
    }

    /// The document.
    pub fn to_json(&self) -> String {
        super::write(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_are_texts_inside_the_document() {
        assert_eq!(Query::all().to_json(), r#"{"SchemaVersion":{"Major":2,"Minor":0}}"#);
        assert_eq!(
            Query::name("cbr0").to_json(),
            r#"{"SchemaVersion":{"Major":2,"Minor":0},"Filter":"{\"Name\":\"cbr0\"}"}"#
        );
    }
}
