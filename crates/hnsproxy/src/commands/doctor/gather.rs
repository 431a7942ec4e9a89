//! Gathers the facts for the checks. This is the only part of `doctor` that does I/O. Each source has a time limit. If a source does not
//! respond in time, its facts are missing.

mod cluster;
mod hns;
mod host;
mod servers;

use std::sync::Arc;
use std::time::Duration;

use cluster_source::{Catalog, error_chain};
use proxy::{Host, Settings};

use super::super::bounded::begin;
use super::super::installed::Node;
use super::ask::{codes, connections};
use super::facts::{Facts, ProcessFacts, SettingsFacts, Source};
use crate::cli::ProxyArgs;
use crate::config::Config;
use crate::environment;
use crate::hns::HnsChoice;
use crate::http_client::Server;
use hns::HnsThread;
pub(in crate::commands) use hns::SessionInputs;

/// Longer than it takes to report an API server as unavailable: 15 s for a response, and then 10 s of retries.
const CLUSTER_LIMIT: Duration = Duration::from_secs(30);
/// The time limit for Windows programs, such as `netsh`.
const HOST_LIMIT: Duration = Duration::from_secs(15);
/// Longer than the time limit of a request, which is 10 s.
const PROCESS_LIMIT: Duration = Duration::from_secs(15);

/// The command line and the configuration. Shared by all threads.
struct Inputs {
    args: ProxyArgs,
    config: Config,
}

/// The facts, and the data from which they were created.
pub(in crate::commands) struct Gathered {
    pub(in crate::commands) facts: Facts,
    pub(in crate::commands) hns: HnsThread,
    pub(in crate::commands) catalog: Source<Arc<Catalog>>,
    pub(in crate::commands) settings: Source<Settings>,
    pub(in crate::commands) host: Source<Host>,
}

pub(in crate::commands) fn gather(node: &Node, config: &Config) -> Gathered {
    let inputs = Arc::new(Inputs { args: node.proxy.clone(), config: config.clone() });
    let is_windows = *node.proxy.hns.choice() == HnsChoice::Windows;
    let on_windows = is_windows.then_some(()).ok_or_else(|| "only on Windows with --hns windows".to_owned());
    // All other sources are read at the same time as HNS, which is called by only one thread at a time.
    let process = node.server.clone().map(|server| (server.address, begin(PROCESS_LIMIT, move || process(&server))));
    let host = on_windows.clone().map(|()| begin(HOST_LIMIT, host::facts));
    let port_ranges = on_windows.clone().map(|()| begin(HOST_LIMIT, host::port_ranges));
    let proxies = on_windows.clone().map(|()| begin(HOST_LIMIT, host::proxies));
    let mut hns = HnsThread::open(&node.proxy);
    let cluster = hns.opened().map(|hns| {
        let inputs = inputs.clone();
        begin(CLUSTER_LIMIT, move || cluster::read(&inputs, &hns))
    });
    let (hns_facts, hns_error) = match (hns.opened(), hns.run(|hns| hns::read(&hns))) {
        (Err(error), _) => (Err(error), None),
        (Ok(_), Ok(Ok(facts))) => (Ok(facts), None),
        (Ok(_), Ok(Err(error))) => (Err("cannot read HNS".to_owned()), Some(error_chain(&error))),
        (Ok(_), Err(reason)) => (Err(format!("cannot read HNS: {reason}")), Some(reason)),
    };
    let (catalog, api_server) = match cluster.map(|cluster| cluster.wait()) {
        Ok(Ok((catalog, api_server))) => (catalog.map(Arc::new), api_server),
        Ok(Err(reason)) => {
            let reason = format!("cannot read the cluster: {reason}");
            (Err(reason.clone()), cluster::unavailable(&inputs, reason))
        }
        Err(error) => (Err(error.clone()), Err(error)),
    };
    let asked = match (&on_windows, &catalog) {
        (Ok(()), Ok(_)) if node.proxy.source.from.is_some() => Err(cluster::FROM_FILES.to_owned()),
        (Ok(()), Ok(catalog)) => Ok((servers::dns(catalog), servers::kubernetes(catalog))),
        (Err(reason), _) | (_, Err(reason)) => Err(reason.clone()),
    };
    let (dns, kubernetes) = match asked {
        Ok((dns, kubernetes)) => {
            (Ok(begin(HOST_LIMIT, move || codes(dns))), Ok(begin(HOST_LIMIT, move || connections(kubernetes))))
        }
        Err(reason) => (Err(reason.clone()), Err(reason)),
    };
    let settings = hns
        .opened()
        .and_then(|hns| environment::settings(config, &node.proxy, &hns).map_err(|error| error_chain(&error)));
    let node_host = hns.opened().map(|hns| {
        let known = settings.as_ref().ok().zip(catalog.as_ref().ok());
        let object = known.and_then(|(settings, catalog)| catalog.nodes.get(&settings.node_name));
        environment::host(config, &node.proxy, &hns, object.map(|object| &**object))
    });
    let services = match (&settings, &node_host, &catalog) {
        (Ok(settings), Ok(host), Ok(catalog)) => {
            let session = hns::SessionInputs::of(&node.proxy, settings, host, catalog);
            hns.run(move |hns| hns::explain(hns, session)).and_then(|explained| explained)
        }
        (Err(error), ..) | (_, Err(error), _) | (.., Err(error)) => Err(error.clone()),
    };
    let facts = Facts {
        description: hns.opened().map_or_else(|_| String::from("HNS not opened"), |hns| hns.description()),
        host: host.and_then(|host| host.wait()).map(|host| host::with_version(host, hns_facts.as_ref().ok())),
        hns: hns_facts,
        hns_error,
        settings: settings.as_ref().map(SettingsFacts::from).map_err(Clone::clone),
        notes: config.notes.clone(),
        services,
        node_ports: catalog.as_ref().map(|catalog| cluster::node_ports(catalog)).map_err(Clone::clone),
        api_server,
        dns: dns.and_then(|dns| dns.wait()),
        kubernetes: kubernetes.and_then(|kubernetes| kubernetes.wait()),
        process: process.and_then(|(address, process)| {
            let answered = process.wait().and_then(|answered| answered);
            answered.map_err(|reason| format!("cannot query hnsproxy at {address}: {reason}"))
        }),
        port_ranges: port_ranges.and_then(|ranges| ranges.wait()),
        proxies: proxies.and_then(|proxies| proxies.wait()),
    };
    Gathered { facts, hns, catalog, settings, host: node_host }
}

fn process(server: &Server) -> Source<ProcessFacts> {
    match server.get_json("/statusz?format=json") {
        Ok(Some(process)) => Ok(process),
        Ok(None) => Err("another program listens at this address".to_owned()),
        Err(error) => Err(error_chain(&error)),
    }
}
