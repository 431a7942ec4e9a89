//! The state of HNS as a table: one row for each frontend, with its Service.

use std::collections::BTreeMap;
use std::net::IpAddr;

use comfy_table::presets::UTF8_BORDERS_ONLY;
use comfy_table::{ContentArrangement, Table};
use hcn::schema::{DistributionType, LoadBalancerFlags, PortMappingFlags, Protocol};
use proxy::model::Family;
use proxy::{Frontend, FrontendKind, FrontendStatus};

use super::{LoadBalancerState, Snapshot};

const MAX_BACKENDS_SHOWN: usize = 3;

/// Sorted by Service, kind and frontend. Foreign load balancers come last.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Row {
    foreign: bool,
    service: String,
    order: Option<proxy::FrontendKind>,
    frontend: Frontend,
    backends: String,
    words: String,
}

/// `statuses` has the Service of each frontend. Frontends that HNS does not have are shown, too.
pub fn table(snapshot: &Snapshot, statuses: &[FrontendStatus]) -> String {
    let mut waiting: BTreeMap<Frontend, &FrontendStatus> =
        statuses.iter().map(|status| (status.desired.spec.frontend, status)).collect();
    let mut rows: Vec<Row> = Vec::new();
    for state in &snapshot.load_balancers {
        for frontend in frontends(state) {
            rows.push(row(state, frontend, waiting.remove(&frontend)));
        }
    }
    rows.extend(waiting.into_values().map(missing));
    rows.sort();
    let mut table = Table::new();
    table.load_preset(UTF8_BORDERS_ONLY).set_content_arrangement(ContentArrangement::Disabled);
    table.set_header(["SERVICE", "KIND", "FRONTEND", "BACKENDS", "HOW"]);
    for row in &rows {
        let kind = row.order.map_or("foreign", proxy::FrontendKind::as_str);
        table.add_row([row.service.as_str(), kind, &row.frontend.to_string(), &row.backends, &row.words]);
    }
    let (remote, local): (Vec<_>, Vec<_>) = snapshot.endpoints.iter().partition(|endpoint| endpoint.remote);
    format!(
        "{}\n{table}\n{} frontends, {} local and {} remote endpoints\n",
        snapshot.note,
        rows.len(),
        local.len(),
        remote.len()
    )
}

fn frontends(state: &LoadBalancerState) -> Vec<Frontend> {
    let flagged = if state.flags & LoadBalancerFlags::IPV6.0 != 0 { Family::V6 } else { Family::V4 };
    let frontend = |address: Option<IpAddr>| Frontend {
        family: address.map_or(flagged, Family::of),
        address,
        protocol: Protocol(state.protocol),
        port: state.external_port,
    };
    if state.vips.is_empty() {
        return vec![frontend(None)];
    }
    state.vips.iter().filter_map(|vip| vip.parse().ok()).map(|address| frontend(Some(address))).collect()
}

fn row(state: &LoadBalancerState, frontend: Frontend, status: Option<&FrontendStatus>) -> Row {
    let mut words = words(state);
    if status
        .is_some_and(|status| status.desired.spec.local_only && status.desired.spec.kind != FrontendKind::HealthCheck)
    {
        words.push("only backends of this node".into());
    }
    if status.is_some_and(|status| !status.in_sync) {
        words.push("not in sync".into());
    }
    Row {
        foreign: status.is_none(),
        service: status.map(service).unwrap_or_default(),
        order: status.map(|status| status.desired.spec.kind),
        frontend,
        backends: backends(&state.backends, state.internal_port),
        words: words.join(", "),
    }
}

fn missing(status: &FrontendStatus) -> Row {
    Row {
        foreign: false,
        service: service(status),
        order: Some(status.desired.spec.kind),
        frontend: status.desired.spec.frontend,
        backends: "none".into(),
        words: if status.in_sync { "no serving backend".into() } else { "not in sync".into() },
    }
}

fn service(status: &FrontendStatus) -> String {
    let (service, port) = (&status.desired.service, &status.desired.spec.port_name);
    if port.is_empty() { service.to_string() } else { format!("{service}:{port}") }
}

/// The first backends, the number of the others, and their port.
fn backends(addresses: &[String], port: u16) -> String {
    if addresses.is_empty() {
        return "none".into();
    }
    let mut text = addresses.iter().take(MAX_BACKENDS_SHOWN).map(String::as_str).collect::<Vec<_>>().join(" ");
    if addresses.len() > MAX_BACKENDS_SHOWN {
        text += &format!(" +{}", addresses.len() - MAX_BACKENDS_SHOWN);
    }
    format!("{text} port {port}")
}

fn words(state: &LoadBalancerState) -> Vec<String> {
    let mapping = PortMappingFlags(state.port_mapping_flags);
    let mut words = Vec::new();
    let mut add = |word: &str, holds: bool| words.extend(holds.then(|| word.to_owned()));
    add("DSR", LoadBalancerFlags(state.flags).contains(LoadBalancerFlags::DSR));
    add("affinity", DistributionType(state.distribution_type) == DistributionType::SOURCE_IP);
    add("preserves destination", mapping.contains(PortMappingFlags::PRESERVE_DIP));
    add(&format!("from {}", state.source_vip), !state.source_vip.is_empty());
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(vips: &[&str], backends: usize) -> LoadBalancerState {
        LoadBalancerState {
            vips: vips.iter().map(ToString::to_string).collect(),
            protocol: 17,
            external_port: 53,
            internal_port: 5353,
            distribution_type: 2,
            port_mapping_flags: 8,
            flags: 1,
            source_vip: "10.0.0.9".into(),
            backends: (1..=backends).map(|n| format!("10.0.0.{n}")).collect(),
        }
    }

    #[test]
    fn a_row_shows_a_load_balancer() {
        let snapshot = Snapshot {
            note: "note".into(),
            endpoints: vec![],
            load_balancers: vec![state(&["10.96.0.10"], 5), state(&[], 0)],
        };
        let text = table(&snapshot, &[]);
        assert!(text.starts_with("note\n"), "{text}");
        for part in [
            "10.96.0.10:53/UDP",
            "10.0.0.1 10.0.0.2 10.0.0.3 +2 port 5353",
            "node:53/UDP",
            "none",
            "DSR, affinity, preserves destination, from 10.0.0.9",
            "foreign",
            "2 frontends, 0 local and 0 remote endpoints",
        ] {
            assert!(text.contains(part), "{part} is not in\n{text}");
        }
    }
}
