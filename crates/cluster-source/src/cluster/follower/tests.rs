//! What a follower asks and tells, by values.

use proxy::model::Service;

use super::super::answer;
use super::super::kind::{Nodes, Services};
use super::super::refusal::Refusal;
use super::*;
use crate::kubernetes::ProblemKind;

type Subject = Follower<Services>;

fn follower() -> Subject {
    Follower::new("n", true)
}

fn object(name: &str, version: &str) -> Object<Service> {
    let text = format!(
        r#"{{"type": "ADDED", "object": {{"metadata": {{"namespace": "ns", "name": "{name}", "resourceVersion": "{version}"}},
        "spec": {{"clusterIP": "10.0.0.1"}}}}}}"#
    );
    match answer::event::<Services>(text.as_bytes()).unwrap() {
        Event::Put(object) => object,
        other => panic!("{other:?}"),
    }
}

fn odd(name: &str, version: &str) -> Object<Service> {
    let problems = vec![Problem::object(ProblemKind::BadObject, name, "is odd")];
    Object { item: None, problems, ..object(name, version) }
}

fn put(name: &str, version: &str) -> Event<Service> {
    Event::Put(object(name, version))
}

fn gone(name: &str, version: &str) -> Event<Service> {
    Event::Gone(object(name, version).identity)
}

fn bookmark(version: &str, list_ends: bool) -> Event<Service> {
    Event::Bookmark { version: version.into(), list_ends }
}

fn page(objects: Vec<Object<Service>>, version: &str, next: Option<&str>) -> Page<Service> {
    Page { objects, version: version.into(), next: next.map(str::to_owned) }
}

fn refused(code: u16) -> Failure {
    Failure::Refused(Refusal { code, ..Refusal::default() })
}

/// Changes in few words.
fn words(changes: Vec<Change>) -> Vec<String> {
    let name = |service: &Service| service.name.name.to_string();
    let word = |change| match change {
        Change::ResetServices(all) => format!("all: {}", all.iter().map(name).collect::<Vec<_>>().join(" ")),
        Change::ApplyService(service) => format!("put {}", name(&service)),
        Change::DeleteService(gone) => format!("gone {}", gone.name),
        Change::Problems(problems) => format!("problem of {}", problems[0].subject),
        other => format!("{other:?}"),
    };
    changes.into_iter().map(word).collect()
}

fn take(follower: &mut Subject, event: Event<Service>) -> Vec<String> {
    words(follower.event(event).unwrap())
}

/// A follower that has a whole list, of version 5.
fn at_five() -> Subject {
    let mut follower = follower();
    follower.event(put("a", "3")).unwrap();
    follower.event(bookmark("5", true)).unwrap();
    follower
}

#[test]
fn a_streamed_list_is_handed_over_whole_and_then_each_change() {
    let mut follower = follower();
    assert_eq!(follower.request(), Request::Stream);
    for event in [put("a", "1"), put("b", "2"), put("c", "3"), gone("b", "4"), bookmark("4", false)] {
        assert_eq!(take(&mut follower, event), [""; 0]);
    }
    assert_eq!(take(&mut follower, bookmark("4", true)), ["all: a c"]);
    assert_eq!(take(&mut follower, put("a", "6")), ["put a"]);
    assert_eq!(take(&mut follower, gone("c", "7")), ["gone c"]);
    assert_eq!(follower.request(), Request::Watch("7".into()));
    assert_eq!(take(&mut follower, bookmark("9", false)), [""; 0]);
    assert_eq!(take(&mut follower, Event::Unknown), [""; 0]);
    assert_eq!(follower.request(), Request::Watch("9".into()));
}

#[test]
fn a_server_that_does_not_stream_is_asked_for_pages_and_for_what_it_understands() {
    let mut follower = follower();
    assert!(follower.failed(&refused(422)));
    assert_eq!(follower.request(), Request::Page(None));
    assert!(!follower.failed(&refused(500)), "that is no matter of streams");
    assert_eq!(follower.selection().fields, "spec.clusterIP!=None");
    assert!(follower.failed(&refused(400)));
    assert_eq!((follower.request(), follower.selection().fields.as_str()), (Request::Page(None), ""));
    assert!(!follower.failed(&refused(400)), "nothing is left to do without");
    assert_eq!(words(follower.page(page(vec![object("a", "1")], "5", Some("t")))), [""; 0]);
    assert_eq!(follower.request(), Request::Page(Some("t".into())));
    assert!(!follower.failed(&refused(500)), "a page is asked for again");
    assert_eq!(words(follower.page(page(vec![object("b", "2")], "5", None))), ["all: a b"]);
    assert_eq!(follower.request(), Request::Watch("5".into()));
}

