//! Accepts Events, applies merge patches to them, and keeps them for tests.

use serde_json::{Value, json};

use crate::http::Response;
use crate::status::Status;

pub(crate) fn create(events: &mut Vec<Value>, namespace: &str, body: &[u8]) -> Result<Response, Status> {
    let mut event: Value = serde_json::from_slice(body).map_err(|error| Status::bad_request(error.to_string()))?;
    let number = events.len();
    let Some(metadata) = event.get_mut("metadata").and_then(Value::as_object_mut) else {
        return Err(Status::bad_request("an event needs metadata"));
    };
    metadata.entry("namespace").or_insert_with(|| json!(namespace));
    if let Some(prefix) = metadata.get("generateName").and_then(Value::as_str).map(str::to_owned) {
        metadata.entry("name").or_insert_with(|| json!(format!("{prefix}{number:05}")));
    }
    let name = metadata.get("name").and_then(Value::as_str).unwrap_or_default().to_owned();
    if metadata.get("namespace").and_then(Value::as_str) != Some(namespace) {
        return Err(Status::bad_request(
            "the namespace of the provided object does not match the namespace sent on the request",
        ));
    }
    if find(events, namespace, &name).is_some() {
        return Err(Status::exists("events", &name));
    }
    events.push(event.clone());
    Ok(Response::json(201, &event))
}

pub(crate) fn patch(events: &mut [Value], namespace: &str, name: &str, body: &[u8]) -> Result<Response, Status> {
    let patch: Value = serde_json::from_slice(body).map_err(|error| Status::bad_request(error.to_string()))?;
    let event = find(events, namespace, name).and_then(|index| events.get_mut(index));
    let event = event.ok_or_else(|| Status::not_found("events", name))?;
    merge(event, patch);
    Ok(Response::json(200, event))
}

fn find(events: &[Value], namespace: &str, name: &str) -> Option<usize> {
    let is = |event: &Value, field: &str, wanted: &str| {
        event.get("metadata").and_then(|metadata| metadata.get(field)).and_then(Value::as_str) == Some(wanted)
    };
    events.iter().position(|event| is(event, "namespace", namespace) && is(event, "name", name))
}

/// A JSON merge patch (RFC 7396).
fn merge(target: &mut Value, patch: Value) {
    let (Some(fields), Value::Object(patch)) = (target.as_object_mut(), &patch) else {
        *target = patch;
        return;
    };
    for (name, value) in patch {
        match value {
            Value::Null => {
                fields.shift_remove(name);
            }
            value => merge(fields.entry(name).or_insert(Value::Null), value.clone()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_created_once_and_patched() {
        let mut events = Vec::new();
        let body = json!({"metadata": {"name": "a"}, "reason": "Old", "series": {"count": 2}}).to_string();
        assert_eq!(create(&mut events, "x", body.as_bytes()).unwrap().code, 201);
        assert_eq!(create(&mut events, "x", body.as_bytes()).unwrap_err().code, 409);
        assert_eq!(create(&mut events, "y", body.as_bytes()).unwrap().code, 201);
        let change = json!({"reason": null, "series": {"count": 3, "last": "now"}}).to_string();
        assert_eq!(patch(&mut events, "x", "a", change.as_bytes()).unwrap().code, 200);
        assert_eq!(patch(&mut events, "x", "b", change.as_bytes()).unwrap_err().code, 404);
        assert_eq!(
            events[0],
            json!({"metadata": {"name": "a", "namespace": "x"}, "series": {"count": 3, "last": "now"}})
        );
        assert_eq!(events[1]["reason"], "Old");
    }
}
