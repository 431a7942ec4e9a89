//! Tests of the requests and changes of a reflector.

use proxy::model::Service;

use super::super::api_status::ApiStatus;
use super::super::decode;
use super::super::kind::{Nodes, Services};
use super::*;
use crate::kubernetes::ProblemKind;

type Subject = Reflector<Services>;

fn reflector() -> Subject {
    Reflector::new("n", true)
}

fn object(name: &str, version: &str) -> Object<Service> {
    let text = format!(
        r#"{{"type": "ADDED", "object": {{"metadata": {{"namespace": "ns", "name": "{name}", "resourceVersion": "{version}"}},
        "spec": {{"clusterIP": "10.0.0.1"}}}}}}"#
    );
    match decode::event::<Services>(text.as_bytes()).unwrap() {
        Event::Applied(object) => object,
        other => panic!("{other:?}"),
    }
}

fn odd(name: &str, version: &str) -> Object<Service> {
    let problems = vec![Problem::object(ProblemKind::BadObject, name, "is odd")];
    Object { item: None, problems, ..object(name, version) }
}

fn applied(name: &str, version: &str) -> Event<Service> {
    Event::Applied(object(name, version))
}

fn deleted(name: &str, version: &str) -> Event<Service> {
    Event::Deleted(object(name, version).identity)
}

fn bookmark(version: &str, initial_events_end: bool) -> Event<Service> {
    Event::Bookmark { resource_version: version.into(), initial_events_end }
}

fn page(objects: Vec<Object<Service>>, version: &str, next: Option<&str>) -> Page<Service> {
    Page { objects, resource_version: version.into(), next: next.map(str::to_owned) }
}

fn api_error(code: u16) -> RequestError {
    RequestError::Api(ApiStatus { code, ..ApiStatus::default() })
}

/// A short text for each change.
fn words(changes: Vec<Change>) -> Vec<String> {
    let name = |service: &Service| service.name.name.to_string();
    let word = |change| match change {
        Change::ResetServices(all) => format!("all: {}", all.iter().map(name).collect::<Vec<_>>().join(" ")),
        Change::ApplyService(service) => format!("applied {}", name(&service)),
        Change::DeleteService(deleted) => format!("deleted {}", deleted.name),
        Change::Problems(problems) => format!("problem of {}", problems[0].subject),
        other => format!("{other:?}"),
    };
    changes.into_iter().map(word).collect()
}

fn take(reflector: &mut Subject, event: Event<Service>) -> Vec<String> {
    words(reflector.on_event(event).unwrap())
}

/// A reflector with a complete list, at resource version 5.
fn at_five() -> Subject {
    let mut reflector = reflector();
    reflector.on_event(applied("a", "3")).unwrap();
    reflector.on_event(bookmark("5", true)).unwrap();
    reflector
}

#[test]
fn a_streamed_list_is_emitted_when_complete_and_then_each_change() {
    let mut reflector = reflector();
    assert_eq!(reflector.request(), Request::StreamList);
    for event in [applied("a", "1"), applied("b", "2"), applied("c", "3"), deleted("b", "4"), bookmark("4", false)] {
        assert_eq!(take(&mut reflector, event), [""; 0]);
    }
    assert_eq!(take(&mut reflector, bookmark("4", true)), ["all: a c"]);
    assert_eq!(take(&mut reflector, applied("a", "6")), ["applied a"]);
    assert_eq!(take(&mut reflector, deleted("c", "7")), ["deleted c"]);
    assert_eq!(reflector.request(), Request::Watch("7".into()));
    assert_eq!(take(&mut reflector, bookmark("9", false)), [""; 0]);
    assert_eq!(take(&mut reflector, Event::Unknown), [""; 0]);
    assert_eq!(reflector.request(), Request::Watch("9".into()));
}

#[test]
fn an_older_server_is_listed_in_pages_and_without_the_field_selector() {
    let mut reflector = reflector();
    assert!(reflector.on_error(&api_error(422)));
    assert_eq!(reflector.request(), Request::List(None));
    assert!(!reflector.on_error(&api_error(500)), "not caused by streams");
    assert_eq!(reflector.selection().fields, "spec.clusterIP!=None");
    assert!(reflector.on_error(&api_error(400)));
    assert_eq!((reflector.request(), reflector.selection().fields.as_str()), (Request::List(None), ""));
    assert!(!reflector.on_error(&api_error(400)), "nothing is left to drop");
    assert_eq!(words(reflector.on_page(page(vec![object("a", "1")], "5", Some("t")))), [""; 0]);
    assert_eq!(reflector.request(), Request::List(Some("t".into())));
    assert!(!reflector.on_error(&api_error(500)), "the same page is requested again");
    assert_eq!(words(reflector.on_page(page(vec![object("b", "2")], "5", None))), ["all: a b"]);
    assert_eq!(reflector.request(), Request::Watch("5".into()));
}

