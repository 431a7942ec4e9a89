//! How far the node is from what the cluster asks for: `/readyz` for programs, `/statusz` for people.

use std::fmt::{self, Display, Write};

use hcn::{ApiVersion, SlowCall};
use proxy::settings::Capabilities;
use proxy::{Progress, Tally};
use serde::Serialize;

use crate::status::StatusSnapshot;

/// Whether HNS holds all that it should, and what it waits for where it does not.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Readiness {
    /// Whether HNS holds all that it should.
    pub(super) ready: bool,
    /// What has to come before it does.
    waits_for: Vec<String>,
    load_balancers: TallyView,
    endpoints: TallyView,
    frontends_without_backends: usize,
    /// Why the cluster can't be asked for changes. What is known of it stays true.
    cluster_trouble: Option<String>,
    /// Services, frontends and addresses still to be looked at.
    backlog: usize,
    /// Frontends and addresses that failed and are tried again.
    failed: usize,
    /// How long the oldest change waits to be programmed.
    oldest_change_seconds: Option<f64>,
    hns: HnsView,
    /// What is not as the Services ask.
    notices: Vec<String>,
    /// What else should be known.
    remarks: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
struct TallyView {
    desired: usize,
    confirmed: usize,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
struct HnsView {
    liveness: &'static str,
    overdue_call: Option<String>,
    version: Option<String>,
    interface: &'static str,
    capabilities: Option<CapabilitiesView>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
struct CapabilitiesView {
    direct_server_return: bool,
    session_affinity: bool,
    ipv6: bool,
    modify_load_balancer: bool,
}

impl Readiness {
    /// How it stands, where a call to HNS may be overdue.
    pub(super) fn of(snapshot: &StatusSnapshot, overdue: Option<SlowCall>) -> Self {
        let StatusSnapshot { status, changes, now } = snapshot;
        let Progress { load_balancers, endpoints, without_backends, backlog, failed, .. } = status.progress;
        let waits_for = status.waits_for();
        let oldest = changes.oldest().map(|oldest| now.elapsed.saturating_sub(oldest));
        Self {
            ready: waits_for.is_empty(),
            waits_for,
            load_balancers: load_balancers.into(),
            endpoints: endpoints.into(),
            frontends_without_backends: without_backends,
            cluster_trouble: status.cluster_outage.clone(),
            backlog,
            failed,
            oldest_change_seconds: oldest.map(|oldest| oldest.as_secs_f64()),
            hns: HnsView {
                liveness: snapshot.liveness(overdue.is_some()).as_str(),
                overdue_call: overdue.map(|call| call.to_string()),
                version: status.hns_version.clone(),
                interface: match status.api_version {
                    ApiVersion::V1 => "v1",
                    ApiVersion::V2 => "v2",
                },
                capabilities: status.capabilities.map(Into::into),
            },
            notices: status.notices.iter().map(ToString::to_string).collect(),
            remarks: status.remarks.iter().map(ToString::to_string).collect(),
        }
    }
}

impl From<Tally> for TallyView {
    fn from(Tally { desired, in_sync }: Tally) -> Self {
        Self { desired, confirmed: in_sync }
    }
}

impl From<Capabilities> for CapabilitiesView {
    fn from(capabilities: Capabilities) -> Self {
        let Capabilities { dsr, affinity, ipv6, modify, .. } = capabilities;
        Self { direct_server_return: dsr, session_affinity: affinity, ipv6, modify_load_balancer: modify }
    }
}

impl Display for CapabilitiesView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all = [
            ("direct server return", self.direct_server_return),
            ("session affinity", self.session_affinity),
            ("IPv6", self.ipv6),
            ("changes of load balancers in place", self.modify_load_balancer),
        ];
        let named = all.map(|(what, can)| format!("{what}: {}", if can { "yes" } else { "no" }));
        f.write_str(&named.join(", "))
    }
}

