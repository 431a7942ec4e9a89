//! What kube-proxy 1.36 programmed for real clusters, and we must too, but for differences that are meant.

use serde_json::Value;

use crate::hns::Hns;
use crate::program::{Ended, emulated, from, hnsproxy, recording};

/// A difference from kube-proxy that is meant.
struct Intended {
    /// Why.
    reason: &'static str,
    /// The load balancer: address, port.
    vip: &'static str,
    external_port: u64,
    /// The member, kube-proxy's value, ours.
    member: &'static str,
    theirs: u64,
    ours: u64,
}

pub(crate) fn flags_of(recorded: &Value) -> Vec<String> {
    let note = recorded["note"].as_str().unwrap();
    note.split_whitespace().filter(|word| word.starts_with("--")).map(str::to_owned).collect()
}

/// Runs on a recording with its flags and more.
fn run(name: &str, recorded: &Value, more: &[&str]) -> Ended {
    let hns = emulated(&recording(name, "host.json"));
    run_on(name, recorded, &hns, more)
}

fn run_on(name: &str, recorded: &Value, hns: &str, more: &[&str]) -> Ended {
    let (from, flags) = (from(&recording(name, "cluster.json")), flags_of(recorded));
    let mut arguments = vec!["run", &from, hns, "--once", "-o=json"];
    arguments.extend(flags.iter().map(String::as_str));
    arguments.extend(more);
    hnsproxy(&arguments).expect(0)
}

pub(crate) fn recorded(name: &str) -> Value {
    serde_json::from_str(&std::fs::read_to_string(recording(name, "hns.json")).unwrap()).unwrap()
}

fn sorted(list: &Value) -> Vec<String> {
    let mut texts: Vec<_> = list.as_array().unwrap().iter().map(ToString::to_string).collect();
    texts.sort();
    texts
}

fn compare(name: &str, intended: &[Intended]) {
    let mut wanted = recorded(name);
    let directory = tempfile::tempdir().unwrap();
    let saved = directory.path().join("host.json");
    let ended = run(name, &wanted, &["--save-hns", saved.to_str().unwrap()]);
    let held = ended.json();
    for difference in intended {
        let of = |lb: &&mut Value| lb["vips"][0] == difference.vip && lb["externalPort"] == difference.external_port;
        let lb = wanted["loadBalancers"].as_array_mut().unwrap().iter_mut().find(of).unwrap();
        assert_eq!(lb[difference.member], difference.theirs, "no longer a difference: {}", difference.reason);
        lb[difference.member] = difference.ours.into();
    }
    assert_eq!(sorted(&held["endpoints"]), sorted(&wanted["endpoints"]), "endpoints of {name}");
    assert_eq!(sorted(&held["loadBalancers"]), sorted(&wanted["loadBalancers"]), "load balancers of {name}");

    let (endpoints, load_balancers) = (count(&held, "endpoints"), count(&held, "loadBalancers"));
    let local = held["endpoints"].as_array().unwrap().iter().filter(|e| e["remote"] == false).count() as u64;
    let first = ended.count("native");
    assert!(first <= 2 * endpoints + 2 * load_balancers + 6, "{first} calls for the first programming of {name}");

    let again = run_on(name, &wanted, &emulated(&saved), &[]);
    for list in ["endpoints", "loadBalancers"] {
        assert_eq!(again.json()[list], held[list], "a second run changes nothing");
    }
    assert_eq!(again.count("writes"), 0, "{name}");
    assert!(again.count("native") <= 6 + 2 * local, "{} calls for the second run of {name}", again.count("native"));
}

fn count(held: &Value, list: &str) -> u64 {
    held[list].as_array().unwrap().len() as u64
}

#[test]
fn boutique_on_l2bridge() {
    compare("boutique-l2bridge", &[]);
}

#[test]
fn boutique_on_overlay() {
    compare("boutique-overlay", &[]);
}

#[test]
fn mixed_services_on_l2bridge_in_both_families() {
    compare(
        "mixed-l2bridge",
        &[Intended {
            reason: "a health load balancer on an IPv6 address carries the IPv6 flag, which kube-proxy forgets",
            vip: "2001:db8::25",
            external_port: 32002,
            member: "flags",
            theirs: 0,
            ours: 2,
        }],
    );
}

#[test]
fn the_first_generation_gets_the_same_frontends_and_backends() {
    let wanted = recorded("boutique-l2bridge");
    let held = run("boutique-l2bridge", &wanted, &["--hns-api=v1"]).json();
    let essence = |state: &Value| -> Vec<String> {
        let lbs = state["loadBalancers"].as_array().unwrap().iter();
        lbs.map(|lb| format!("{} {} {} {}", lb["vips"], lb["protocol"], lb["externalPort"], lb["backends"])).collect()
    };
    assert_eq!(essence(&held), essence(&wanted));
}

#[test]
fn an_emulator_at_an_address_gets_the_same_calls_and_ends_the_same() {
    for name in ["boutique-l2bridge", "boutique-overlay", "mixed-l2bridge"] {
        let wanted = recorded(name);
        let here = run(name, &wanted, &[]);
        let hns = Hns::of(name);
        let there = run_on(name, &wanted, &hns.flag(), &[]);
        assert_eq!(there.json(), here.json());
        for counter in ["native", "writes"] {
            assert_eq!(there.count(counter), here.count(counter), "{counter} of {name}");
        }
        assert_eq!(hns.emulator.writes(), here.count("writes"), "the service saw each write of {name}");
    }
}
