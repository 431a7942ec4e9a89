//! Compares a document with the one that was written after reading it.

use hcn::schema::v1::{ElbPolicy, HnsEndpoint, HnsNetwork, HnsSubnet, PolicyList};
use hcn::schema::{LoadBalancer, PortMapping};
use serde_json::Value;

/// What `written` lacks of `original`, or has in addition. Known members may be written in another form: ids in lower case, texts as numbers
/// or numbers as texts, names of enumerations as numbers, references with their path. If they are empty, they may be missing. `lost` are the
/// members of the document that a conversion loses.
pub(crate) fn differences(original: &Value, written: &Value, lost: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    compare(original, written, lost, "", &mut found);
    found
}

fn is_known(name: &str) -> bool {
    [
        HnsNetwork::MEMBERS,
        HnsSubnet::MEMBERS,
        HnsEndpoint::MEMBERS,
        PolicyList::MEMBERS,
        ElbPolicy::MEMBERS,
        LoadBalancer::MEMBERS,
        PortMapping::MEMBERS,
    ]
    .iter()
    .any(|members| members.contains(&name))
}

fn compare(original: &Value, written: &Value, lost: &[&str], path: &str, found: &mut Vec<String>) {
    match (original, written) {
        (Value::Object(original), Value::Object(written)) => {
            for (name, value) in original.iter().filter(|(name, _)| !lost.contains(&name.as_str())) {
                let path = format!("{path}/{name}");
                match written.get(name) {
                    Some(_) if value.is_null() && is_known(name) => {}
                    Some(written) => compare(value, written, &[], &path, found),
                    None if is_empty(value) && is_known(name) => {}
                    None => found.push(format!("{path} is missing")),
                }
            }
            let added = written.iter().filter(|(name, value)| {
                !original.contains_key(*name)
                    && !(is_known(name) && (is_empty(value) || *name == "SchemaVersion"))
                    && !path.ends_with("/SchemaVersion")
            });
            found.extend(added.map(|(name, _)| format!("{path}/{name} is new")));
        }
        (Value::Array(original), Value::Array(written)) if original.len() == written.len() => {
            for (index, (original, written)) in original.iter().zip(written).enumerate() {
                compare(original, written, &[], &format!("{path}/{index}"), found);
            }
        }
        _ if original == written || is_same_scalar(original, written, path) => {}
        _ => found.push(format!("{path} is {written}")),
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::Number(number) => number.as_u64() == Some(0),
        Value::String(text) => text.is_empty(),
        Value::Array(list) => list.is_empty(),
        _ => false,
    }
}

fn is_same_scalar(original: &Value, written: &Value, path: &str) -> bool {
    let text = |value: &Value| match value {
        Value::String(text) => Some(text.trim_start_matches("/endpoints/").to_lowercase()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(_) | Value::Null | Value::Array(_) | Value::Object(_) => None,
    };
    let is_enumeration = ["Protocol", "DistributionType", "Flags"].iter().any(|name| path.ends_with(name));
    let is_read = is_enumeration && written.is_number() && !original.is_number();
    // 1 and 0 are truth values too.
    let is_truth = written.as_bool().is_some_and(|truth| original.as_u64() == Some(u64::from(truth)));
    is_read || is_truth || (text(original).is_some() && text(original) == text(written))
}
