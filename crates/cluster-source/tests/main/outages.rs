//! A server that fails: the known cluster stays valid, and missed changes are emitted afterwards.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::json;
use test_api_server::{ApiServer, ExpiredWatches, FaultMode, Kind};

use crate::cluster::{Known, Watching, cluster, service, slice};

/// Changes the cluster during an outage, from Services a and b to b and c.
pub(crate) fn change(watching: &Watching) {
    let server = &watching.server;
    server.delete(Kind::Service, "ns", "a");
    server.delete(Kind::EndpointSlice, "ns", "a-1");
    server.load(json!([service("c"), slice("c")])).unwrap();
}

/// Checks that an outage changes nothing in the known cluster, that missed changes are emitted afterwards, and that its reason is emitted
/// once; an error of single kinds has a reason for each.
pub(crate) fn survives(fault_mode: FaultMode, reason: &str) {
    let mut watching = Watching::on(&["a", "b"]);
    watching.server.set_fault_mode(fault_mode);
    watching.server.cut();
    watching.until("there is an outage", |known| known.outage.is_some());
    let before = Known { outage: watching.known.outage.clone(), ..Known::of(&["a", "b"]) };
    assert_eq!(watching.known, before);
    change(&watching);
    watching.server.set_fault_mode(FaultMode::None);
    watching.until("it is resolved", |known| *known == Known::of(&["b", "c"]));
    let reasons: BTreeSet<_> = watching.outages.iter().collect();
    assert_eq!(reasons.len(), watching.outages.len(), "{:?}", watching.outages);
    assert!(reasons.iter().all(|outage| outage.contains(reason)), "{reason}: {reasons:?}");
}

#[test]
fn a_server_that_fails_or_is_overloaded_is_an_outage() {
    survives(FaultMode::Refuses { code: 500, retry_after: None }, "(500)");
    survives(FaultMode::Refuses { code: 429, retry_after: Some(1) }, "(429)");
}

#[test]
fn a_server_that_sends_invalid_json_is_an_outage() {
    survives(FaultMode::Garbage, "<html>");
}

#[test]
fn a_server_that_closes_each_connection_is_an_outage() {
    survives(FaultMode::Half, "lost");
}

/// The time after which the server does not respond.
const RESPONSE_TIMEOUT: Duration = Duration::from_millis(500);

/// A list/watch with a short response timeout. Watches may be silent for longer than the test lasts.
fn impatient(services: &[&str], fault_mode: FaultMode) -> Watching {
    let server = ApiServer::start().unwrap();
    server.load(cluster(services)).unwrap();
    server.set_fault_mode(fault_mode);
    Watching::start_with(server, RESPONSE_TIMEOUT, Duration::from_secs(90))
}

#[test]
fn a_server_that_never_answers_is_an_outage() {
    let mut watching = impatient(&["a", "b"], FaultMode::None);
    watching.until("the cluster is known", |known| *known == Known::of(&["a", "b"]));
    watching.server.set_fault_mode(FaultMode::Hangs);
    watching.server.cut();
    watching.until("there is an outage", |known| known.outage.is_some());
    change(&watching);
    // The requests that are pending then are never answered.
    watching.server.set_fault_mode(FaultMode::None);
    watching.until("it is resolved", |known| *known == Known::of(&["b", "c"]));
    assert!(watching.outages.iter().any(|outage| outage.contains("does not respond")), "{:?}", watching.outages);
}

#[test]
fn a_streamed_list_that_never_begins_is_replaced_by_pages() {
    let mut watching = impatient(&["a", "b"], FaultMode::Silent);
    watching.until("the cluster is known", |known| *known == Known::of(&["a", "b"]));
    assert!(watching.outages[0].contains("does not respond"), "{:?}", watching.outages);
}

#[test]
fn a_resource_version_that_has_expired_is_listed_again() {
    for expired in [ExpiredWatches::Event, ExpiredWatches::Code] {
        let mut watching = Watching::on(&["a", "b"]);
        watching.server.set_expired_watches(expired);
        watching.server.make_unavailable();
        change(&watching);
        watching.server.forget();
        watching.server.make_available().unwrap();
        watching.until("the missed changes are known", |known| known.services == Known::of(&["b", "c"]).services);
        watching.until("the missed changes are known", |known| *known == Known::of(&["b", "c"]));
    }
}

#[test]
fn an_etcd_that_was_restored_from_a_backup_is_listed_again() {
    let mut watching = Watching::on(&["a", "b"]);
    watching.server.restore(cluster(&["b", "c"])).unwrap();
    watching.until("the restored cluster is known", |known| *known == Known::of(&["b", "c"]));
    watching.server.load(json!([service("d"), slice("d")])).unwrap();
    watching.until("changes are known", |known| *known == Known::of(&["b", "c", "d"]));
}
