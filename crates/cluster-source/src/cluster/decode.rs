//! Decodes pages of lists and lines of watches.
//!
//! Each object is decoded separately, directly into the fields that are used. An object that cannot be decoded becomes a [`Problem`], and
//! the others are used. Only a body that is not a page or a line of this kind is an error.

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

use serde::de::{self, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use super::api_status::ApiStatus;
use super::kind::Kind;
use super::limits::{MAX_PAGE_OBJECTS, MAX_PROBLEM_TEXT, MAX_PROBLEMS, MAX_VALUES, SMALL_OBJECT};
use super::object::{Event, Identity, Object, Page};
use crate::kubernetes::type_error::{TypeError, type_error};
use crate::kubernetes::{Converted, Problem, ProblemKind};

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

/// What identifies an object of any kind. Items of lists have no kind of their own.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Head {
    kind: Option<String>,
    api_version: Option<String>,
    metadata: Identity,
}

impl Head {
    /// # Errors
    /// If the object is of another kind: then it says nothing about the objects of this kind.
    fn check<K: Kind>(&self) -> Result<(), String> {
        let is = |found: &Option<String>, expected: &str| found.as_ref().is_none_or(|found| found == expected);
        if is(&self.kind, K::NAME) && is(&self.api_version, K::API_VERSION) {
            return Ok(());
        }
        let name = |part: &Option<String>| part.clone().unwrap_or_default();
        Err(format!(
            "expected {} of {}, got {} of {}",
            K::NAME,
            K::API_VERSION,
            name(&self.kind),
            name(&self.api_version)
        ))
    }
}

pub(super) fn page<K: Kind>(body: &[u8]) -> Result<Page<K::Item>, DecodeError> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase", bound = "")]
    struct List<K: Kind> {
        kind: String,
        api_version: String,
        metadata: Metadata,
        items: Items<K>,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Metadata {
        resource_version: String,
        #[serde(rename = "continue", default)]
        next: Option<String>,
        #[serde(default)]
        remaining_item_count: Option<i64>,
    }
    let invalid = |reason: String| DecodeError::new(reason, body);
    let list: List<K> = serde_json::from_slice(body).map_err(|error| DecodeError::new(error, body))?;
    // A proxy, or a faulty cache, may answer with anything and code 200.
    if list.kind.strip_suffix("List") != Some(K::NAME) || list.api_version != K::API_VERSION {
        let (kind, version) = (&list.kind, &list.api_version);
        return Err(invalid(format!("expected {}List of {}, got {kind} of {version}", K::NAME, K::API_VERSION)));
    }
    // A watch from an empty version would begin at any later time.
    if list.metadata.resource_version.is_empty() {
        return Err(invalid("missing resourceVersion".to_owned()));
    }
    let next = list.metadata.next.filter(|next| !next.is_empty());
    match list.metadata.remaining_item_count {
        Some(remaining @ 1..) if next.is_none() => {
            Err(invalid(format!("missing continue token, although {remaining} objects remain")))
        }
        _ => Ok(Page {
            objects: list.items.0,
            bytes: body.len(),
            resource_version: list.metadata.resource_version,
            next,
        }),
    }
}

/// The objects of a page, each decoded as soon as it was read, so that the text of the page is the only copy.
struct Items<K: Kind>(Vec<Object<K::Item>>);

impl<'de, K: Kind> Deserialize<'de> for Items<K> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Objects<K>(PhantomData<K>);

        impl<'de, K: Kind> Visitor<'de> for Objects<K> {
            type Value = Items<K>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("items")
            }

            /// As Go writes a list without items in some versions.
            fn visit_unit<E: de::Error>(self) -> Result<Self::Value, E> {
                Ok(Items(Vec::new()))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
                let mut objects = Vec::new();
                while let Some(raw) = items.next_element::<&RawValue>()? {
                    if objects.len() >= MAX_PAGE_OBJECTS {
                        return Err(de::Error::custom(format!("more than {MAX_PAGE_OBJECTS} objects in a page")));
                    }
                    objects.push(object::<K>(raw).map_err(de::Error::custom)?);
                }
                Ok(Items(objects))
            }
        }
        deserializer.deserialize_any(Objects(PhantomData))
    }
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
        "ADDED" | "MODIFIED" => {
            Event::Applied(object::<K>(read.object).map_err(|reason| DecodeError::new(reason, line))?)
        }
        "DELETED" => Event::Deleted(deleted::<K>(read.object).map_err(|reason| DecodeError::new(reason, line))?),
        "BOOKMARK" => bookmark::<K>(read.object).map_err(|reason| DecodeError::new(reason, line))?,
        "ERROR" => Event::Error(ApiStatus::read(0, None, read.object.get().as_bytes())),
        _ => Event::Unknown,
    })
}

