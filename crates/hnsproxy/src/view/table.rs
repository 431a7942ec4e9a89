//! The state of HNS as a table: one row for each frontend, with its Service.

use std::collections::BTreeMap;
use std::net::IpAddr;

use hcn::schema::{DistributionType, LoadBalancerFlags, PortMappingFlags, Protocol};
use proxy::model::Family;
use proxy::{Frontend, FrontendKind, FrontendStatus};

use super::{Layout, LoadBalancerState, Snapshot, columns, counted};

/// The largest number of backends of a row. A wide table shows all.
const MAX_BACKENDS_SHOWN: usize = 3;

/// Sorted by Service, kind and frontend. Foreign load balancers come last.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Row {
    foreign: bool,
    service: String,
    kind: Option<FrontendKind>,
    frontend: Frontend,
    backends: String,
    details: String,
}

/// `statuses` has the Service of each frontend, `None` if no cluster was read. Frontends that HNS does not have are shown, too.
pub fn table(snapshot: &Snapshot, statuses: Option<&[FrontendStatus]>, layout: Layout) -> String {
    let all = statuses.unwrap_or_default().iter();
    let mut desired: BTreeMap<Frontend, &FrontendStatus> =
        all.map(|status| (status.desired.spec.frontend, status)).collect();
    let mut rows: Vec<Row> = Vec::new();
    for state in &snapshot.load_balancers {
        for frontend in frontends(state) {
            rows.push(row(state, frontend, desired.remove(&frontend), layout));
        }
    }
    rows.extend(desired.into_values().map(missing));
    rows.sort();
    // Without a cluster, it is not known to which Service a load balancer belongs, and whether it is foreign.
    let skipped = if statuses.is_some() { 0 } else { 2 };
    let count = rows.len();
    let cells = rows.into_iter().map(|row| {
        let kind = row.kind.map_or("foreign", FrontendKind::as_str).to_owned();
        [row.service, kind, row.frontend.to_string(), row.backends, row.details].into_iter().skip(skipped)
    });
    let header = ["SERVICE", "KIND", "FRONTEND", "BACKENDS", "DETAILS"].into_iter().skip(skipped);
    let table = columns(layout, 3 - skipped, header, cells);
    let (remote, local): (Vec<_>, Vec<_>) = snapshot.endpoints.iter().partition(|endpoint| endpoint.remote);
    format!(
        "{}\n{table}\n{}, {}, {}\n",
        snapshot.description,
        counted(count, "frontend"),
        counted(local.len(), "local endpoint"),
        counted(remote.len(), "remote endpoint"),
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

fn row(state: &LoadBalancerState, frontend: Frontend, status: Option<&FrontendStatus>, layout: Layout) -> Row {
    let mut details = details(state);
    if status
        .is_some_and(|status| status.desired.spec.local_only && status.desired.spec.kind != FrontendKind::HealthCheck)
    {
        details.push("only backends of this node".into());
    }
    if status.is_some_and(|status| !status.in_sync) {
        details.push("not in sync".into());
    }
    Row {
        foreign: status.is_none(),
        service: status.map(service).unwrap_or_default(),
        kind: status.map(|status| status.desired.spec.kind),
        frontend,
        backends: backends(&state.backends, state.internal_port, layout),
        details: details.join(", "),
    }
}

fn missing(status: &FrontendStatus) -> Row {
    Row {
        foreign: false,
        service: service(status),
        kind: Some(status.desired.spec.kind),
        frontend: status.desired.spec.frontend,
        backends: "none".into(),
        details: if status.in_sync { "no serving backend".into() } else { "not in sync".into() },
    }
}

fn service(status: &FrontendStatus) -> String {
    let (service, port) = (&status.desired.service, &status.desired.spec.port_name);
    if port.is_empty() { service.to_string() } else { format!("{service}:{port}") }
}

/// The first backends, the number of further ones, and their port.
fn backends(addresses: &[String], port: u16, layout: Layout) -> String {
    if addresses.is_empty() {
        return "none".into();
    }
    let shown = if layout == Layout::Wide { addresses.len() } else { addresses.len().min(MAX_BACKENDS_SHOWN) };
    let mut text = addresses.iter().take(shown).map(String::as_str).collect::<Vec<_>>().join(" ");
    if addresses.len() > shown {
        text += &format!(" +{}", addresses.len() - shown);
    }
    format!("{text} port {port}")
}

fn details(state: &LoadBalancerState) -> Vec<String> {
    let mapping = PortMappingFlags(state.port_mapping_flags);
    let mut details = Vec::new();
    let mut add = |detail: &str, applies: bool| details.extend(applies.then(|| detail.to_owned()));
    add("DSR", LoadBalancerFlags(state.flags).contains(LoadBalancerFlags::DSR));
    add("session affinity", DistributionType(state.distribution_type) == DistributionType::SOURCE_IP);
    add("preserves destination", mapping.contains(PortMappingFlags::PRESERVE_DIP));
    add(&format!("source VIP {}", state.source_vip), !state.source_vip.is_empty());
    details
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
            description: "HNS".into(),
            endpoints: vec![],
            load_balancers: vec![state(&["10.96.0.10"], 5), state(&[], 0)],
        };
        let narrow = Layout::Narrow { width: None };
        let text = table(&snapshot, Some(&[]), narrow);
        assert!(text.starts_with("HNS\n"), "{text}");
        for part in [
            "10.96.0.10:53/UDP",
            "10.0.0.1 10.0.0.2 10.0.0.3 +2 port 5353",
            "node:53/UDP",
            "none",
            "DSR, session affinity, preserves destination, source VIP 10.0.0.9",
            "foreign",
            "2 frontends, 0 local endpoints, 0 remote endpoints",
        ] {
            assert!(text.contains(part), "{part} is not in\n{text}");
        }
        let wide = table(&snapshot, Some(&[]), Layout::Wide);
        assert!(wide.contains("10.0.0.1 10.0.0.2 10.0.0.3 10.0.0.4 10.0.0.5 port 5353"), "{wide}");
        let without_cluster = table(&snapshot, None, narrow);
        assert!(without_cluster.contains("10.96.0.10:53/UDP"), "{without_cluster}");
        for part in ["foreign", "SERVICE", "KIND"] {
            assert!(!without_cluster.contains(part), "{part} is in\n{without_cluster}");
        }
    }
}
