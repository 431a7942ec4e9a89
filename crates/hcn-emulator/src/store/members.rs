//! Reads members of JSON documents.

use hcn::Guid;
use serde_json::Value;

use crate::rules::{self, Rule};

/// Converts a document of the store, which was checked when it was stored.
pub(crate) fn read<T: serde::de::DeserializeOwned + Default>(document: &Value) -> T {
    T::deserialize(document).unwrap_or_default()
}

/// Converts a document of a caller.
pub(super) fn typed<T: serde::de::DeserializeOwned>(document: &Value) -> Result<T, Rule> {
    T::deserialize(document).map_err(|_| rules::INVALID_JSON)
}

pub(crate) fn as_id(value: &Value) -> Option<Guid> {
    value.as_str()?.parse().ok()
}

/// The id in a member; `None` if it is missing or invalid.
pub(crate) fn id_of(document: &Value, member: &str) -> Option<Guid> {
    document.get(member).and_then(as_id)
}

/// The strings of a list.
pub(super) fn texts<'a>(document: &'a Value, member: &str) -> impl Iterator<Item = &'a str> {
    document.get(member).and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str)
}

/// The valid backends of a load balancer or route.
pub(super) fn backends(document: &Value) -> impl Iterator<Item = Guid> + '_ {
    texts(document, "HostComputeEndpoints").filter_map(|id| id.parse().ok())
}

/// The resources of a kind, `Endpoint` or `Container`, in a namespace, by id.
pub(super) fn resources<'a>(namespace: &'a Value, kind: &str) -> impl Iterator<Item = &'a str> {
    let list = namespace.get("Resources").and_then(Value::as_array).into_iter().flatten();
    list.filter_map(move |resource| resource_of(resource, kind))
}

/// The id of a resource, if it is of a kind.
pub(super) fn resource_of<'a>(resource: &'a Value, kind: &str) -> Option<&'a str> {
    let same = resource.get("Type").and_then(Value::as_str) == Some(kind);
    resource.pointer("/Data/Id").filter(|_| same).and_then(Value::as_str)
}

pub(crate) fn set(document: &mut Value, member: &str, value: impl Into<Value>) {
    if let Value::Object(members) = document {
        members.insert(member.into(), value.into());
    }
}

pub(super) fn unset(document: &mut Value, member: &str) {
    if let Value::Object(members) = document {
        members.shift_remove(member);
    }
}

/// Fills in a member that is missing or empty.
pub(super) fn complete(document: &mut Value, member: &str, default: impl FnOnce() -> Value) {
    let empty = |value: &Value| match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(list) => list.is_empty(),
        _ => false,
    };
    if document.get(member).is_none_or(empty) {
        set(document, member, default());
    }
}
