//! Other programs that write to the same HNS: a second hnsproxy is refused, and what keeps deleting objects is reported.

use std::thread;

use hcn::Kind;
use serde_json::json;

use crate::support::hns::Hns;
use crate::support::http::get;
use crate::support::program::hnsproxy;
use crate::support::recording::cluster_flag;
use crate::support::running::Running;
use crate::support::wait::wait_until;

const BOUTIQUE: &str = "boutique-l2bridge";

/// The exit code if another hnsproxy writes to the same HNS.
const LOCKED: i32 = 4;

fn boutique() -> String {
    cluster_flag(BOUTIQUE)
}

#[test]
fn a_second_process_may_read_but_not_write() {
    let hns = Hns::of(BOUTIQUE);
    let (from, at) = (boutique(), hns.flag());
    let running = Running::start(&[&from, &at]);
    running.wait_until_in_sync();
    let objects = hns.objects();
    hnsproxy(&["plan", &from, &at]).expect(0);
    hnsproxy(&["state", &at]).expect(0);
    // Each waits for the end of the first: together, so that it takes the time of one.
    let writers: [&[&str]; 3] = [&["run", &from, &at, "--once"], &["run", &at, "--cleanup"], &["run", &from, &at]];
    thread::scope(|scope| {
        let all = writers.map(|arguments| scope.spawn(|| hnsproxy(arguments).expect(LOCKED)));
        all.into_iter().for_each(|one| drop(one.join().unwrap()));
    });
    assert_eq!(hns.objects(), objects);
    running.wait_until_in_sync();
    drop(running);
    hnsproxy(&["run", &at, "--cleanup"]).expect(0);
}

#[cfg(unix)]
#[test]
fn a_process_that_starts_before_the_last_one_has_ended_replaces_it() {
    let hns = Hns::of(BOUTIQUE);
    let (from, at) = (boutique(), hns.flag());
    let first = Running::start(&[&from, &at]);
    first.wait_until_in_sync();
    let second = Running::start(&[&from, &at]);
    first.interrupt();
    second.wait_until_in_sync();
}

/// Runs until HNS is in sync. Returns whether load balancers that were removed before the start are reported.
fn reports_removed(hns: &Hns) -> bool {
    let running = Running::start(&[&boutique(), &hns.flag()]);
    running.wait_until_in_sync();
    let state = running.state().unwrap();
    state["host_conditions"].as_array().unwrap().iter().any(|one| one["reason"] == "LoadBalancersRemoved")
}

/// A file that hangs: a FIFO that nothing writes.
#[cfg(target_os = "linux")]
#[test]
fn a_state_file_that_is_a_pipe_does_not_delay_the_start() {
    let hns = Hns::of(BOUTIQUE);
    let name = hns.flag().replace("--hns=tcp://", "tcp-").replace(':', "_");
    let file = std::env::temp_dir().join("hnsproxy").join(format!("{name}.state.json"));
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    // Of an earlier HNS at the same port.
    let _ = std::fs::remove_file(&file);
    assert!(std::process::Command::new("mkfifo").arg(&file).status().unwrap().success());
    let running = Running::start(&[&boutique(), &hns.flag()]);
    running.wait_until_in_sync();
    assert_eq!(get(running.metrics, "/readyz").unwrap().code, 200);
    std::fs::remove_file(&file).unwrap();
}

#[test]
fn load_balancers_that_a_start_script_has_removed_are_reported_at_the_start() {
    let hns = Hns::of(BOUTIQUE);
    assert!(!reports_removed(&hns));
    let objects = hns.objects();
    hns.load_balancers().iter().for_each(|load_balancer| hns.remove(load_balancer));
    assert!(reports_removed(&hns));
    assert_eq!(hns.objects(), objects);
    assert!(!reports_removed(&hns));
}

#[test]
fn load_balancers_that_another_service_proxy_has_replaced_are_not_reported_as_removed() {
    let hns = Hns::of(BOUTIQUE);
    assert!(!reports_removed(&hns));
    hns.load_balancers().iter().for_each(|load_balancer| hns.remove(load_balancer));
    let foreign = json!({"FrontendVIPs": ["172.16.0.1"], "HostComputeEndpoints": [],
        "PortMappings": [{"Protocol": 6, "InternalPort": 1, "ExternalPort": 1}],
        "SchemaVersion": {"Major": 2, "Minor": 0}});
    hns.emulator.add(Kind::LoadBalancer, foreign);
    assert!(!reports_removed(&hns));
}

#[test]
fn a_script_that_keeps_deleting_load_balancers_is_reported() {
    let hns = Hns::of(BOUTIQUE);
    let running = Running::start(&[&boutique(), &hns.flag(), "--hns-audit-interval=0.1"]);
    running.wait_until_in_sync();
    let objects = hns.objects();
    let has_reason = |state: &serde_json::Value, list: &str| {
        state[list].as_array().unwrap().iter().any(|one| one["reason"] == "ForeignWriter")
    };
    let delete_and_ask = || {
        hns.load_balancers().iter().for_each(|load_balancer| hns.remove(load_balancer));
        running.state()
    };
    let state = wait_until("the script to be reported", delete_and_ask, |state| {
        state.as_ref().is_some_and(|state| has_reason(state, "host_conditions"))
    });
    let state = state.unwrap();
    assert!(has_reason(&state, "waiting_for") && state["in_sync"] == false, "{state:#}");
    assert!(running.metrics_page().metric("hnsproxy_reconcile_contended") > Some(0.0));
    // What it deleted is repaired later, although it may not have stopped for good.
    hns.wait_until_objects_are(&objects);
    running.wait_until_in_sync();
    assert!(has_reason(&running.state().unwrap(), "host_conditions"));
}
