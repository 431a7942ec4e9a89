//! Tests of the requests and changes of a reflector.

use std::time::Duration;

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
    Page { objects, bytes: 1000, resource_version: version.into(), next: next.map(str::to_owned) }
}

fn list(next: Option<&str>) -> Request {
    Request::List { next: next.map(str::to_owned), limit: PAGE_LIMIT }
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

#[test]
fn a_list_without_an_end_is_an_error_and_lists_again() {
    let large = |name: &str| Object { bytes: MAX_LIST / 2, ..object(name, "3") };
    let mut paged = Subject::new("n", false);
    paged.on_page(page(vec![large("a"), large("b")], "5", Some("next"))).unwrap();
    let error = paged.on_page(page(vec![object("c", "3")], "5", Some("more"))).unwrap_err();
    assert!(matches!(&error, RequestError::Decode(error) if error.to_string().starts_with("the list exceeds 256 MiB")));
    assert!(!paged.on_error(&error), "the next list waits");
    assert_eq!(paged.request(), list(None));
    paged.on_page(page(vec![large("a"), large("b")], "5", None)).unwrap();
    assert!(paged.is_complete(), "the size of the list before does not count");

    let mut streamed = reflector();
    let add = |name: &str| Event::Applied(large(name));
    streamed.on_event(add("a")).unwrap();
    streamed.on_event(add("b")).unwrap();
    assert!(streamed.on_event(applied("c", "3")).is_err());
}

/// A reflector with a complete list, at resource version 5.
fn at_five() -> Subject {
    let mut reflector = reflector();
    reflector.on_event(applied("a", "3")).unwrap();
    reflector.on_event(bookmark("5", true)).unwrap();
    reflector
}

/// The verification of [`at_five`].
fn verify() -> Request {
    Request::Verify { resource_version: "5".into(), object: Some(("ns".into(), "a".into())) }
}

/// Its answer, if nothing has changed.
fn a_at_three(reached: &str) -> Page<Service> {
    page(vec![object("a", "3")], reached, None)
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
    assert_eq!(reflector.request(), list(None));
    assert!(!reflector.on_error(&api_error(500)), "not caused by streams");
    assert_eq!(reflector.selection().fields, "spec.clusterIP!=None");
    assert!(reflector.on_error(&api_error(400)));
    assert_eq!((reflector.request(), reflector.selection().fields.as_str()), (list(None), ""));
    assert!(!reflector.on_error(&api_error(400)), "nothing is left to drop");
    assert_eq!(words(reflector.on_page(page(vec![object("a", "1")], "5", Some("t"))).unwrap()), [""; 0]);
    assert_eq!(reflector.request(), list(Some("t")));
    assert!(!reflector.on_error(&api_error(500)), "the same page is requested again");
    assert_eq!(words(reflector.on_page(page(vec![object("b", "2")], "5", None)).unwrap()), ["all: a b"]);
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
    assert_eq!(reflector.request(), list(None));
}

#[test]
fn an_incomplete_list_is_never_emitted() {
    let mut reflector = reflector();
    take(&mut reflector, applied("a", "1"));
    reflector.on_error(&RequestError::Connect("cut".into()));
    assert_eq!(reflector.request(), Request::StreamList);
    take(&mut reflector, applied("b", "2"));
    assert!(!reflector.on_error(&RequestError::ListEnded));
    assert_eq!(reflector.request(), list(None), "the server may not support streams");
    take(&mut reflector, applied("c", "2"));
    assert_eq!(take(&mut reflector, bookmark("4", true)), ["all: c"]);
}

#[test]
fn an_expired_continue_token_restarts_the_list() {
    let mut reflector = reflector();
    reflector.on_error(&api_error(422));
    reflector.on_page(page(vec![object("a", "1")], "5", Some("t"))).unwrap();
    reflector.on_error(&api_error(410));
    assert_eq!(reflector.request(), list(None));
    assert_eq!(words(reflector.on_page(page(vec![object("b", "2")], "7", None)).unwrap()), ["all: b"]);
}

#[test]
fn after_a_break_the_resource_version_is_verified_and_the_watch_continues() {
    let mut reflector = at_five();
    reflector.on_error(&RequestError::ConnectionLost("reset".into()));
    assert_eq!(reflector.request(), verify());
    reflector.on_error(&RequestError::Connect("refused".into()));
    assert_eq!(reflector.request(), verify());
    reflector.on_verified(&a_at_three("5")).unwrap();
    assert_eq!(reflector.request(), Request::Watch("5".into()));
    reflector.on_error(&api_error(429));
    assert_eq!(reflector.request(), Request::Watch("5".into()), "an overloaded server still has the version");
    reflector.on_end(true);
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
        take(&mut reflector, applied("a", "3"));
        take(&mut reflector, applied("b", "6"));
        assert_eq!(take(&mut reflector, bookmark("6", true)), ["all: a b"]);
    }
}

