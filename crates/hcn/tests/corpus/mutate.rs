//! Replaces each member of a document by values of other types.

use serde_json::{Value, json};

/// Calls `check` for each replacement. An error names what was replaced.
pub(crate) fn each(document: &Value, check: impl Fn(&Value) -> Result<(), String>) -> Result<(), String> {
    let mut pointers = Vec::new();
    members(document, String::new(), &mut pointers);
    for pointer in pointers {
        for value in
            [json!(null), json!("x"), json!("7"), json!(7), json!(-1), json!(true), json!({}), json!([7]), json!([])]
        {
            let mut mutated = document.clone();
            *mutated.pointer_mut(&pointer).unwrap() = value.clone();
            check(&mutated).map_err(|error| format!("{pointer} = {value}: {error}"))?;
        }
    }
    Ok(())
}

/// The members and elements at any depth. The bookkeeping of HNS is kept as it is, whatever it contains.
fn members(value: &Value, pointer: String, found: &mut Vec<String>) {
    let inside: Vec<(String, &Value)> = match value {
        Value::Object(members) => members.iter().map(|(name, value)| (name.clone(), value)).collect(),
        Value::Array(list) => list.iter().enumerate().map(|(index, value)| (index.to_string(), value)).collect(),
        _ => Vec::new(),
    };
    for (name, value) in inside.into_iter().filter(|(name, _)| name != "Resources" && name != "Extensions") {
        let pointer = format!("{pointer}/{name}");
        found.push(pointer.clone());
        members(value, pointer, found);
    }
}
