//! `explain packet` from a running program, by what it has observed in HNS.

use std::net::{IpAddr, SocketAddr};

use hcn::Kind;
use serde_json::{Value, json};

use crate::support::hns::Hns;
use crate::support::http::get;
use crate::support::program::hnsproxy;
use crate::support::recording::cluster_flag;
use crate::support::running::Running;
use crate::support::wait::wait_until;

/// The program in sync on a recording.
fn in_sync(recording: &str, hns: &Hns) -> Running {
    let (cluster, at) = (cluster_flag(recording), hns.flag());
    let running = Running::start(&[&cluster, &at, "--enable-dsr", "--source-vip=10.244.1.9"]);
    running.wait_until_in_sync();
    running
}

/// The node, a pod of it, and neither.
const CLIENTS: [[&str; 3]; 2] =
    [["192.168.77.1", "10.244.1.11", "192.0.2.1"], ["fd00:77::1", "fd00:10:244:1::b", "2001:db8::1"]];

/// A frontend of each load balancer, on an address of the node if it has none, and a client of the family.
fn packets(hns: &Hns) -> Vec<(&'static str, String)> {
    let packet = |(index, document): (usize, &Value)| {
        let mapping = &document["PortMappings"][0];
        let protocol = if mapping["Protocol"] == 6 { "TCP" } else { "UDP" };
        let is_ipv6 = document["Flags"].as_u64().unwrap_or_default() & 2 != 0;
        let vip: IpAddr = match document["FrontendVIPs"][0].as_str() {
            Some(vip) => vip.parse().unwrap(),
            None => CLIENTS[usize::from(is_ipv6)][0].parse().unwrap(),
        };
        let port = mapping["ExternalPort"].as_u64().unwrap().try_into().unwrap();
        let clients = CLIENTS[usize::from(vip.is_ipv6())];
        (clients[index % clients.len()], format!("{}/{protocol}", SocketAddr::new(vip, port)))
    };
    hns.load_balancers().iter().enumerate().map(packet).collect()
}

/// The answer, and what is not known.
fn explain(from: &str, to: &str, source: &str) -> (Value, Value) {
    let (from, to) = (format!("--from={from}"), format!("--to={to}"));
    let mut answer = hnsproxy(&["explain", "packet", &from, &to, source, "-o=json"]).expect(0).json();
    answer.as_object_mut().unwrap().remove("description");
    let not_known = answer.as_object_mut().unwrap().remove("notKnown").unwrap_or_default();
    (answer, not_known)
}

#[test]
fn a_running_program_answers_as_hns_would() {
    for recording in ["mixed-l2bridge", "boutique-overlay"] {
        let hns = Hns::of(recording);
        // After a restart, most objects are known by their ids.
        for start in ["first start", "restart"] {
            let running = in_sync(recording, &hns);
            let process = format!("--debug-address={}", running.metrics);
            for (from, to) in packets(&hns) {
                let (answer, not_known) = explain(from, &to, &process);
                assert_eq!(answer, explain(from, &to, &hns.flag()).0, "{recording}, {start}: {from} to {to}");
                assert_eq!(not_known.as_array().map(Vec::len), Some(1));
            }
        }
    }
}

#[test]
fn a_load_balancer_whose_members_are_not_all_known_is_named() {
    let hns = Hns::of("mixed-l2bridge");
    let id = hns.emulator.add(
        Kind::LoadBalancer,
        json!({"FrontendVIPs": ["172.16.0.1", "172.16.0.2"], "HostComputeEndpoints": [],
               "PortMappings": [{"Protocol": 6, "InternalPort": 80, "ExternalPort": 80}]}),
    );
    let running = in_sync("mixed-l2bridge", &hns);
    let process = format!("--debug-address={}", running.metrics);
    let (answer, not_known) = explain("192.0.2.1", "172.16.0.2:80/TCP", &process);
    assert_eq!(answer["loadBalancer"], Value::Null);
    let not_known = not_known.as_array().unwrap().clone();
    assert!(not_known.len() == 2 && not_known[1].as_str().unwrap().contains(&id.to_string()), "{not_known:?}");
    let (_, of_another) = explain("192.0.2.1", "172.16.0.2:81/TCP", &process);
    assert_eq!(of_another.as_array().map(Vec::len), Some(1));
}

#[test]
fn a_page_answers_only_what_is_asked_and_known() {
    let hns = Hns::of("mixed-l2bridge");
    hns.emulator.stop(&[]);
    let running = Running::start(&[&cluster_flag("mixed-l2bridge"), &hns.flag()]);
    running.wait_until_waiting_for("HNSUnavailable");
    let code = |path: &str| get(running.metrics, path).unwrap().code;
    let question = "/debug/packet?from=192.0.2.1&to=10.96.0.10:53/UDP";
    assert_eq!(code(question), 503);
    hns.emulator.start();
    running.wait_until_in_sync();
    assert_eq!(code(question), 200);
    for invalid in ["/debug/packet", "/debug/packet?from=192.0.2.1", "/debug/packet?from=fd00::b&to=10.96.0.10:53/UDP"]
    {
        assert_eq!(code(invalid), 400, "{invalid}");
    }
    let (arguments, process) =
        (["explain", "packet", "--from=192.0.2.1"], format!("--debug-address={}", running.metrics));
    let with = |flags: &[&str]| hnsproxy(&[&arguments[..], &["--to=10.96.0.10:53/UDP", &process], flags].concat());
    with(&[]).expect(0);
    with(&[&hns.flag()]).expect(1);
    with(&["--node-ip=192.168.77.1"]).expect(1);
}

#[test]
fn the_page_answers_503_while_an_hns_call_hangs() {
    let hns = Hns::of("mixed-l2bridge");
    let running = in_sync("mixed-l2bridge", &hns);
    hns.emulator.hang_nth("HcnEnumerateLoadBalancers", 1);
    wait_until("an audit to hang", || hns.emulator.hung_calls(), |calls| *calls == 1);
    let question = "/debug/packet?from=192.0.2.1&to=10.96.0.10:53/UDP";
    assert_eq!(get(running.metrics, question).unwrap().code, 503);
    hns.emulator.release();
    running.wait_until_in_sync();
    assert_eq!(get(running.metrics, question).unwrap().code, 200);
}
