//! The clusters of recordings over an API server: the same ends by the same calls as from files.

use test_api_server::{ApiServer, Credentials, StreamedLists};

use super::{Cluster, objects};
use crate::program::{Ended, emulated, from, hnsproxy, recording};
use crate::recordings::{flags_of, recorded};

const NAMES: [&str; 3] = ["boutique-l2bridge", "boutique-overlay", "mixed-l2bridge"];

fn run(name: &str, source: &str) -> Ended {
    let (hns, flags) = (emulated(&recording(name, "host.json")), flags_of(&recorded(name)));
    let mut arguments = vec!["run", source, &hns, "--once", "-o=json"];
    arguments.extend(flags.iter().map(String::as_str));
    hnsproxy(&arguments).expect(0)
}

/// That an API server ends as files do, which end as kube-proxy did.
fn compare(server: fn() -> std::io::Result<ApiServer>, lists: StreamedLists) {
    for name in NAMES {
        let cluster = Cluster::of(server().unwrap());
        cluster.server.load(objects(name)).unwrap();
        cluster.server.set_streamed_lists(lists);
        let (files, live) =
            (run(name, &from(&recording(name, "cluster.json"))), run(name, &cluster.flag(&Credentials::None)));
        assert_eq!(live.json(), files.json(), "{name}");
        for counter in ["native_calls", "writes"] {
            assert_eq!(live.count(counter), files.count(counter), "{counter} of {name}");
        }
    }
}

#[test]
fn streamed_lists_end_as_files_do() {
    compare(ApiServer::start, StreamedLists::Offered);
}

#[test]
fn pages_end_as_files_do() {
    compare(ApiServer::start, StreamedLists::Forbidden);
}

#[test]
fn an_etcd_that_can_t_stream_ends_as_files_do() {
    compare(ApiServer::start, StreamedLists::Unsupported);
}

#[test]
fn tls_ends_as_files_do() {
    compare(ApiServer::start_tls, StreamedLists::Offered);
}