fn deleted<K: Kind>(object: &RawValue) -> Result<Identity, String> {
    let head: Head = serde_json::from_str(object.get()).map_err(|error| error.to_string())?;
    head.check::<K>()?;
    // Without a name it is not known what was deleted.
    if head.metadata.name.is_empty() { Err("missing metadata.name".to_owned()) } else { Ok(head.metadata) }
}

fn bookmark<K: Kind>(object: &RawValue) -> Result<Event<K::Item>, String> {
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Annotated {
        metadata: Annotations,
    }
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Annotations {
        annotations: Option<BTreeMap<String, String>>,
    }
    let invalid = |error: serde_json::Error| error.to_string();
    let head: Head = serde_json::from_str(object.get()).map_err(invalid)?;
    head.check::<K>()?;
    if head.metadata.resource_version.is_empty() {
        return Err("missing metadata.resourceVersion".to_owned());
    }
    let Annotated { metadata: Annotations { annotations } } = serde_json::from_str(object.get()).map_err(invalid)?;
    let initial_events_end =
        annotations.is_some_and(|all| all.get(INITIAL_EVENTS_END).is_some_and(|value| value == "true"));
    Ok(Event::Bookmark { resource_version: head.metadata.resource_version, initial_events_end })
}

/// Decodes the usable parts of an object.
///
/// # Errors
/// If it is of another kind.
fn object<K: Kind>(raw: &RawValue) -> Result<Object<K::Item>, String> {
    let head: Head = serde_json::from_str(raw.get()).unwrap_or_default();
    head.check::<K>()?;
    let identity = head.metadata;
    let subject = match identity.name.as_str() {
        "" => format!("{} (unnamed)", K::NAME),
        _ => format!("{} {}", K::NAME, identity.full_name()),
    };
    let (item, mut problems) = match item::<K>(raw, &subject) {
        Ok(Converted { outcome, problems }) => (outcome.ok(), problems),
        Err(problem) => (None, vec![problem]),
    };
    problems.truncate(MAX_PROBLEMS);
    problems.iter_mut().for_each(|problem| problem.shorten(MAX_PROBLEM_TEXT));
    Ok(Object { identity, item, problems, bytes: raw.get().len() })
}

/// # Errors
/// The problem that makes the object unusable.
fn item<K: Kind>(raw: &RawValue, subject: &str) -> Result<Converted<K::Item>, Problem> {
    let mut problem = Problem::object(ProblemKind::BadObject, subject, "");
    if raw.get().len() > SMALL_OBJECT && has_more_values_than(raw.get(), MAX_VALUES) {
        problem.what = format!("more than {MAX_VALUES} values");
        return Err(problem);
    }
    let read: Result<K::Object, _> = serde_json::from_str(raw.get());
    let converted = match read {
        Ok(object) => K::convert(&object).map_err(|error| error.to_string()),
        Err(error) => {
            let type_error = serde_json::from_str(raw.get()).ok().and_then(|value| type_error::<K::Object>(&value));
            Err(type_error.map_or_else(
                || {
                    // For example a field that occurs twice. The position is relative to the object, whose text no user sees.
                    let what = error.to_string();
                    what.rsplit_once(" at line ").map_or(what.as_str(), |(what, _)| what).to_owned()
                },
                |TypeError { field, what }| {
                    problem.field = field;
                    what
                },
            ))
        }
    };
    converted.map_err(|what| Problem { what, ..problem })
}