#[test]
fn a_required_field_selector_is_never_dropped() {
    let mut reflector = Reflector::<Nodes>::new("n", true);
    reflector.on_error(&api_error(400));
    reflector.on_error(&api_error(400));
    assert_eq!(reflector.selection().fields, "metadata.name=n");
}

#[test]
fn a_stream_that_times_out_is_replaced_by_pages() {
    let mut reflector = reflector();
    assert!(!reflector.on_error(&RequestError::Timeout));
    assert_eq!(reflector.request(), Request::List(None));
}

#[test]
fn an_incomplete_list_is_never_emitted() {
    let mut reflector = reflector();
    take(&mut reflector, applied("a", "1"));
    reflector.on_error(&RequestError::Connect("cut".into()));
    assert_eq!(reflector.request(), Request::StreamList);
    take(&mut reflector, applied("b", "2"));
    reflector.on_end();
    take(&mut reflector, applied("c", "2"));
    assert_eq!(take(&mut reflector, bookmark("4", true)), ["all: c"]);
}

#[test]
fn an_expired_continue_token_restarts_the_list() {
    let mut reflector = reflector();
    reflector.on_error(&api_error(422));
    reflector.on_page(page(vec![object("a", "1")], "5", Some("t")));
    reflector.on_error(&api_error(410));
    assert_eq!(reflector.request(), Request::List(None));
    assert_eq!(words(reflector.on_page(page(vec![object("b", "2")], "7", None))), ["all: b"]);
}

#[test]
fn after_a_break_the_resource_version_is_verified_and_the_watch_continues() {
    let mut reflector = at_five();
    reflector.on_error(&RequestError::ConnectionLost("reset".into()));
    assert_eq!(reflector.request(), Request::Verify("5".into()));
    reflector.on_error(&RequestError::Connect("refused".into()));
    assert_eq!(reflector.request(), Request::Verify("5".into()));
    reflector.on_verified();
    assert_eq!(reflector.request(), Request::Watch("5".into()));
    reflector.on_error(&api_error(429));
    assert_eq!(reflector.request(), Request::Watch("5".into()), "an overloaded server still has the version");
    reflector.on_end();
    assert_eq!(reflector.request(), Request::Watch("5".into()));
}

#[test]
fn an_expired_or_unknown_resource_version_is_relisted() {
    let unknown = RequestError::Api(ApiStatus { code: 504, version_unknown: true, ..ApiStatus::default() });
    for failure in [api_error(410), api_error(400), unknown] {
        let mut reflector = at_five();
        reflector.on_error(&RequestError::ConnectionLost("reset".into()));
        reflector.on_error(&failure);
        assert_eq!(reflector.request(), Request::StreamList);
        assert_eq!(take(&mut reflector, applied("b", "2")), [""; 0]);
        assert_eq!(take(&mut reflector, bookmark("2", true)), ["all: b"]);
    }
}

#[test]
fn an_error_event_ends_the_watch() {
    let expired = Event::Error(ApiStatus { code: 410, ..ApiStatus::default() });
    assert_eq!(at_five().on_event(expired), Err(api_error(410)));
}

#[test]
fn an_invalid_object_is_deleted_and_its_problems_are_emitted_once_for_each_version() {
    let mut reflector = at_five();
    assert_eq!(take(&mut reflector, Event::Applied(odd("a", "6"))), ["problem of a", "deleted a"]);
    assert_eq!(take(&mut reflector, Event::Applied(odd("a", "6"))), ["deleted a"]);
    reflector.on_error(&api_error(410));
    assert_eq!(take(&mut reflector, Event::Applied(odd("a", "6"))), [""; 0]);
    assert_eq!(take(&mut reflector, Event::Applied(odd("b", "7"))), ["problem of b"]);
    assert_eq!(take(&mut reflector, bookmark("7", true)), ["all: "]);
    assert_eq!(take(&mut reflector, Event::Applied(odd("b", "7"))), ["deleted b"]);
    assert_eq!(take(&mut reflector, applied("b", "8")), ["applied b"]);
    assert_eq!(take(&mut reflector, Event::Applied(odd("b", "9"))), ["problem of b", "deleted b"]);
}
