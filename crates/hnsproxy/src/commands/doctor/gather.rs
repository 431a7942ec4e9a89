//! Gathers what checks need: the only part of `doctor` that does I/O.

use std::collections::BTreeSet;
use std::num::NonZeroUsize;
use std::sync::Arc;

use cluster_source::{Catalog, error_chain};
use hcn::schema::v1::{HnsEndpoint, HnsNetwork};
use hcn::{ApiVersion, Error, Kind};
use hcn_survey::{HostFacts, output};
use proxy::model::ServiceName;
use proxy::{Explanation, Host, Settings};
use serde::Deserialize;
use sysinfo::{ProcessRefreshKind, ProcessesToUpdate, System};

use super::super::probe::raw::v1_list;
use super::super::{read_cluster, unhandled};
use super::api_server::{self, Answers};
use super::facts::{ApiServerFacts, Facts, HnsFacts, ProcessFacts, SettingsFacts, Source};
use super::port_ranges::{self, PortRanges};
use crate::cli::DoctorArgs;
use crate::config::{Config, METRICS_ADDRESS};
use crate::environment;
use crate::hns::{Hns, HnsChoice, objects};
use crate::host_local::HostLocal;
use crate::session::Session;
use crate::source;

pub(super) fn gather(args: &DoctorArgs, config: &Config) -> Facts {
    let is_windows = *args.proxy.hns.choice() == HnsChoice::Windows;
    let opened = Hns::open(&args.proxy.hns).map_err(|error| error_chain(&error));
    let read = opened.as_ref().map(hns_facts);
    let (hns, hns_error) = match read {
        Ok(Ok(facts)) => (Ok(facts), None),
        Ok(Err(error)) => (Err("HNS cannot be read".to_owned()), Some(error_chain(&error))),
        Err(error) => (Err(error.clone()), None),
    };
    let (catalog, api_server) = match &opened {
        Ok(hns) => cluster(args, config, hns),
        Err(error) => (Err(error.clone()), Err(error.clone())),
    };
    let settings = opened.clone().and_then(|hns| settings(args, config, &hns));
    let host = opened.clone().map(|hns| {
        let node = settings.as_ref().ok().zip(catalog.as_ref().ok());
        let node = node.and_then(|(settings, catalog)| catalog.nodes.get(&settings.node_name));
        environment::host(config, &args.proxy, &hns, node.map(|node| &**node))
    });
    let services = match (&opened, &settings, &host, &catalog) {
        (Ok(hns), Ok(settings), Ok(host), Ok(catalog)) => explained(args, hns, settings, host, catalog),
        (Err(error), ..) | (_, Err(error), ..) | (_, _, Err(error), _) | (.., Err(error)) => Err(error.clone()),
    };
    let only_windows = || "only on Windows with --hns windows".to_owned();
    Facts {
        description: opened.as_ref().map_or_else(|_| String::from("HNS not opened"), |hns| hns.description()),
        host: if is_windows {
            Ok(HostFacts::read(hns.as_ref().ok().map(|hns| hns.version.to_string())))
        } else {
            Err(only_windows())
        },
        hns,
        hns_error,
        settings: settings.as_ref().map(SettingsFacts::from).map_err(Clone::clone),
        notes: config.notes.clone(),
        services,
        node_ports: catalog.map(|catalog| node_ports(&catalog)),
        api_server,
        process: process(args),
        port_ranges: if is_windows { Ok(port_ranges()) } else { Err(only_windows()) },
        proxies: if is_windows { Ok(proxies()) } else { Err(only_windows()) },
    }
}

fn hns_facts(hns: &Arc<Hns>) -> Result<HnsFacts, Error> {
    let version = hns.client(ApiVersion::V1).version()?;
    let api = hns.api_version(version);
    let hcn = hns.hcn();
    let endpoints = || v1_list(&*hcn, Kind::Endpoint);
    // The HCN (v2) API does not show the state of endpoints and the management address of networks.
    let networks = v1_list(&*hcn, Kind::Network)?;
    let before = endpoints()?;
    let load_balancers = objects::load_balancers(&hns.client(api))?;
    let after = endpoints()?;
    let endpoint = |document| Some(hcn::schema::Endpoint::from(HnsEndpoint::deserialize(document).ok()?));
    let ids = before.iter().chain(&after).filter_map(|document| endpoint(document)?.id);
    Ok(HnsFacts {
        version,
        api,
        networks: networks.iter().filter_map(|one| Some(HnsNetwork::deserialize(one).ok()?.into())).collect(),
        endpoint_ids: ids.collect::<BTreeSet<_>>(),
        endpoints: after.iter().filter_map(endpoint).collect(),
        load_balancers: load_balancers.into_iter().map(|(_, document)| document).collect(),
    })
}