#[test]
fn a_field_that_must_be_selected_by_is_never_given_up() {
    let mut follower = Follower::<Nodes>::new("n", true);
    follower.failed(&refused(400));
    follower.failed(&refused(400));
    assert_eq!(follower.selection().fields, "metadata.name=n");
}

#[test]
fn a_list_that_stays_silent_is_asked_for_in_pages() {
    let mut follower = follower();
    assert!(!follower.failed(&Failure::Silent));
    assert_eq!(follower.request(), Request::Page(None));
}

#[test]
fn half_a_list_is_no_list() {
    let mut follower = follower();
    take(&mut follower, put("a", "1"));
    follower.failed(&Failure::Connection("cut".into()));
    assert_eq!(follower.request(), Request::Stream);
    take(&mut follower, put("b", "2"));
    follower.ended();
    take(&mut follower, put("c", "2"));
    assert_eq!(take(&mut follower, bookmark("4", true)), ["all: c"]);
}

#[test]
fn a_token_of_pages_that_has_expired_begins_the_list_anew() {
    let mut follower = follower();
    follower.failed(&refused(422));
    follower.page(page(vec![object("a", "1")], "5", Some("t")));
    follower.failed(&refused(410));
    assert_eq!(follower.request(), Request::Page(None));
    assert_eq!(words(follower.page(page(vec![object("b", "2")], "7", None))), ["all: b"]);
}

#[test]
fn after_a_break_the_version_is_confirmed_and_the_watch_goes_on() {
    let mut follower = at_five();
    follower.failed(&Failure::Cut("reset".into()));
    assert_eq!(follower.request(), Request::Confirm("5".into()));
    follower.failed(&Failure::Connection("refused".into()));
    assert_eq!(follower.request(), Request::Confirm("5".into()));
    follower.confirmed();
    assert_eq!(follower.request(), Request::Watch("5".into()));
    follower.failed(&refused(429));
    assert_eq!(follower.request(), Request::Watch("5".into()), "a busy server was not away");
    follower.ended();
    assert_eq!(follower.request(), Request::Watch("5".into()));
}

#[test]
fn a_version_that_has_expired_or_is_not_known_asks_for_a_list_that_replaces_all() {
    let unknown = Failure::Refused(Refusal { code: 504, version_unknown: true, ..Refusal::default() });
    for failure in [refused(410), refused(400), unknown] {
        let mut follower = at_five();
        follower.failed(&Failure::Cut("reset".into()));
        follower.failed(&failure);
        assert_eq!(follower.request(), Request::Stream);
        assert_eq!(take(&mut follower, put("b", "2")), [""; 0]);
        assert_eq!(take(&mut follower, bookmark("2", true)), ["all: b"]);
    }
}

#[test]
fn an_event_that_refuses_is_a_failure() {
    let expired = Event::Refused(Refusal { code: 410, ..Refusal::default() });
    assert_eq!(at_five().event(expired), Err(refused(410)));
}

#[test]
fn what_can_t_be_used_is_gone_and_named_once_for_each_version() {
    let mut follower = at_five();
    assert_eq!(take(&mut follower, Event::Put(odd("a", "6"))), ["problem of a", "gone a"]);
    assert_eq!(take(&mut follower, Event::Put(odd("a", "6"))), ["gone a"]);
    follower.failed(&refused(410));
    assert_eq!(take(&mut follower, Event::Put(odd("a", "6"))), [""; 0]);
    assert_eq!(take(&mut follower, Event::Put(odd("b", "7"))), ["problem of b"]);
    assert_eq!(take(&mut follower, bookmark("7", true)), ["all: "]);
    assert_eq!(take(&mut follower, Event::Put(odd("b", "7"))), ["gone b"]);
    assert_eq!(take(&mut follower, put("b", "8")), ["put b"]);
    assert_eq!(take(&mut follower, Event::Put(odd("b", "9"))), ["problem of b", "gone b"]);
}
