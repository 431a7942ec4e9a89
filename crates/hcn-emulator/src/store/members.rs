//! Reads members of JSON documents.

use hcn::Guid;
use hcn::schema::Document;
use serde_json::Value;

use crate::rules::{self, Rule};

/// Converts a document of the store, which was checked when it was stored.
pub(crate) fn read<T: serde::de::DeserializeOwned + Default>(document: &Value) -> T {
    T::deserialize(document).unwrap_or_default()
}

/// Converts a document of a caller. Unlike a client of HNS, it refuses members of the wrong type.
pub(crate) fn typed<T: Document>(document: &Value) -> Result<T, Rule> {
    strictly(document).map_err(|_| rules::INVALID_JSON)
}

/// Converts a document, if all its members have the right type.
///
/// # Errors
/// Names the first member with the wrong type.
pub(crate) fn strictly<T: Document>(document: &Value) -> Result<T, String> {
    let typed = T::deserialize(document).map_err(|error| error.to_string())?;
    if let Some(unreadable) = typed.unreadable_members().first() {
        return Err(unreadable.to_string());
    }
    // A number that was read from a text is written as a number.
    let written = serde_json::to_value(&typed).unwrap_or_default();
    match other_type(document, &written) {
        Some(member) => Err(format!("wrong type of {member}")),
        None => Ok(typed),
    }
}

/// The first member whose value has another type in the second document.
fn other_type(given: &Value, written: &Value) -> Option<String> {
    match (given, written) {
        (Value::Object(given), Value::Object(written)) => given.iter().find_map(|(name, value)| {
            let inside = other_type(value, written.get(name)?)?;
            Some(if inside.is_empty() { name.clone() } else { format!("{name}.{inside}") })
        }),
        (Value::Array(given), Value::Array(written)) => {
            given.iter().zip(written).find_map(|(given, written)| other_type(given, written))
        }
        (Value::Number(_), Value::Number(_))
        | (Value::String(_), Value::String(_))
        | (Value::Bool(_), Value::Bool(_))
        | (Value::Null, _) => None,
        _ => Some(String::new()),
    }
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