fn settings(args: &DoctorArgs, config: &Config, hns: &Hns) -> Source<Settings> {
    environment::settings(config, &args.proxy, hns).map_err(|error| error_chain(&error))
}

fn cluster(args: &DoctorArgs, config: &Config, hns: &Hns) -> (Source<Catalog>, Source<ApiServerFacts>) {
    let catalog = read_cluster(&args.proxy, config, hns, &unhandled()).map_err(|error| error_chain(&error));
    if args.proxy.source.from.is_some() {
        return (catalog, Err("the cluster is read from files".to_owned()));
    }
    let name = environment::node_name(config, hns).ok();
    let has_no_node = catalog.as_ref().is_ok_and(|catalog| catalog.nodes.is_empty());
    let Answers { reviews, clock_ahead_seconds } = match source::open_access(&args.proxy, config) {
        Ok(access) => api_server::ask(access, name.clone()),
        Err(error) => Answers::unknown(&error_chain(&error)),
    };
    let error = catalog.as_ref().err().cloned();
    let missing_node = name.filter(|_| has_no_node);
    (catalog, Ok(ApiServerFacts { error, missing_node, reviews, clock_ahead_seconds }))
}

/// The Services on which all pods depend, compared with HNS.
fn explained(
    args: &DoctorArgs,
    hns: &Arc<Hns>,
    settings: &Settings,
    host: &Host,
    catalog: &Catalog,
) -> Source<Vec<Explanation>> {
    let host_local = HostLocal::new(args.proxy.host_local_dir.clone(), args.proxy.hns.choice()).read_only();
    let mut session = Session::new(hns.clone(), settings.clone(), host.clone(), NonZeroUsize::MIN);
    session = session.with_host_local(host_local);
    session.load(catalog);
    session.audit().map_err(|error| error_chain(&error))?;
    let is_meant = |name: &&ServiceName| name.is_dns() || name.is_api_server();
    Ok(catalog.services.keys().filter(is_meant).filter_map(|name| session.explain(name)).collect())
}

fn node_ports(catalog: &Catalog) -> BTreeSet<u16> {
    catalog.services.values().flat_map(|service| &service.ports).filter_map(|port| port.node_port).collect()
}

/// The port ranges that `netsh` prints. The functions of Windows for them would need unsafe code.
fn port_ranges() -> PortRanges {
    let mut text = String::new();
    for (what, protocol) in
        ["dynamicport", "excludedportrange"].into_iter().flat_map(|what| [(what, "tcp"), (what, "udp")])
    {
        let output = output("netsh.exe", &["int", "ipv4", "show", what, protocol]).unwrap_or_default();
        // The words are in the language of Windows, and may lack the name of the protocol.
        text.push_str(&format!("{protocol}\n{output}\n"));
    }
    port_ranges::parse(&text)
}

fn process(args: &DoctorArgs) -> Source<ProcessFacts> {
    let address = match args.debug_address {
        Some(address) => address,
        None if args.proxy.source.from.is_some() => return Err("no running hnsproxy is asked with --from".to_owned()),
        None => METRICS_ADDRESS,
    };
    let failed = |reason: String| format!("cannot query hnsproxy at {address}: {reason}");
    match args.debug_tls.server(address).get_json("/statusz?format=json") {
        Ok(Some(process)) => Ok(process),
        Ok(None) => Err(failed("another program listens there".to_owned())),
        Err(error) => Err(failed(error_chain(&error))),
    }
}

/// The processes with the name of a proxy, without this one. hnsproxy has that of kube-proxy if it has replaced its program.
fn proxies() -> Vec<String> {
    let mut system = System::new();
    system.refresh_processes_specifics(ProcessesToUpdate::All, true, ProcessRefreshKind::nothing().without_tasks());
    let own = sysinfo::get_current_pid().ok();
    let others = system.processes().iter().filter(|(id, _)| Some(**id) != own);
    let names: Vec<_> = others.map(|(id, process)| (process.name().to_string_lossy().to_lowercase(), id)).collect();
    let is_proxy = |name: &str| ["hnsproxy", "kube-proxy"].contains(&name.strip_suffix(".exe").unwrap_or(name));
    let found = names.iter().filter(|(name, _)| is_proxy(name));
    found.map(|(name, id)| format!("{name} (process id {id})")).collect()
}
