//! The commands that query a running program: `status`, `services`, `history` and `top`.

use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};

use hcn_emulator::faults::{Effect, Fault, Which};
use serde_json::{Value, json};

use crate::support::hns::Hns;
use crate::support::program::{Ended, command, free_addresses, hnsproxy};
use crate::support::recording::cluster_flag;
use crate::support::running::Running;

const BOUTIQUE: &str = "boutique-l2bridge";

fn start(hns: &Hns) -> Running {
    Running::start(&[&cluster_flag(BOUTIQUE), &hns.flag(), "--hns-audit-interval=0.1"])
}

/// A running program that is in sync.
fn in_sync() -> (Hns, Running) {
    let hns = Hns::of(BOUTIQUE);
    let running = start(&hns);
    running.wait_until_in_sync();
    (hns, running)
}

fn flag(running: &Running) -> String {
    format!("--debug-address={}", running.metrics)
}

fn ask(running: &Running, arguments: &[&str]) -> Ended {
    hnsproxy(&[arguments, &[&flag(running)]].concat())
}

/// A command that runs until it is stopped. It is killed when dropped.
struct Following(Child);

impl Following {
    fn start(running: &Running, arguments: &[&str]) -> (Self, impl Iterator<Item = String>) {
        let flag = flag(running);
        let mut child = command(&[arguments, &[flag.as_str()]].concat()).stdout(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        (Self(child), lines.map_while(Result::ok))
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn the_exit_code_of_status_says_whether_hns_is_in_sync() {
    let (hns, running) = in_sync();
    let status = ask(&running, &["status", "-o=json"]).expect(0).json();
    assert_eq!((&status["in_sync"], &status["waiting_for"]), (&json!(true), &json!([])));
    hns.emulator.stop(&[]);
    running.wait_until_waiting_for("HNSUnavailable");
    let status = ask(&running, &["status", "-o=json"]).expect(1).json();
    assert_eq!(status["in_sync"], false);
    assert!(ask(&running, &["status"]).expect(1).stdout.contains("\nwaiting for:\n- HNSUnavailable: "));
    running.kill();
    let [unused] = free_addresses();
    let unreachable = hnsproxy(&["status", &format!("--debug-address={unused}")]).expect(2);
    let part = format!("cannot query hnsproxy at {unused}: ");
    assert!(unreachable.stderr.contains(&part) && unreachable.stdout.is_empty(), "{unreachable:?}");
}

#[test]
fn status_shows_each_change() {
    let (hns, running) = in_sync();
    let (_command, mut lines) = Following::start(&running, &["status", "--watch"]);
    let mut next = |state: &str| lines.find(|line| line.contains(&format!("  {state}  "))).unwrap();
    next("in sync");
    hns.emulator.stop(&[]);
    next("not in sync");
    hns.emulator.start();
    next("in sync");
}

#[test]
fn services_are_all_of_the_running_program_or_those_with_problems() {
    let hns = Hns::of(BOUTIQUE);
    let effect = Effect::Fail(hcn::Hresult::E_INVALIDARG);
    hns.emulator.inject(Fault { which: Which::Function("HcnCreateLoadBalancer".into()), from: 1, every: 1, effect });
    let running = start(&hns);
    running.wait_until_waiting_for("RetriesPending");
    let count = |arguments: &[&str]| {
        let services = ask(&running, &[&["services", "-o=json"], arguments].concat()).expect(0).json();
        assert_eq!(services["continue"], Value::Null);
        services["services"].as_array().unwrap().len()
    };
    let all = count(&[]);
    assert!(all > 10 && count(&["--problems"]) > 0);
    assert_eq!(count(&["-q=kube-system/kube-dns"]), 1);
    hns.emulator.clear_faults();
    running.wait_until_in_sync();
    assert_eq!(count(&["--problems"]), 0);
    let table = ask(&running, &["services"]).expect(0).stdout;
    assert!(table.starts_with("SERVICE ") && table.ends_with(&format!("\n{all} Services\n")), "{table}");
}

#[test]
fn the_history_of_a_service_has_its_writes() {
    let (_hns, running) = in_sync();
    let history = ask(&running, &["history", "kube-system/kube-dns", "--since=10m", "-o=yaml"]).expect(0);
    assert!(history.stdout.contains("kind: write\n"), "{history:?}");
    let table = ask(&running, &["history", "kube-system/kube-dns"]).expect(0).stdout;
    assert!(table.starts_with("TIME ") && table.contains("create load balancer 10.96.0.10:53/UDP"), "{table}");
    assert_eq!(ask(&running, &["history", "ns/nothing"]).expect(0).stdout, "no entries\n");
}

#[test]
fn new_entries_of_the_history_are_shown_immediately() {
    let (hns, running) = in_sync();
    let (_command, mut lines) = Following::start(&running, &["history", "--follow"]);
    lines.find(|line| line.starts_with("TIME ")).unwrap();
    hns.remove(&hns.load_balancers()[0]);
    for kind in ["  drift_found  ", "  drift_repaired  "] {
        lines.find(|line| line.contains(kind)).unwrap();
    }
}

#[test]
fn top_shows_one_frame_without_a_terminal() {
    let (_hns, running) = in_sync();
    let frame = ask(&running, &["top"]).expect(0).stdout;
    for part in [": in sync\n", "\nSLOWEST ", "\nHcnCreateLoadBalancer ", "\nTIME "] {
        assert!(frame.contains(part), "{part:?} is not in\n{frame}");
    }
    let documents = ask(&running, &["top", "-o=json"]).expect(0).json();
    assert!(["status", "hns", "history"].iter().all(|name| documents[name].is_object()), "{documents:#}");
}
