//! A healthy server: lists, changes, and features that older servers lack.

use serde_json::json;
use test_api_server::{ApiServer, Kind, StreamedLists};

use crate::cluster::{Known, NODE, Watching, cluster, service, slice};

#[test]
fn lists_are_followed_by_each_change() {
    let mut watching = Watching::on(&["a", "b"]);
    watching.server.load(json!([service("c"), slice("c")])).unwrap();
    watching.server.delete(Kind::Service, "ns", "a");
    watching.server.delete(Kind::EndpointSlice, "ns", "a-1");
    watching.until("the changes are known", |known| *known == Known::of(&["b", "c"]));
    watching.server.delete(Kind::Node, "", NODE);
    watching.until("the Node is deleted", |known| known.node == Some(false));
    assert_eq!(watching.outages, [""; 0]);
}

#[test]
fn servers_without_streamed_lists_are_listed_in_pages() {
    for streamed_lists in [StreamedLists::Forbidden, StreamedLists::Unsupported] {
        let server = ApiServer::start().unwrap();
        server.set_streamed_lists(streamed_lists);
        let names: Vec<String> = (0..700).map(|number| format!("s{number}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        server.load(cluster(&names)).unwrap();
        let mut watching = Watching::start(server);
        watching.until("the cluster is known", |known| *known == Known::of(&names));
        assert_eq!(watching.outages, [""; 0], "{streamed_lists:?}");
        watching.server.load(json!([service("later"), slice("later")])).unwrap();
        watching.until("a change is known", |known| known.slices.as_ref().unwrap().contains("ns/later-1"));
    }
}

#[test]
fn streamed_lists_are_compressed_and_followed_by_each_change() {
    let server = ApiServer::start().unwrap();
    server.compress_streams();
    let names: Vec<String> = (0..700).map(|number| format!("s{number}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    server.load(cluster(&names)).unwrap();
    let mut watching = Watching::start(server);
    watching.until("the cluster is known", |known| *known == Known::of(&names));
    // Each change is sent in the same compressed body as the list.
    for name in ["first", "second"] {
        watching.server.load(json!([service(name), slice(name)])).unwrap();
        let slice = format!("ns/{name}-1");
        watching.until("a change is known", |known| known.slices.as_ref().unwrap().contains(slice.as_str()));
    }
    assert_eq!(watching.outages, [""; 0]);
    let accepts = watching.server.received().into_iter().filter(|one| one.verb == "watch");
    let codings: Vec<_> = accepts.map(|one| one.headers.get("accept-encoding").cloned()).collect();
    assert_eq!(codings, vec![Some("gzip".to_owned()); codings.len()]);
}

#[test]
fn an_invalid_object_is_a_problem_and_the_others_are_used() {
    let server = ApiServer::start().unwrap();
    let mut odd = service("odd");
    odd["spec"]["ports"] = json!("all");
    server.load(cluster(&["a"])).unwrap();
    server.put(odd).unwrap();
    let mut watching = Watching::start(server);
    let problem = "Service ns/odd: spec.ports: expected a list, found \"all\"";
    let expected = Known { problems: vec![problem.into()], ..Known::of(&["a"]) };
    watching.until("the cluster is known", |known| *known == expected);
    watching.server.load(json!([service("odd"), slice("odd")])).unwrap();
    let expected = Known { problems: vec![problem.into()], ..Known::of(&["a", "odd"]) };
    watching.until("the object is valid", |known| *known == expected);
}