#[test]
fn a_response_that_proves_an_older_version_is_relisted() {
    for reached in ["4", "5", "6", "odd"] {
        let mut reflector = at_five();
        reflector.on_error(&RequestError::ConnectionLost("reset".into()));
        let verified = reflector.on_verified(&a_at_three(reached));
        let went_back = RequestError::VersionWentBack { version: "4".into(), before: "5".into() };
        if reached == "4" {
            assert_eq!(verified, Err(went_back.clone()));
            assert!(reflector.on_error(&went_back));
            assert_eq!(reflector.request(), Request::StreamList);
        } else {
            assert_eq!((verified, reflector.request()), (Ok(()), Request::Watch("5".into())), "{reached}");
        }
    }
    for event in [applied("b", "4"), deleted("a", "4"), bookmark("4", false)] {
        let error = at_five().on_event(event).unwrap_err();
        assert_eq!(error, RequestError::VersionWentBack { version: "4".into(), before: "5".into() });
    }
}

#[test]
fn a_watch_that_received_nothing_is_verified() {
    let mut reflector = at_five();
    reflector.on_end(false);
    assert_eq!(reflector.request(), verify());
    reflector.on_verified(&a_at_three("5")).unwrap();
    reflector.on_end(true);
    assert_eq!(reflector.request(), Request::Watch("5".into()));
}

#[test]
fn an_object_that_differs_from_the_known_one_at_the_known_version_is_relisted() {
    let other_history = RequestError::OtherHistory { version: "9".into() };
    let verified = |event: Event<Service>, answer: &[(&str, &str)]| {
        let mut reflector = at_five();
        take(&mut reflector, event);
        take(&mut reflector, bookmark("9", false));
        reflector.on_end(false);
        let objects = answer.iter().map(|(name, version)| object(name, version)).collect();
        let result = reflector.on_verified(&page(objects, "12", None));
        if let Err(error) = &result {
            assert_eq!((error, reflector.on_error(error)), (&other_history, true));
            assert_eq!(reflector.request(), Request::StreamList);
        }
        result.is_ok()
    };
    assert!(verified(applied("b", "8"), &[("b", "8")]));
    assert!(verified(applied("b", "8"), &[("b", "11")]), "the watch sends this change");
    assert!(!verified(applied("b", "8"), &[("b", "7")]));
    assert!(!verified(applied("b", "8"), &[]));
    assert!(verified(deleted("a", "8"), &[]));
    assert!(!verified(deleted("a", "8"), &[("a", "3")]));
}

#[test]
fn a_verification_that_is_refused_names_no_object_if_that_is_the_reason() {
    let plain = Request::Verify { resource_version: "5".into(), object: None };
    let (refusal, other) = (api_error(403), page(vec![object("first", "1")], "5", None));
    let mut reflector = at_five();
    reflector.on_end(false);
    // The server starts, and refuses both.
    assert!(reflector.on_error(&refusal));
    assert_eq!(reflector.request(), plain);
    assert!(!reflector.on_error(&refusal));
    assert_eq!(reflector.request(), verify());
    // The name is refused each time.
    for next in [verify(), Request::Watch("5".into())] {
        assert!(reflector.on_error(&refusal));
        assert_eq!(reflector.request(), plain);
        reflector.on_verified(&other).unwrap();
        assert_eq!(reflector.request(), next);
    }
    reflector.on_end(false);
    assert_eq!(reflector.request(), verify(), "the next time, the server may support it");
}

#[test]
fn silent_watches_are_replaced_by_lists_until_one_receives_something() {
    let mut reflector = at_five();
    assert!(reflector.on_error(&RequestError::Silent(Duration::from_secs(200))));
    assert_eq!((reflector.request(), reflector.receives_events()), (list(None), false));
    assert_eq!(words(reflector.on_page(page(vec![object("b", "6")], "7", None)).unwrap()), [""; 0], "unconfirmed");
    assert_eq!(words(reflector.on_page(page(vec![object("b", "6")], "7", None)).unwrap()), ["all: b"]);
    assert_eq!((reflector.request(), reflector.receives_events()), (Request::Watch("7".into()), false));
    take(&mut reflector, Event::Unknown);
    assert!(!reflector.receives_events());
    take(&mut reflector, bookmark("8", false));
    assert!(reflector.receives_events());
    reflector.on_error(&api_error(410));
    assert_eq!(reflector.request(), Request::StreamList);
}

