//! Decodes pages of lists and lines of watches.
//!
//! Each object is decoded separately, directly into the fields that are used. An object that cannot be decoded becomes a [`Problem`], and
//! the others are used. Only a body that is not a page or a line is an error.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::api_status::ApiStatus;
use super::kind::Kind;
use super::object::{Event, Identity, Object, Page};
use crate::kubernetes::{Problem, ProblemKind};

/// The annotation of the bookmark that ends a streamed list.
const INITIAL_EVENTS_END: &str = "k8s.io/initial-events-end";

/// A body that is not a page or a watch event.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason} (the body begins with {begin:?})")]
pub(super) struct DecodeError {
    reason: String,
    begin: String,
}

impl DecodeError {
    pub(super) fn new(reason: impl ToString, body: &[u8]) -> Self {
        let begin = body.get(..40).unwrap_or(body);
        Self { reason: reason.to_string(), begin: String::from_utf8_lossy(begin).into_owned() }
    }
}

#[derive(Deserialize)]
struct Named {
    metadata: Identity,
}

pub(super) fn page<K: Kind>(body: &[u8]) -> Result<Page<K::Item>, DecodeError> {
    #[derive(Deserialize)]
    struct List<'a> {
        metadata: Metadata,
        #[serde(borrow)]
        items: Option<Vec<&'a RawValue>>,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Metadata {
        resource_version: String,
        #[serde(rename = "continue", default)]
        next: Option<String>,
    }
    let list: List<'_> = serde_json::from_slice(body).map_err(|error| DecodeError::new(error, body))?;
    Ok(Page {
        objects: list.items.unwrap_or_default().into_iter().map(object::<K>).collect(),
        resource_version: list.metadata.resource_version,
        next: list.metadata.next.filter(|next| !next.is_empty()),
    })
}

pub(super) fn event<K: Kind>(line: &[u8]) -> Result<Event<K::Item>, DecodeError> {
    #[derive(Deserialize)]
    struct Line<'a> {
        r#type: String,
        #[serde(borrow)]
        object: &'a RawValue,
    }
    let invalid = |error| DecodeError::new(error, line);
    let read: Line<'_> = serde_json::from_slice(line).map_err(invalid)?;
    Ok(match read.r#type.as_str() {
        "ADDED" | "MODIFIED" => Event::Applied(object::<K>(read.object)),
        "DELETED" => Event::Deleted(serde_json::from_str::<Named>(read.object.get()).map_err(invalid)?.metadata),
        "BOOKMARK" => bookmark(read.object).map_err(invalid)?,
        "ERROR" => Event::Error(ApiStatus::read(0, None, read.object.get().as_bytes())),
        _ => Event::Unknown,
    })
}

