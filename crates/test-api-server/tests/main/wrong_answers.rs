//! Faults that are successful answers: wrong, too large or without an end.

use std::time::Duration;

use serde_json::{Value, json};
use test_api_server::{ApiServer, FaultMode, Kind};

use crate::client::{get, service, until};

const SERVICES: &str = "/api/v1/services";
const PAGE: &str = "/api/v1/services?limit=1";
const WATCH: &str = "/api/v1/services?watch=1&allowWatchBookmarks=true&resourceVersion=8000002";
const STREAM: &str =
    "/api/v1/services?watch=1&allowWatchBookmarks=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan";

fn server(fault_mode: FaultMode) -> ApiServer {
    let server = ApiServer::start().unwrap();
    server.load(json!([service("a"), service("b")])).unwrap();
    server.set_fault_mode(fault_mode);
    server
}

#[test]
fn a_login_page_has_no_line_end() {
    let answer = get(&server(FaultMode::LoginPage), SERVICES);
    assert_eq!((answer.code, answer.header("Content-Type")), (200, Some("text/html")));
    assert!(!answer.text().unwrap().ends_with('\n'));
}

#[test]
fn lists_without_objects_have_their_version() {
    let server = server(FaultMode::EmptyLists);
    let list =
        json!({"kind": "ServiceList", "apiVersion": "v1", "metadata": {"resourceVersion": "8000002"}, "items": []});
    assert_eq!(get(&server, PAGE).json(), list);
    let mut stream = get(&server, STREAM);
    assert_eq!(stream.events(), ["BOOKMARK - 8000002 end"]);
    server.put(service("c")).unwrap();
    assert_eq!(stream.events(), ["ADDED c 8000003"]);
    server.set_fault_mode(FaultMode::EmptyStreams);
    assert_eq!(get(&server, STREAM).events(), ["BOOKMARK - 8000003 end"]);
    assert_eq!(get(&server, SERVICES).json()["items"].as_array().unwrap().len(), 3);
}

#[test]
fn lists_and_watches_can_be_of_another_kind_or_have_no_version() {
    let server = server(FaultMode::OtherKind);
    assert_eq!(get(&server, SERVICES).json()["kind"], "PodList");
    let event: Value = serde_json::from_str(get(&server, STREAM).chunk().unwrap().lines().next().unwrap()).unwrap();
    assert_eq!(event["object"]["kind"], "Pod");
    server.set_fault_mode(FaultMode::NoVersion);
    assert_eq!(get(&server, SERVICES).json()["metadata"]["resourceVersion"], "");
    assert_eq!(get(&server, STREAM).events(), ["ADDED a 8000001", "ADDED b 8000002", "BOOKMARK -  end"]);
}

#[test]
fn pages_can_be_lost_or_repeated_or_have_no_end() {
    let server = server(FaultMode::LostPages);
    assert_eq!(get(&server, PAGE).json()["metadata"], json!({"resourceVersion": "8000002", "remainingItemCount": 1}));
    server.set_fault_mode(FaultMode::RepeatedPages);
    let token = get(&server, PAGE).json()["metadata"]["continue"].as_str().unwrap().to_owned();
    assert_eq!(get(&server, &format!("{PAGE}&continue={token}")).json()["metadata"]["continue"], token);
    server.set_fault_mode(FaultMode::EndlessPages);
    let mut tokens = vec![String::new()];
    for _ in 0..3 {
        let page = get(&server, &format!("{SERVICES}?continue={}", tokens.last().unwrap())).json();
        assert_eq!(page["items"].as_array().unwrap().len(), 2);
        let token = page["metadata"]["continue"].as_str().unwrap().to_owned();
        assert!(!tokens.contains(&token));
        tokens.push(token);
    }
}

#[test]
fn a_silent_watch_sends_nothing_until_it_is_cut() {
    let server = server(FaultMode::Silent);
    server.set_bookmark_interval(Some(Duration::ZERO));
    let mut watch = get(&server, WATCH);
    until("the watch is open", || server.watches(Kind::Service) == 1);
    server.put(service("c")).unwrap();
    server.cut();
    assert!(watch.chunk().is_err());
}

#[test]
fn a_watch_can_be_cut_before_it_has_sent_anything() {
    assert!(get(&server(FaultMode::CutsWatches(Duration::from_millis(1))), WATCH).chunk().is_err());
}

#[test]
fn a_watch_can_end_before_it_has_sent_anything() {
    assert_eq!(get(&server(FaultMode::EndsWatches), WATCH).chunk().unwrap(), "");
}

#[test]
fn watches_send_bookmarks_at_an_interval() {
    let server = server(FaultMode::None);
    server.set_bookmark_interval(Some(Duration::from_millis(1)));
    let mut watch = get(&server, WATCH);
    assert_eq!(watch.events(), ["BOOKMARK - 8000002"]);
    assert_eq!(watch.events(), ["BOOKMARK - 8000002"]);
    let mut future = get(&server, &WATCH.replace("8000002", "8000003"));
    until("the watch is open", || server.watches(Kind::Service) == 2);
    server.put(service("c")).unwrap();
    assert_eq!(future.events(), ["BOOKMARK - 8000003"]);
}

#[test]
fn objects_of_lists_can_be_large() {
    let server = server(FaultMode::LargeObjects(1 << 20));
    let mut answer = get(&server, SERVICES);
    let mut body = String::new();
    loop {
        match answer.chunk().unwrap() {
            chunk if chunk.is_empty() => break,
            chunk => body += &chunk,
        }
    }
    let list: Value = serde_json::from_str(&body).unwrap();
    let sizes: Vec<_> =
        list["items"].as_array().unwrap().iter().map(|item| item["padding"].as_str().unwrap().len()).collect();
    assert_eq!(sizes, [1 << 20; 2]);
}

#[test]
fn errors_lists_and_lines_can_have_no_end() {
    let server = server(FaultMode::EndlessError { code: 500 });
    for (fault_mode, target, code) in [
        (FaultMode::EndlessError { code: 500 }, SERVICES, 500),
        (FaultMode::EndlessList, SERVICES, 200),
        (FaultMode::EndlessLine, WATCH, 200),
    ] {
        server.set_fault_mode(fault_mode);
        let mut answer = get(&server, target);
        assert_eq!(answer.code, code);
        let read: usize = (0..20).map(|_| answer.chunk().unwrap().len()).sum();
        assert!(read > 1 << 20 && server.endless_bytes() >= read as u64, "{fault_mode:?}: {read}");
    }
    until("the clients have gone", || server.watches(Kind::Service) == 0);
}