/// Whether a text has more than this number of values. Commas in strings are counted too: they are few in a valid object.
fn has_more_values_than(json: &str, limit: usize) -> bool {
    json.bytes().filter(|byte| *byte == b',').nth(limit).is_some()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::kind::{Services, Slices};
    use super::*;

    fn text(value: &Value) -> Vec<u8> {
        value.to_string().into_bytes()
    }

    fn list(metadata: Value, items: Value) -> Value {
        json!({"kind": "ServiceList", "apiVersion": "v1", "metadata": metadata, "items": items})
    }

    fn web() -> Value {
        json!({"metadata": {"namespace": "ns", "name": "web", "resourceVersion": "7"}, "spec": {"clusterIP": "10.0.0.1"}})
    }

    #[test]
    fn a_page_has_its_valid_objects_and_the_problems_of_the_others() {
        let mut odd = web();
        odd["spec"]["ports"] = json!([{"port": "http"}]);
        let list = list(json!({"resourceVersion": "9", "continue": "c"}), json!([web(), odd, 7]));
        let page = page::<Services>(&text(&list)).unwrap();
        assert_eq!((page.resource_version.as_str(), page.next.as_deref()), ("9", Some("c")));
        assert!(page.objects[0].item.is_some() && page.objects[0].problems.is_empty());
        assert_eq!(page.objects[0].identity.resource_version, "7");
        let problems: Vec<_> =
            page.objects.iter().flat_map(|object| &object.problems).map(ToString::to_string).collect();
        assert_eq!(
            problems,
            [
                "Service ns/web: spec.ports[0].port: expected an integer, found \"http\"",
                "Service (unnamed): expected an object, found 7",
            ]
        );
    }

    #[test]
    fn the_last_page_has_no_next_one() {
        for more in [json!(""), json!(null)] {
            let list = list(json!({"resourceVersion": "9", "continue": more}), json!(null));
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

    /// The errors of a decoder, without the body.
    fn errors<T: std::fmt::Debug>(read: impl Fn(&[u8]) -> Result<T, DecodeError>, bodies: &[Value]) -> Vec<String> {
        bodies.iter().map(|body| read(&text(body)).unwrap_err().reason).collect()
    }

    #[test]
    fn a_successful_list_of_something_else_is_a_decode_error() {
        let with = |field: &str, value: Value| {
            let mut list = list(json!({"resourceVersion": "9"}), json!([]));
            list[field] = value;
            list
        };
        let bodies = [
            with("kind", json!("PodList")),
            with("apiVersion", json!("serving.knative.dev/v1")),
            with("metadata", json!({"resourceVersion": ""})),
            with("metadata", json!({"resourceVersion": "9", "remainingItemCount": 2})),
            with("items", json!([{"kind": "Pod", "apiVersion": "v1", "metadata": {"name": "a"}}])),
        ];
        let reasons = errors(page::<Services>, &bodies);
        assert_eq!(
            reasons[..4],
            [
                "expected ServiceList of v1, got PodList of v1",
                "expected ServiceList of v1, got ServiceList of serving.knative.dev/v1",
                "missing resourceVersion",
                "missing continue token, although 2 objects remain",
            ]
        );
        assert!(reasons[4].starts_with("expected Service of v1, got Pod of v1"), "{}", reasons[4]);
        let mut without_items = list(json!({"resourceVersion": "9"}), json!([]));
        without_items.as_object_mut().unwrap().remove("items");
        assert!(errors(page::<Services>, &[without_items])[0].starts_with("missing field `items`"));
    }

    #[test]
    fn a_watch_event_of_something_else_is_a_decode_error() {
        let pod = json!({"kind": "Pod", "apiVersion": "v1", "metadata": {"name": "a", "resourceVersion": "9"}});
        let bodies = [
            json!({"type": "MODIFIED", "object": pod}),
            json!({"type": "DELETED", "object": pod}),
            json!({"type": "BOOKMARK", "object": pod}),
            json!({"type": "DELETED", "object": {"metadata": {}}}),
            json!({"type": "BOOKMARK", "object": {"metadata": {"resourceVersion": ""}}}),
        ];
        assert_eq!(
            errors(event::<Services>, &bodies),
            [
                "expected Service of v1, got Pod of v1",
                "expected Service of v1, got Pod of v1",
                "expected Service of v1, got Pod of v1",
                "missing metadata.name",
                "missing metadata.resourceVersion",
            ]
        );
    }

    #[test]
    fn an_object_has_limits_of_values_and_of_problems() {
        let with_ports = |ports: Vec<Value>| {
            let mut odd = web();
            odd["spec"]["ports"] = json!(ports);
            let list = list(json!({"resourceVersion": "9"}), json!([odd]));
            let mut page = page::<Services>(&text(&list)).unwrap();
            page.objects.remove(0)
        };
        let object = with_ports(vec![json!({}); MAX_VALUES]);
        let problems: Vec<_> = object.problems.iter().map(ToString::to_string).collect();
        assert_eq!((object.item, problems), (None, vec!["Service ns/web: more than 100000 values".to_owned()]));
        assert_eq!(with_ports(vec![json!({"port": 0}); 50]).problems.len(), MAX_PROBLEMS);
        let object = with_ports(vec![json!({"port": "x".repeat(1000)})]);
        assert_eq!(object.problems[0].what.chars().count(), MAX_PROBLEM_TEXT);
    }

    #[test]
    fn a_page_has_a_limit_of_objects() {
        let items = vec![0; MAX_PAGE_OBJECTS + 1];
        let reasons = errors(page::<Services>, &[list(json!({"resourceVersion": "9"}), json!(items))]);
        assert!(reasons[0].starts_with("more than 50000 objects in a page"), "{}", reasons[0]);
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
