//! What hnsproxy does at the API server, compared with the page that an administrator grants permissions by.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use test_api_server::{Credentials, StreamedLists};

use super::Live;
use super::events::TakenPorts;
use crate::support::cluster::Cluster;
use crate::support::program::hnsproxy;

/// A verb, a resource, and the API group of the resource.
type Permission = (String, String, String);

/// The rows of the page.
fn listed() -> BTreeSet<Permission> {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/hardening.md");
    let page = fs::read_to_string(page).unwrap();
    let section = page.split("## Permissions at the API server").nth(1).unwrap().split("## ").next().unwrap();
    let rows = section.lines().filter(|line| line.starts_with("| ")).skip(1);
    rows.flat_map(|row| {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        let (verbs, resource, group) = (cells[1], cells[2].to_owned(), cells[3].to_owned());
        verbs.split(", ").map(move |verb| (verb.to_owned(), resource.clone(), group.clone())).collect::<Vec<_>>()
    })
    .collect()
}

/// What a server was asked for.
fn asked(cluster: &Cluster) -> BTreeSet<Permission> {
    let permission = |path: &str, verb: &str| -> Permission {
        let parts: Vec<&str> = path.split('/').skip(1).collect();
        let (group, rest) = match parts.as_slice() {
            ["api", _, rest @ ..] => ("core", rest),
            ["apis", group, _, rest @ ..] => (*group, rest),
            _ => ("", parts.as_slice()),
        };
        let rest = match rest {
            ["namespaces", _, rest @ ..] if !rest.is_empty() => rest,
            rest => rest,
        };
        (verb.to_owned(), rest.first().copied().unwrap_or(path).to_owned(), group.to_owned())
    };
    cluster.server.received().iter().map(|request| permission(&request.path, request.verb)).collect()
}

#[test]
fn all_requests_are_those_that_the_page_lists() {
    let ports = TakenPorts::start();
    ports.fail_again(0, 2);
    let cluster = &ports.live.cluster;
    let kubeconfig = cluster.flag(&Credentials::None);
    hnsproxy(&["doctor", &kubeconfig, &ports.live.hns.flag(), "-o=json"]);
    // A server before Kubernetes 1.34 has no streamed lists.
    let old = Cluster::recorded("boutique-l2bridge");
    old.server.set_streamed_lists(StreamedLists::Forbidden);
    let old = Live::start_on(old, "boutique-l2bridge", &[]);
    let asked: BTreeSet<_> = [asked(cluster), asked(&old.cluster)].into_iter().flatten().collect();
    assert_eq!(asked, listed());
}
