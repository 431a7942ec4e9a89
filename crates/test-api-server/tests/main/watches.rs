//! Watches: resource versions, selectors, bookmarks and streamed lists.

use serde_json::json;
use test_api_server::{ApiServer, ExpiredWatches, Kind, StreamedLists};

use crate::client::{get, headless, node, service, until};

const WATCH: &str = "/api/v1/services?watch=1&allowWatchBookmarks=true";
const STREAM: &str =
    "/api/v1/services?watch=1&allowWatchBookmarks=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan";

#[test]
fn a_watch_continues_from_a_version() {
    let server = ApiServer::start().unwrap();
    server.load(json!([service("a"), node("n"), service("b")])).unwrap();
    let mut watch = get(&server, &format!("{WATCH}&resourceVersion=8000001"));
    assert_eq!((watch.code, watch.header("Transfer-Encoding")), (200, Some("chunked")));
    assert_eq!(watch.events(), ["ADDED b 8000003"]);
    assert_eq!(server.watches(Kind::Service), 1);
    server.put(service("a")).unwrap();
    assert_eq!(watch.events(), ["MODIFIED a 8000004"]);
    server.delete(Kind::Service, "a", "b");
    assert_eq!(watch.events(), ["DELETED b 8000005"]);
    server.put(node("m")).unwrap();
    server.bookmark(Some(Kind::Node));
    server.bookmark(None);
    assert_eq!(watch.events(), ["BOOKMARK - 8000006"]);
    drop(watch);
    until("the watch is over", || server.watches(Kind::Service) == 0);
}

#[test]
fn an_object_that_starts_or_stops_matching_is_added_or_deleted() {
    let server = ApiServer::start().unwrap();
    server.load(json!([service("a"), headless("b")])).unwrap();
    let mut watch = get(&server, &format!("{WATCH}&fieldSelector=spec.clusterIP%21%3DNone&resourceVersion=8000002"));
    server.put(headless("a")).unwrap();
    assert_eq!(watch.events(), ["DELETED a 8000003"]);
    server.put(service("b")).unwrap();
    assert_eq!(watch.events(), ["ADDED b 8000004"]);
}

#[test]
fn a_bookmark_ends_a_streamed_list() {
    let server = ApiServer::start().unwrap();
    server.load(json!([service("b"), node("n"), service("a")])).unwrap();
    let mut watch = get(&server, STREAM);
    assert_eq!(watch.events(), ["ADDED a 8000003", "ADDED b 8000001", "BOOKMARK - 8000003 end"]);
    server.put(service("c")).unwrap();
    assert_eq!(watch.events(), ["ADDED c 8000004"]);
}

#[test]
fn a_large_list_is_streamed_completely() {
    let server = ApiServer::start().unwrap();
    server.load((0..3000).map(|number| service(&format!("s{number}"))).collect()).unwrap();
    let mut watch = get(&server, STREAM);
    let mut events = watch.events();
    while !events.last().unwrap().ends_with("end") {
        events.append(&mut watch.events());
    }
    assert_eq!(events.len(), 3001);
}

#[test]
fn streamed_lists_can_be_rejected() {
    let server = ApiServer::start().unwrap();
    server.set_streamed_lists(StreamedLists::Forbidden);
    let refused = get(&server, STREAM);
    assert_eq!(refused.code, 422);
    let status = refused.json();
    let message = "ListOptions.meta.k8s.io \"\" is invalid: sendInitialEvents: Forbidden: \
        sendInitialEvents is forbidden for watch unless the WatchList feature gate is enabled";
    assert_eq!((&status["reason"], &status["message"]), (&json!("Invalid"), &json!(message)));
    server.set_streamed_lists(StreamedLists::Unsupported);
    let mut refused = get(&server, STREAM);
    assert_eq!(
        (refused.events(), refused.chunk().unwrap()),
        (vec!["ERROR 500 InternalError".to_owned()], String::new())
    );
    server.set_streamed_lists(StreamedLists::Offered);
    assert_eq!(get(&server, "/api/v1/services?watch=1&sendInitialEvents=true").code, 422);
    assert_eq!(get(&server, "/api/v1/services?watch=1&resourceVersionMatch=NotOlderThan").code, 422);
}

#[test]
fn a_watch_without_a_version_begins_with_the_current_objects() {
    let server = ApiServer::start().unwrap();
    server.put(service("a")).unwrap();
    for version in ["", "&resourceVersion=0"] {
        assert_eq!(get(&server, &format!("{WATCH}{version}")).events(), ["ADDED a 8000001"]);
    }
}

#[test]
fn expired_versions_are_rejected() {
    let server = ApiServer::start().unwrap();
    server.load(json!([service("a"), service("b")])).unwrap();
    server.forget();
    let target = format!("{WATCH}&resourceVersion=8000001");
    let mut expired = get(&server, &target);
    assert_eq!(
        (expired.code, expired.events(), expired.chunk().unwrap()),
        (200, vec!["ERROR 410 Expired".to_owned()], String::new())
    );
    server.set_expired_watches(ExpiredWatches::Code);
    let expired = get(&server, &target);
    assert_eq!(expired.code, 410);
    assert_eq!(expired.json()["message"], "too old resource version: 8000001 (8000002)");
    let mut known = get(&server, &format!("{WATCH}&resourceVersion=8000002"));
    server.put(service("a")).unwrap();
    assert_eq!(known.events(), ["MODIFIED a 8000003"]);
}

#[test]
fn a_restored_server_closes_watches_and_sends_nothing_for_future_versions() {
    let server = ApiServer::start().unwrap();
    server.load(json!([service("a"), service("b")])).unwrap();
    let mut watch = get(&server, &format!("{WATCH}&resourceVersion=8000002"));
    server.restore(json!([service("c")])).unwrap();
    assert!(watch.chunk().is_err());
    // The server sends nothing until its versions have reached that of the watch.
    let mut silent = get(&server, &format!("{WATCH}&resourceVersion=8000002&timeoutSeconds=1"));
    until("the watch is open", || server.watches(Kind::Service) == 1);
    server.put(service("d")).unwrap();
    server.bookmark(None);
    assert_eq!(silent.chunk().unwrap(), "");
    let mut refused = get(&server, &format!("{STREAM}&resourceVersion=8000002"));
    assert_eq!(refused.events(), ["ERROR 504 Timeout"]);
    assert_eq!(get(&server, STREAM).events(), ["ADDED c 4000001", "ADDED d 4000002", "BOOKMARK - 4000002 end"]);
    server.restore(json!([])).unwrap();
    assert_eq!(get(&server, STREAM).events(), ["BOOKMARK - 2000000 end"]);
}
