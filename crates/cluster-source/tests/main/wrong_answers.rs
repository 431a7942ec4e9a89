//! A server that answers successfully with something wrong, too large or without an end: it is not believed.

use std::time::Duration;

use serde_json::json;
use test_api_server::{ApiServer, FaultMode, Kind, Received, StreamedLists};

use crate::cluster::{Known, Watching, cluster, service, slice};
use crate::outages::{change, survives};

/// The time after which a silent watch is verified.
const WATCH_TIMEOUT: Duration = Duration::from_millis(200);

#[test]
fn a_restored_etcd_is_listed_again_although_the_server_answered_garbage() {
    for _ in 0..4 {
        let mut watching = Watching::on(&["a", "b"]);
        watching.server.set_fault_mode(FaultMode::Garbage);
        watching.server.restore(cluster(&["b", "c"])).unwrap();
        watching.until("there is an outage", |known| known.outage.is_some());
        watching.server.set_fault_mode(FaultMode::None);
        watching.server.load(json!([service("d"), slice("d")])).unwrap();
        let expected = Known::of(&["b", "c", "d"]);
        watching.until("the restored cluster is known", |known| {
            (&known.services, &known.slices) == (&expected.services, &expected.slices)
        });
    }
}

#[test]
fn successful_answers_that_prove_nothing_are_an_outage() {
    survives(FaultMode::LoginPage, "<!DOCTYPE html>");
    survives(FaultMode::OtherKind, "List of");
    survives(FaultMode::NoVersion, "missing resourceVersion");
}

/// Changes are found although watches receive nothing. The status has the outage until a watch works again.
fn lists_replace_watches(fault_mode: FaultMode) {
    let mut watching = Watching::on_with(&["a", "b"], WATCH_TIMEOUT);
    watching.server.set_bookmark_interval(Some(WATCH_TIMEOUT / 10));
    watching.server.set_fault_mode(fault_mode);
    watching.server.cut();
    change(&watching);
    let expected = Known::of(&["b", "c"]);
    watching.until("the changes are known", |known| {
        (&known.services, &known.slices) == (&expected.services, &expected.slices) && known.outage.is_some()
    });
    assert!(watching.outages.iter().any(|outage| outage.contains("not even a bookmark")), "{:?}", watching.outages);
    watching.server.set_fault_mode(FaultMode::None);
    watching.server.cut();
    watching.until("the outage is resolved", |known| *known == expected);
}

#[test]
fn silent_watches_are_replaced_by_lists() {
    lists_replace_watches(FaultMode::Silent);
}

#[test]
fn watches_that_end_before_an_event_are_replaced_by_lists() {
    lists_replace_watches(FaultMode::EndsWatches);
}

#[test]
fn watches_that_are_cut_before_an_event_are_replaced_by_lists() {
    lists_replace_watches(FaultMode::CutsWatches(WATCH_TIMEOUT / 2));
}

#[test]
fn a_verified_resource_version_does_not_prove_that_events_are_received() {
    const ROUNDS: usize = 5;
    let mut watching = Watching::on(&["a"]);
    let before = watching.proofs();
    for name in ["b", "c", "d", "e", "f"] {
        watching.server.cut();
        watching.server.put(service(name)).unwrap();
        watching.until("the change is known", |known| known.services.as_ref().unwrap().contains(&format!("ns/{name}")));
    }
    // Lists of one Service: the first list is streamed.
    let is_list = |request: &&Received| request.verb == "list" && request.path.ends_with("/services");
    let verified = watching.server.received().iter().filter(is_list).count();
    // The first list, and the events.
    assert!(watching.proofs() - before <= ROUNDS + 1 && verified >= ROUNDS, "{} {verified}", watching.proofs());
}

#[test]
fn bookmarks_keep_a_watch_alive() {
    let mut watching = Watching::on_with(&["a", "b"], WATCH_TIMEOUT * 5);
    watching.server.set_bookmark_interval(Some(WATCH_TIMEOUT / 10));
    watching.server.set_fault_mode_for(Kind::Node, FaultMode::Silent);
    watching.server.cut();
    watching.until("silence is an outage", |known| known.outage.is_some());
    assert!(watching.outages[0].contains("watch of nodes"), "{:?}", watching.outages);
    assert_eq!(watching.lists, [2], "Services were listed once");
}

#[test]
fn an_empty_list_is_confirmed_before_it_is_emitted() {
    let mut watching = Watching::on(&["a", "b"]);
    watching.server.set_fault_mode(FaultMode::EmptyStreams);
    watching.server.make_unavailable();
    change(&watching);
    watching.server.forget();
    watching.server.make_available().unwrap();
    watching.until("the missed changes are known", |known| *known == Known::of(&["b", "c"]));
    assert_eq!(watching.lists, [2, 2]);
}

#[test]
fn two_empty_lists_are_believed() {
    let mut watching = Watching::on(&["a", "b"]);
    watching.server.restore(json!([])).unwrap();
    watching.until("nothing is known", |known| *known == Known { node: Some(false), ..Known::of(&[]) });
    assert_eq!(watching.lists, [2, 0]);
}

/// The bytes of endless bodies that the server has sent for each of its requests.
fn endless_bytes_per_request(watching: &Watching) -> u64 {
    watching.server.endless_bytes() / watching.server.received().len() as u64
}

/// Checks that an endless body is an outage, and is read up to a limit in MiB.
fn is_read_up_to(fault_mode: FaultMode, limit: u64, reason: &str) {
    /// What the network buffers, in MiB.
    const BUFFERS: u64 = 12;
    let mut watching = Watching::on(&["a", "b"]);
    watching.server.set_streamed_lists(StreamedLists::Forbidden);
    watching.server.set_fault_mode_for(Kind::Service, fault_mode);
    watching.server.cut();
    watching.until("there is an outage", |known| known.outage.is_some());
    assert!(watching.outages[0].contains(reason), "{:?}", watching.outages);
    let bytes = endless_bytes_per_request(&watching);
    assert!(bytes < (limit + BUFFERS) << 20, "{fault_mode:?}: {bytes} bytes per request");
    change(&watching);
    watching.server.set_fault_mode(FaultMode::None);
    watching.until("it is resolved", |known| *known == Known::of(&["b", "c"]));
}

#[test]
fn endless_bodies_are_read_up_to_a_limit() {
    is_read_up_to(FaultMode::EndlessError { code: 500 }, 0, "failed (500)");
    is_read_up_to(FaultMode::EndlessList, 32, "a page of 1 services exceeds 32 MiB");
    is_read_up_to(FaultMode::EndlessLine, 8, "a watch event of services exceeds 8 MiB (it begins with ");
}

#[test]
fn large_objects_are_listed_in_smaller_pages() {
    let server = ApiServer::start().unwrap();
    server.set_streamed_lists(StreamedLists::Forbidden);
    let names: Vec<String> = (0..34).map(|number| format!("s{number}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    server.load(cluster(&names)).unwrap();
    server.set_fault_mode_for(Kind::Service, FaultMode::LargeObjects(1 << 20));
    let mut watching = Watching::start(server);
    watching.until("the cluster is known", |known| *known == Known::of(&names));
    assert_eq!(watching.outages, [""; 0]);
}
