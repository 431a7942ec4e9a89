//! Tests for each recording of kube-proxy 1.36: HNS has the objects that kube-proxy created, with every source of the cluster and every
//! way to HNS, within a number of calls.

use std::fs;
use std::io;

use libtest_mimic::Trial;
use serde_json::Value;
use test_api_server::{ApiServer, Credentials, StreamedLists};

use crate::support::cluster::Cluster;
use crate::support::hns::Hns;
use crate::support::program::{emulated, hnsproxy};
use crate::support::recording::{cluster_flag, flags, host_flag, objects, recorded, recordings};

/// An intended difference from kube-proxy.
struct Difference {
    recording: &'static str,
    reason: &'static str,
    /// The load balancer: address, port.
    vip: &'static str,
    external_port: u64,
    /// The member, and its values in kube-proxy and in hnsproxy.
    member: &'static str,
    theirs: u64,
    ours: u64,
}

const DIFFERENCES: [Difference; 1] = [Difference {
    recording: "mixed-l2bridge",
    reason: "a health load balancer on an IPv6 address carries the IPv6 flag, which kube-proxy does not set",
    vip: "2001:db8::25",
    external_port: 32002,
    member: "flags",
    theirs: 0,
    ours: 2,
}];

type Check = fn(&str);

const CHECKS: [(&str, Check); 9] = [
    ("ends_as_kube_proxy_left_hns", ends_as_kube_proxy_left_hns),
    ("the_first_run_makes_few_calls", the_first_run_makes_few_calls),
    ("a_second_run_writes_nothing", a_second_run_writes_nothing),
    ("the_v1_api_gets_the_same_frontends_and_backends", the_v1_api_gets_the_same_frontends_and_backends),
    ("hns_over_tcp_gets_the_same_calls", hns_over_tcp_gets_the_same_calls),
    ("streamed_lists_end_as_files_do", |name| ends_as_from_files(name, ApiServer::start, StreamedLists::Offered)),
    ("pages_end_as_files_do", |name| ends_as_from_files(name, ApiServer::start, StreamedLists::Forbidden)),
    ("an_etcd_that_cannot_stream_ends_as_files_do", |name| {
        ends_as_from_files(name, ApiServer::start, StreamedLists::Unsupported);
    }),
    ("tls_ends_as_files_do", |name| ends_as_from_files(name, ApiServer::start_tls, StreamedLists::Offered)),
];

pub(crate) fn trials() -> impl Iterator<Item = Trial> {
    let mut names: Vec<String> =
        fs::read_dir(recordings()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names.into_iter().flat_map(|name| {
        CHECKS.map(|(what, check)| {
            let recording = name.clone();
            Trial::test(format!("recordings::{name}::{what}"), move || {
                check(&recording);
                Ok(())
            })
        })
    })
}

/// The result of a run with the cluster, host and kube-proxy flags of a recording: the objects in HNS, and the numbers of calls.
struct Run {
    hns: Value,
    calls: u64,
    writes: u64,
}

fn run(name: &str, more: &[&str]) -> Run {
    run_on(name, &cluster_flag(name), &host_flag(name), more)
}

fn run_on(name: &str, cluster: &str, hns: &str, more: &[&str]) -> Run {
    let flags = flags(&recorded(name));
    let mut arguments = vec!["run", cluster, hns, "--once", "-o=json"];
    arguments.extend(flags.iter().map(String::as_str));
    arguments.extend(more);
    let mut hns = hnsproxy(&arguments).expect(0).json();
    let calls = hns.as_object_mut().unwrap().remove("calls").unwrap();
    // Problems name the files, so they differ between sources.
    hns.as_object_mut().unwrap().remove("problems").unwrap();
    Run { hns, calls: calls["native"].as_u64().unwrap(), writes: calls["writes"].as_u64().unwrap() }
}

fn sorted(list: &Value) -> Vec<String> {
    let mut texts: Vec<_> = list.as_array().unwrap().iter().map(ToString::to_string).collect();
    texts.sort();
    texts
}

fn len(hns: &Value, list: &str) -> u64 {
    hns[list].as_array().unwrap().len() as u64
}

fn ends_as_kube_proxy_left_hns(name: &str) {
    let mut expected = recorded(name);
    for difference in DIFFERENCES.iter().filter(|difference| difference.recording == name) {
        let of = |lb: &&mut Value| lb["vips"][0] == difference.vip && lb["externalPort"] == difference.external_port;
        let lb = expected["loadBalancers"].as_array_mut().unwrap().iter_mut().find(of).unwrap();
        assert_eq!(lb[difference.member], difference.theirs, "this is not a difference: {}", difference.reason);
        lb[difference.member] = difference.ours.into();
    }
    let hns = run(name, &[]).hns;
    assert_eq!(sorted(&hns["endpoints"]), sorted(&expected["endpoints"]));
    assert_eq!(sorted(&hns["loadBalancers"]), sorted(&expected["loadBalancers"]));
}

fn the_first_run_makes_few_calls(name: &str) {
    let Run { hns, calls, .. } = run(name, &[]);
    let limit = 2 * len(&hns, "endpoints") + 2 * len(&hns, "loadBalancers") + 6;
    assert!(calls <= limit, "{calls} calls, at most {limit} are allowed");
}

fn a_second_run_writes_nothing(name: &str) {
    let directory = tempfile::tempdir().unwrap();
    let saved = directory.path().join("host.json");
    let first = run(name, &["--save-hns", saved.to_str().unwrap()]);
    let second = run_on(name, &cluster_flag(name), &emulated(&saved), &[]);
    assert_eq!((second.hns, second.writes), (first.hns.clone(), 0));
    let local = first.hns["endpoints"].as_array().unwrap().iter().filter(|endpoint| endpoint["remote"] == false);
    let limit = 6 + 2 * local.count() as u64;
    assert!(second.calls <= limit, "{} calls, at most {limit} are allowed", second.calls);
}

fn the_v1_api_gets_the_same_frontends_and_backends(name: &str) {
    // The v1 API has no IPv6. A node port has no address of its own, but backends of one family.
    let is_v6 = |address: &Value| address.as_str().is_some_and(|address| address.contains(':'));
    let is_v4 = |lb: &&Value| !is_v6(&lb["vips"][0]) && !is_v6(&lb["backends"][0]);
    let essence = |hns: &Value| -> Vec<String> {
        let lbs = hns["loadBalancers"].as_array().unwrap().iter().filter(is_v4);
        lbs.map(|lb| format!("{} {} {} {}", lb["vips"], lb["protocol"], lb["externalPort"], lb["backends"])).collect()
    };
    assert_eq!(essence(&run(name, &["--hns-api=v1"]).hns), essence(&recorded(name)));
}

fn hns_over_tcp_gets_the_same_calls(name: &str) {
    let (here, hns) = (run(name, &[]), Hns::of(name));
    let there = run_on(name, &cluster_flag(name), &hns.flag(), &[]);
    assert_eq!((there.hns, there.calls, there.writes), (here.hns, here.calls, here.writes));
    assert_eq!(hns.emulator.writes(), here.writes, "the service counts the same writes");
}

fn ends_as_from_files(name: &str, server: fn() -> io::Result<ApiServer>, lists: StreamedLists) {
    let cluster = Cluster::of(server().unwrap());
    cluster.server.load(objects(name)).unwrap();
    cluster.server.set_streamed_lists(lists);
    let (files, live) = (run(name, &[]), run_on(name, &cluster.flag(&Credentials::None), &host_flag(name), &[]));
    assert_eq!((live.hns, live.calls, live.writes), (files.hns, files.calls, files.writes));
}
