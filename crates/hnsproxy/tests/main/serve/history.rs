//! `/debug/history`: what has happened, and its example in `docs/api.md`.

use hcn_emulator::testing;
use serde_json::{Value, json};
use test_api_server::Credentials;

use super::status_api::example;
use super::{MIXED, in_sync, start};
use crate::support::cluster::{Cluster, slice};
use crate::support::hns::Hns;
use crate::support::http::get;
use crate::support::recording::cluster_flag;
use crate::support::running::Running;
use crate::support::wait::wait_until;

fn history(running: &Running, query: &str) -> Value {
    let answer = get(running.metrics, &format!("/debug/history{query}")).unwrap();
    assert_eq!((answer.code, answer.header("content-type")), (200, "application/json"));
    answer.json()
}

/// The values of some fields of each entry.
fn fields<const N: usize>(history: &Value, names: [&str; N]) -> Vec<[Value; N]> {
    let entries = history["entries"].as_array().unwrap();
    entries.iter().map(|entry| names.map(|name| entry[name].clone())).collect()
}

#[test]
fn the_history_is_as_documented() {
    let (_hns, running) = in_sync(&[]);
    let now = history(&running, "?service=kube-system/kube-dns&limit=1&pretty");
    let mut expected = example("/debug/history");
    for path in ["/process/started", "/entries/0/time", "/entries/0/duration_seconds"] {
        if let (Some(now), Some(expected)) = (now.pointer(path), expected.pointer_mut(path)) {
            *expected = now.clone();
        }
    }
    assert_eq!(now, expected, "docs/api.md differs from\n{now:#}");
}

#[test]
fn a_lost_load_balancer_and_its_repair_are_in_the_history() {
    let (hns, running) = in_sync(&["--hns-audit-interval=0.1"]);
    let since = history(&running, "")["last_sequence"].clone();
    hns.remove(&hns.load_balancers()[0]);
    let later = || history(&running, &format!("?since={since}"));
    let is_repaired = |history: &Value| fields(history, ["kind"]).contains(&[json!("drift_repaired")]);
    let history = wait_until("the repair", later, is_repaired);
    let found = fields(&history, ["kind", "cause", "action", "reason", "error"]);
    let lost = json!("load_balancer_lost");
    let expected = [
        [json!("drift_found"), lost.clone(), Value::Null, Value::Null, Value::Null],
        [json!("write"), Value::Null, json!("create_load_balancer"), json!("missing"), Value::Null],
        [json!("drift_repaired"), lost, Value::Null, Value::Null, Value::Null],
    ];
    assert_eq!(found, expected);
    let about = fields(&history, ["service", "frontend"]);
    assert!(about[0][0].is_string() && about.iter().all(|one| *one == about[0]), "{about:?}");
}

#[test]
fn a_restart_of_hns_is_in_the_history() {
    let (hns, running) = in_sync(&["--hns-audit-interval=0.1"]);
    let since = history(&running, "")["last_sequence"].clone();
    hns.emulator.stop(&[]);
    running.wait_until_waiting_for("HNSUnavailable");
    hns.emulator.start();
    running.wait_until_in_sync();
    let history = history(&running, &format!("?since={since}"));
    let states = fields(&history, ["liveness"]).into_iter().flatten().filter(|state| !state.is_null());
    assert_eq!(states.collect::<Vec<_>>(), ["unavailable", "restarted", "up"]);
    let conditions = fields(&history, ["kind", "reason"]);
    for kind in ["condition_begun", "condition_resolved"] {
        assert!(conditions.contains(&[json!(kind), json!("HNSUnavailable")]), "{history:#}");
    }
}

#[test]
fn the_history_is_answered_while_hns_hangs() {
    let hns = Hns::on(&testing::host("15.5", &["L2Bridge"]));
    hns.emulator.hang_nth("HcnCreateLoadBalancer", 1);
    let running = Running::start(&[&cluster_flag(MIXED), &hns.flag()]);
    wait_until("a call to hang", || hns.emulator.hung_calls(), |calls| *calls == 1);
    assert!(history(&running, "?limit=4096")["last_sequence"].is_u64());
    hns.emulator.release();
}

#[test]
fn a_call_that_hangs_is_in_the_history_before_it_returns_and_its_write_afterwards() {
    let hns = Hns::on(&testing::host("15.5", &["L2Bridge"]));
    hns.emulator.hang_nth("HcnCreateLoadBalancer", 1);
    let running = start(&hns, &["--hns-call-budget=0.05"]);
    wait_until("a call to hang", || hns.emulator.hung_calls(), |calls| *calls == 1);
    let all = || fields(&history(&running, "?since=0&limit=4096"), ["kind", "function", "returned", "liveness"]);
    let call = |returned| [json!("hns_call"), json!("HcnCreateLoadBalancer"), json!(returned), Value::Null];
    let slow = [json!("hns_liveness"), Value::Null, Value::Null, json!("slow")];
    let hangs = wait_until("the call", all, |all| all.contains(&slow));
    assert!(hangs.contains(&call(false)) && !hangs.iter().any(|entry| entry[0] == "write"), "{hangs:?}");
    hns.emulator.release();
    let returned = |all: &Vec<_>| all.contains(&call(true)) && all.iter().any(|entry: &[Value; 4]| entry[0] == "write");
    wait_until("the write", all, returned);
}

#[test]
fn added_and_removed_backends_are_in_the_history_with_reasons() {
    let (cluster, hns) = (Cluster::empty(), Hns::on(&testing::host("15.5", &["L2Bridge"])));
    cluster.put_web("web", "10.96.0.1");
    let running = Running::start(&[&cluster.flag(&Credentials::None), &hns.flag()]);
    running.wait_until_in_sync();
    cluster.server.put(slice("web", "10.244.7.8")).unwrap();
    let found = || fields(&history(&running, "?service=ns/web"), ["kind", "added", "removed"]);
    let removed = json!([{"address": "10.244.7.7", "reason": "NotInSlices"}]);
    let expected = [json!("backends"), json!(["10.244.7.8"]), removed];
    wait_until("the change of backends", found, |found| found.contains(&expected));
}

#[test]
fn an_invalid_parameter_is_refused() {
    let (_hns, running) = in_sync(&[]);
    for query in ["?since=yesterday", "?limit=0", "?service=web", "?until=1", "?pretty=2"] {
        assert_eq!(get(running.metrics, &format!("/debug/history{query}")).unwrap().code, 400, "{query}");
    }
}

#[cfg(unix)]
#[test]
fn the_history_survives_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let flag = format!("--state-dir={}", directory.path().join("state").display());
    let (hns, running) = in_sync(&[&flag]);
    let before = history(&running, "?limit=4096");
    running.interrupt();
    hns.remove(&hns.load_balancers()[0]);
    let running = start(&hns, &[&flag]);
    running.wait_until_in_sync();
    let after = history(&running, "?limit=4096");
    let (old, all) = (before["entries"].as_array().unwrap(), after["entries"].as_array().unwrap());
    assert_eq!(all[..old.len()], old[..]);
    let sequences: Vec<_> = all.iter().map(|entry| entry["sequence"].as_u64().unwrap()).collect();
    assert_eq!(sequences, (1..=all.len() as u64).collect::<Vec<_>>());
    assert!(all.len() > old.len());
    assert_ne!(after["process"], before["process"], "a client that polls notices the restart");
    assert_eq!(after["saving"], json!({"lost_entries": 0, "skipped_lines": 0}));
}