/// The page for people, by a program that reports a version as kube-proxy's, and has these pages. It begins as those of Kubernetes'
/// components do.
pub(super) fn page(snapshot: &StatusSnapshot, overdue: Option<SlowCall>, version: &str, paths: &[&str]) -> String {
    let StatusSnapshot { status, now, .. } = snapshot;
    let Readiness {
        waits_for,
        cluster_trouble,
        load_balancers,
        endpoints,
        oldest_change_seconds,
        hns,
        notices,
        remarks,
        ..
    } = Readiness::of(snapshot, overdue);
    let mut page = String::from(
        "kube-proxy statusz\nWarning: This endpoint is not meant to be machine parseable, has no formatting compatibility \
         guarantees and is for debugging purposes only.\n\n",
    );
    let up = now.elapsed.as_secs();
    let _ = writeln!(page, "Started: {}", now.wall_at(std::time::Duration::ZERO).strftime("%a %b %e %H:%M:%S UTC %Y"));
    let _ = writeln!(page, "Up: {} hr {:02} min {:02} sec", up / 3600, up / 60 % 60, up % 60);
    let _ = writeln!(page, "Binary version: {version} (hnsproxy {})", env!("CARGO_PKG_VERSION"));
    let _ = writeln!(page, "Paths: {}\n", paths.join(" "));
    let _ = writeln!(page, "{}", status.note);
    let version = hns.version.as_deref().unwrap_or("not known yet");
    let _ = writeln!(page, "HNS: {}, version {version}, interface {}", hns.liveness, hns.interface);
    hns.capabilities.iter().for_each(|capabilities| page += &format!("HNS can do: {capabilities}\n"));
    cluster_trouble.iter().for_each(|trouble| page += &format!("Cluster: {trouble}\n"));
    hns.overdue_call.iter().for_each(|call| page += &format!("Waits for HNS: {call}\n"));
    for (what, TallyView { desired, confirmed }) in [("Load balancers", load_balancers), ("Endpoints", endpoints)] {
        let _ = writeln!(page, "{what}: {confirmed} of {desired}");
    }
    if let Some(seconds) = oldest_change_seconds {
        let _ = writeln!(page, "Oldest change not yet programmed: {seconds:.3} s");
    }
    for (title, lines) in [("Waits for", waits_for), ("Notices", notices), ("Remarks", remarks)] {
        if !lines.is_empty() {
            let _ = writeln!(page, "\n{title}:");
            lines.iter().for_each(|line| page += &format!("- {line}\n"));
        }
    }
    page
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use proxy::Liveness;
    use serde_json::json;

    use super::*;
    use crate::clock::Now;
    use crate::status::ChangeTimes;
    use crate::status::{HnsOutage, Status};

    fn half_way() -> StatusSnapshot {
        let mut changes = ChangeTimes::default();
        changes.queued(Duration::from_secs(3721));
        let progress = Progress {
            complete: true,
            load_balancers: Tally { desired: 7, in_sync: 5 },
            endpoints: Tally { desired: 3, in_sync: 3 },
            without_backends: 1,
            backlog: 2,
            failed: 0,
            ..Progress::default()
        };
        let hns_outage = Some(HnsOutage { reason: "HNSUnavailable", message: "HNS could not be read".to_owned() });
        let cluster_outage = Some("no connection".to_owned());
        let status =
            Status { progress, cluster_outage, hns_outage, liveness: Liveness::Unavailable, ..Status::default() };
        let now = Now { elapsed: Duration::from_secs(3723), wall: "2026-01-02T03:04:05Z".parse().unwrap() };
        StatusSnapshot { status: Arc::new(status), changes, now }
    }

    #[test]
    fn a_node_is_ready_when_hns_holds_all_that_it_should() {
        let snapshot = half_way();
        let readiness = serde_json::to_value(Readiness::of(&snapshot, None)).unwrap();
        let expected = json!({
            "ready": false, "waitsFor": ["HNS could not be read", "2 of 7 load balancers"],
            "loadBalancers": {"desired": 7, "confirmed": 5}, "endpoints": {"desired": 3, "confirmed": 3},
            "frontendsWithoutBackends": 1, "clusterTrouble": "no connection", "backlog": 2, "failed": 0, "oldestChangeSeconds": 2.0,
            "hns": {"liveness": "unavailable", "version": null, "overdueCall": null, "interface": "v2", "capabilities": null},
            "notices": [], "remarks": [],
        });
        assert_eq!(readiness, expected);
        let mut status = Status::clone(&snapshot.status);
        (status.hns_outage, status.liveness, status.progress.backlog) = (None, Liveness::Slow, 0);
        status.progress.load_balancers.in_sync = 7;
        assert!(Readiness::of(&StatusSnapshot { status: Arc::new(status), ..snapshot }, None).ready);
    }

    #[test]
    fn a_call_that_takes_long_is_told_while_it_lasts() {
        let mut snapshot = half_way();
        snapshot.status = Arc::new(Status { liveness: Liveness::Up, ..Status::clone(&snapshot.status) });
        let call = SlowCall { function: "HcnCreateLoadBalancer", took: Duration::from_secs(12) };
        let hns = Readiness::of(&snapshot, Some(call)).hns;
        assert_eq!((hns.liveness, hns.overdue_call.as_deref()), ("slow", Some("HcnCreateLoadBalancer takes 12.0 s")));
        assert!(
            page(&snapshot, Some(call), "v1.36.2", &[]).contains("Waits for HNS: HcnCreateLoadBalancer takes 12.0 s\n")
        );
    }

    #[test]
    fn the_page_for_people_says_the_same() {
        let page = page(&half_way(), None, "v1.36.2-here", &["/healthz", "/readyz"]);
        let version = format!("Binary version: v1.36.2-here (hnsproxy {})\n", env!("CARGO_PKG_VERSION"));
        for part in [
            "kube-proxy statusz\n",
            &version,
            "Paths: /healthz /readyz\n",
            "Started: Fri Jan  2 02:02:02 UTC 2026\nUp: 1 hr 02 min 03 sec\n",
            "HNS: unavailable, version not known yet, interface v2\nCluster: no connection\nLoad balancers: 5 of 7\nEndpoints: 3 of 3\n",
            "Oldest change not yet programmed: 2.000 s\n\nWaits for:\n- HNS could not be read\n- 2 of 7 load balancers\n",
        ] {
            assert!(page.contains(part), "{part:?} is not in\n{page}");
        }
    }
}
