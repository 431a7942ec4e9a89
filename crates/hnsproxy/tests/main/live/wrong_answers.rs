//! An API server that answers successfully with something wrong, too large or without an end: HNS keeps its objects, and is in sync again once
//! the server is right.

use std::time::Duration;

use serde_json::json;
use test_api_server::{FaultMode, Kind, StreamedLists};

use super::Live;
use crate::support::http::get;
use crate::support::wait::wait_until;

const BOUTIQUE: &str = "boutique-l2bridge";

/// Waits until the server has received this number of further requests.
#[track_caller]
fn wait_for_requests(live: &Live, number: usize) {
    let server = &live.cluster.server;
    let goal = server.received().len() + number;
    wait_until("requests", || server.received().len(), |received| *received >= goal);
}

#[test]
fn a_change_is_programmed_after_a_restored_server_has_answered_garbage() {
    let live = Live::start(BOUTIQUE, &[]);
    let server = &live.cluster.server;
    for round in 1..=4 {
        live.wait_until_watched();
        server.set_fault_mode(FaultMode::Garbage);
        server.restore(server.objects().into()).unwrap();
        // The program may take garbage as the confirmation of its version between any two of these.
        wait_for_requests(&live, 6 + round);
        server.set_fault_mode(FaultMode::None);
        live.put_service(&format!("later-{round}"), &format!("10.96.9.{round}"));
    }
}

#[test]
fn changes_are_programmed_and_an_outage_is_reported_while_watches_stay_silent() {
    let live = Live::start(BOUTIQUE, &["--watch-timeout=0.3"]);
    let server = &live.cluster.server;
    server.set_bookmark_interval(Some(Duration::from_millis(30)));
    live.running.wait_until_cluster_available(true);
    server.set_fault_mode(FaultMode::Silent);
    server.cut();
    let state = live.running.wait_until_cluster_available(false);
    assert!(state["cluster"]["error"].as_str().unwrap().contains("not even a bookmark"), "{state}");
    live.put_service("silent", "10.96.9.1");
    assert_eq!(get(live.running.metrics, "/readyz").unwrap().code, 200, "what is known is programmed");
    server.set_fault_mode(FaultMode::None);
    server.cut();
    live.running.wait_until_cluster_available(true);
    live.put_service("heard", "10.96.9.2");
}

#[test]
fn a_list_without_a_last_page_is_no_sign_of_life() {
    // Without an audit, the control loop has nothing to do meanwhile.
    let live = Live::start(BOUTIQUE, &["--watch-timeout=1", "--hns-audit-interval=3600"]);
    let server = &live.cluster.server;
    server.set_bookmark_interval(Some(Duration::from_millis(30)));
    server.set_streamed_lists(StreamedLists::Forbidden);
    server.set_fault_mode_for(Kind::Service, FaultMode::EndlessPages);
    server.restore(server.objects().into()).unwrap();
    live.running.wait_until_waiting_for("WatchSilent");
    server.set_fault_mode_for(Kind::Service, FaultMode::None);
    live.put_service("later", "10.96.9.1");
}

#[test]
fn an_empty_list_removes_nothing_before_it_is_confirmed() {
    let live = Live::start(BOUTIQUE, &[]);
    live.wait_until_watched();
    let (server, writes) = (&live.cluster.server, live.hns.emulator.writes());
    server.make_unavailable();
    // A change that is programmed without a write to HNS, so that the version expires.
    server.delete(Kind::Service, "ns", "none");
    server
        .put(json!({"apiVersion": "v1", "kind": "Service", "metadata": {"namespace": "ns", "name": "none"},
        "spec": {"clusterIP": "None"}}))
        .unwrap();
    server.forget();
    server.set_fault_mode(FaultMode::EmptyStreams);
    server.make_available().unwrap();
    live.wait_until_watched();
    live.hns.wait_for_audit();
    assert_eq!(live.hns.emulator.writes(), writes, "HNS keeps its objects");
    live.put_service("later", "10.96.9.1");
}

/// Memory in bytes that a fault may cost, in addition to what the program has before.
#[cfg(target_os = "linux")]
const MEMORY: u64 = 96 << 20;

/// A fault costs a bounded amount of memory, and changes are programmed after it.
#[cfg(target_os = "linux")]
#[track_caller]
fn memory_is_bounded(begin: impl Fn(&Live), end: impl Fn(&Live)) {
    let live = Live::start(BOUTIQUE, &[]);
    live.wait_until_watched();
    let before = live.running.peak_memory();
    begin(&live);
    let state = live.running.wait_until_cluster_available(false);
    end(&live);
    live.put_service("later", "10.96.9.1");
    let peak = live.running.peak_memory();
    assert!(peak < before + MEMORY, "{before} to {peak} bytes: {}", state["cluster"]);
}

#[cfg(target_os = "linux")]
fn memory_is_bounded_under(fault_mode: FaultMode) {
    memory_is_bounded(
        |live| {
            // The fault concerns pages.
            live.cluster.server.set_streamed_lists(StreamedLists::Forbidden);
            live.cluster.server.set_fault_mode_for(Kind::Service, fault_mode);
            live.cluster.server.forget();
            live.cluster.server.cut();
        },
        |live| {
            wait_for_requests(live, 6);
            live.cluster.server.set_fault_mode(FaultMode::None);
        },
    );
}

#[test]
#[cfg(target_os = "linux")]
fn an_endless_error_costs_bounded_memory() {
    memory_is_bounded_under(FaultMode::EndlessError { code: 500 });
}

#[test]
#[cfg(target_os = "linux")]
fn an_endless_list_costs_bounded_memory() {
    memory_is_bounded_under(FaultMode::EndlessList);
}

#[test]
#[cfg(target_os = "linux")]
fn an_endless_watch_event_costs_bounded_memory() {
    memory_is_bounded_under(FaultMode::EndlessLine);
}

#[test]
#[cfg(target_os = "linux")]
fn watch_events_of_many_small_values_cost_bounded_memory() {
    const LINES: usize = 3;
    let line = format!(
        "{{\"type\":\"MODIFIED\",\"object\":{{\"metadata\":{{\"namespace\":\"ns\",\"name\":\"odd\"}},\"spec\":{{\"clusterIP\":\"10.96.9.9\",\
         \"ports\":[{}{{}}]}}}}}}\n",
        "{},".repeat(2 << 20)
    );
    memory_is_bounded(
        |live| {
            (0..LINES).for_each(|_| live.cluster.server.send_text(Some(Kind::Service), &line));
            live.cluster.server.send_text(Some(Kind::Service), "<html>\n");
        },
        |_| {},
    );
}