#[test]
fn a_list_that_shows_what_the_last_list_showed_has_not_changed() {
    let mut reflector = at_five();
    let mut list = |event: Option<Event<Service>>, objects: &[(&str, &str)]| {
        event.into_iter().for_each(|event| drop(take(&mut reflector, event)));
        reflector.on_error(&RequestError::Silent(Duration::from_secs(200)));
        let objects = objects.iter().map(|(name, version)| object(name, version)).collect();
        reflector.on_page(page(objects, "9", None)).unwrap();
        reflector.last_list_changed()
    };
    let changed = [
        list(None, &[("a", "3")]),
        list(None, &[("a", "3"), ("b", "9")]),
        list(None, &[("b", "9"), ("a", "3")]),
        list(None, &[("a", "9"), ("b", "9")]),
        list(Some(applied("b", "9")), &[("a", "9"), ("b", "9")]),
        list(Some(bookmark("9", false)), &[("a", "9"), ("b", "9")]),
    ];
    assert_eq!(changed, [false, true, false, true, true, false]);
}

#[test]
fn a_list_without_most_known_objects_is_listed_again_in_pages_before_it_is_emitted() {
    let mut reflector = at_five();
    reflector.on_error(&api_error(410));
    assert_eq!(take(&mut reflector, bookmark("6", true)), [""; 0]);
    assert!(reflector.is_unconfirmed());
    assert_eq!(reflector.request(), list(None));
    assert!(!reflector.on_error(&api_error(500)));
    assert_eq!(reflector.request(), list(None), "an error confirms nothing");
    let mut right = at_five();
    right.on_error(&api_error(410));
    take(&mut right, bookmark("6", true));
    assert_eq!(words(right.on_page(page(vec![object("a", "3")], "6", None)).unwrap()), ["all: a"]);
    assert_eq!(words(reflector.on_page(page(vec![], "6", None)).unwrap()), ["all: "]);
    assert!(!reflector.is_unconfirmed() && reflector.is_complete());
}

#[test]
fn pages_that_do_not_continue_a_list_are_errors() {
    let second = |next, version| {
        let mut reflector = reflector();
        reflector.on_error(&api_error(422));
        reflector.on_page(page(vec![object("a", "1")], "5", Some("t"))).unwrap();
        let result = reflector.on_page(page(vec![object("b", "2")], version, next)).map(words);
        if let Err(error) = &result {
            reflector.on_error(error);
            assert_eq!(reflector.request(), list(None));
        }
        result
    };
    assert!(matches!(second(Some("t"), "5"), Err(RequestError::Decode(_))));
    assert!(matches!(second(None, "4"), Err(RequestError::VersionWentBack { .. })));
    assert_eq!(second(None, "5"), Ok(vec!["all: a b".to_owned()]));
}

#[test]
fn a_page_that_is_too_large_is_requested_with_fewer_objects() {
    let too_large = |objects| RequestError::PageTooLarge { objects };
    let mut reflector = reflector();
    reflector.on_error(&api_error(422));
    let mut limits = Vec::new();
    loop {
        let Request::List { limit, .. } = reflector.request() else { panic!() };
        limits.push(limit);
        if !reflector.on_error(&too_large(limit)) {
            break;
        }
    }
    assert_eq!(limits, [500, 125, 31, 7, 1]);
    let large = Page { bytes: 1 << 20, ..page(vec![object("a", "1")], "5", Some("t")) };
    reflector.on_page(large).unwrap();
    assert_eq!(reflector.request(), Request::List { next: Some("t".into()), limit: 16 });
    assert!(reflector.on_error(&too_large(16)));
    assert_eq!(reflector.request(), Request::List { next: Some("t".into()), limit: 4 });
    let small = page(vec![object("b", "1")], "5", Some("u"));
    reflector.on_page(small).unwrap();
    assert_eq!(reflector.request(), list(Some("u")));
}

#[test]
fn a_verification_that_is_too_large_is_replaced_by_a_list() {
    let mut reflector = at_five();
    reflector.on_end(false);
    assert_eq!(reflector.request(), verify());
    assert!(!reflector.on_error(&RequestError::PageTooLarge { objects: 1 }));
    assert_eq!(reflector.request(), Request::StreamList);
}

#[test]
fn a_watch_event_that_is_too_long_is_read_from_a_page() {
    let mut reflector = at_five();
    assert!(!reflector.on_error(&RequestError::LineTooLong { begin: String::new() }));
    assert_eq!(reflector.request(), list(None));
}

#[test]
fn objects_of_other_nodes_are_ignored() {
    let mut reflector = Reflector::<Nodes>::new("n", false);
    let node = |name: &str| {
        let text =
            format!(r#"{{"type": "ADDED", "object": {{"metadata": {{"name": "{name}", "resourceVersion": "6"}}}}}}"#);
        decode::event::<Nodes>(text.as_bytes()).unwrap()
    };
    let Event::Applied(own) = node("n") else { panic!() };
    let Event::Applied(other) = node("a") else { panic!() };
    let changes =
        reflector.on_page(Page { objects: vec![other, own], bytes: 1, resource_version: "5".into(), next: None });
    assert!(matches!(&changes.unwrap()[..], [Change::Node(Some(node))] if node.name == "n"));
    assert_eq!(reflector.on_event(node("a")), Ok(vec![]));
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