fn bookmark<T>(object: &RawValue) -> serde_json::Result<Event<T>> {
    #[derive(Deserialize)]
    struct Bookmark {
        metadata: Metadata,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Metadata {
        resource_version: String,
        annotations: Option<BTreeMap<String, String>>,
    }
    let Bookmark { metadata } = serde_json::from_str(object.get())?;
    let initial_events_end =
        metadata.annotations.is_some_and(|all| all.get(INITIAL_EVENTS_END).is_some_and(|value| value == "true"));
    Ok(Event::Bookmark { resource_version: metadata.resource_version, initial_events_end })
}

/// Decodes the usable parts of an object.
fn object<K: Kind>(raw: &RawValue) -> Object<K::Item> {
    let identity = serde_json::from_str::<Named>(raw.get()).map(|named| named.metadata).unwrap_or_default();
    let subject = match identity.name.as_str() {
        "" => format!("{} (unnamed)", K::NAME),
        _ => format!("{} {}", K::NAME, identity.full_name()),
    };
    let mut problem = Problem::object(ProblemKind::BadObject, subject, "");
    let read: Result<K::Object, _> =
        serde_path_to_error::deserialize(&mut serde_json::Deserializer::from_str(raw.get()));
    let converted = match read {
        Ok(object) => K::convert(&object).map_err(|error| problem.what = error.to_string()),
        Err(error) => {
            problem.field = Some(error.path().to_string()).filter(|path| path != ".").unwrap_or_default();
            // The position is relative to the object, whose text no user sees.
            let what = error.inner().to_string();
            problem.what = what.rsplit_once(" at line ").map_or(what.as_str(), |(what, _)| what).to_owned();
            Err(())
        }
    };
    match converted {
        Ok(converted) => Object { identity, item: converted.outcome.ok(), problems: converted.problems },
        Err(()) => Object { identity, item: None, problems: vec![problem] },
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::kind::{Services, Slices};
    use super::*;

    fn text(value: &Value) -> Vec<u8> {
        value.to_string().into_bytes()
    }

    fn web() -> Value {
        json!({"metadata": {"namespace": "ns", "name": "web", "resourceVersion": "7"}, "spec": {"clusterIP": "10.0.0.1"}})
    }

    #[test]
    fn a_page_has_its_valid_objects_and_the_problems_of_the_others() {
        let mut odd = web();
        odd["spec"]["ports"] = json!([{"port": "http"}]);
        let list = json!({"metadata": {"resourceVersion": "9", "continue": "c"}, "items": [web(), odd, 7]});
        let page = page::<Services>(&text(&list)).unwrap();
        assert_eq!((page.resource_version.as_str(), page.next.as_deref()), ("9", Some("c")));
        assert!(page.objects[0].item.is_some() && page.objects[0].problems.is_empty());
        assert_eq!(page.objects[0].identity.resource_version, "7");
        let problems: Vec<_> =
            page.objects.iter().flat_map(|object| &object.problems).map(ToString::to_string).collect();
        assert_eq!(
            problems,
            [
                "Service ns/web: spec.ports[0].port: invalid type: string \"http\", expected i64",
                "Service (unnamed): invalid type: integer `7`, expected struct Service",
            ]
        );
    }

    #[test]
    fn the_last_page_has_no_next_one() {
        for more in [json!(""), json!(null)] {
            let list = json!({"metadata": {"resourceVersion": "9", "continue": more}, "items": null});
            assert_eq!(page::<Services>(&text(&list)).unwrap().next, None);
        }
    }

    #[test]
    fn a_headless_service_is_an_object_without_an_item() {
        let mut headless = web();
        headless["spec"]["clusterIP"] = json!("None");
        let Event::Applied(object) =
            event::<Services>(&text(&json!({"type": "MODIFIED", "object": headless}))).unwrap()
        else {
            panic!()
        };
        assert_eq!((object.item, object.problems), (None, vec![]));
    }

    #[test]
    fn each_watch_event_is_decoded() {
        let read =
            |kind: &str, object: Value| event::<Slices>(&text(&json!({"type": kind, "object": object}))).unwrap();
        let metadata = json!({"namespace": "ns", "name": "web-1", "resourceVersion": "8"});
        let Event::Deleted(identity) = read("DELETED", json!({"metadata": metadata})) else { panic!() };
        assert_eq!((identity.full_name().as_str(), identity.resource_version.as_str()), ("ns/web-1", "8"));
        let bookmark = |annotations: Value| {
            read("BOOKMARK", json!({"metadata": {"resourceVersion": "10", "annotations": annotations}}))
        };
        let at_ten = |initial_events_end| Event::Bookmark { resource_version: "10".into(), initial_events_end };
        assert_eq!(bookmark(json!(null)), at_ten(false));
        assert_eq!(bookmark(json!({INITIAL_EVENTS_END: "true"})), at_ten(true));
        assert_eq!(read("NEW", json!({})), Event::Unknown);
        let expired = json!({"kind": "Status", "code": 410, "message": "too old resource version: 1 (5)"});
        let Event::Error(status) = read("ERROR", expired) else { panic!() };
        assert_eq!((status.code, status.message.as_str()), (410, "too old resource version: 1 (5)"));
    }

    #[test]
    fn an_invalid_response_is_a_decode_error() {
        for garbage in ["<html>busy</html>", "{\"type\":\"ADDED\",\"obj", "{}", "\u{1}\u{2}"] {
            assert!(event::<Services>(garbage.as_bytes()).is_err(), "{garbage}");
            assert!(page::<Services>(garbage.as_bytes()).is_err(), "{garbage}");
        }
        let error = page::<Services>(b"<html>busy</html>").unwrap_err().to_string();
        assert!(error.ends_with("(the body begins with \"<html>busy</html>\")"), "{error}");
    }
}
