//! The JSON documents of `/readyz` and `/statusz`, built from the status snapshot. `docs/api.md` describes them.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;

use hcn::{ApiVersion, SlowCall, UnreadableMember};
use proxy::settings::Capabilities;
use proxy::{Progress, Tally};
use serde::Serialize;

use super::probe::ProbePage;
use super::tls::TlsPage;
use crate::last_state::RemovedBeforeStart;
use crate::log::LogFileStatus;
use crate::status::{Lateness, NotReady, Programming, Status, StatusSnapshot, not_ready};

/// The version of all documents. Fields may be added to a version. Removing a field, or changing its meaning, needs a new version.
pub(super) const API_VERSION: &str = "hnsproxy/v1";

/// `/readyz`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct ReadyzPage {
    api_version: &'static str,
    #[serde(flatten)]
    pub(super) state: StatePage,
}

/// `/statusz`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct StatuszPage {
    api_version: &'static str,
    pub(super) process: ProcessPage,
    pub(super) log: LogPage,
    pub(super) tls: Vec<TlsPage>,
    pub(super) unreadable_members: Vec<UnreadablePage>,
    /// None without `--probe-vips`.
    pub(super) probe: Option<Vec<ProbePage>>,
    #[serde(flatten)]
    pub(super) state: StatePage,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct ProcessPage {
    /// The version that is reported as kube-proxy's.
    pub(super) version: String,
    pub(super) hnsproxy_version: &'static str,
    /// RFC 3339. Another value shows that the process has restarted.
    pub(super) started: jiff::Timestamp,
    pub(super) uptime_seconds: u64,
    /// The pages at the address of metrics.
    pub(super) paths: Vec<&'static str>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub(super) struct LogPage {
    /// Of `--log-file`.
    pub(super) file: Option<PathBuf>,
    /// Why the file cannot be written.
    pub(super) error: Option<String>,
    pub(super) lost_lines: u64,
}

/// A member of HNS documents that could not be read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct UnreadablePage {
    kind: &'static str,
    member: String,
    /// How often it was read.
    pub(super) count: u64,
    /// The last object, if its id is known.
    id: Option<hcn::Guid>,
    value: String,
    #[serde(skip)]
    pub(super) message: String,
}

/// The part that both pages have.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct StatePage {
    /// Whether HNS has the desired state.
    pub(super) in_sync: bool,
    /// Why it is not in sync.
    pub(super) waiting_for: Vec<ReasonPage>,
    pub(super) load_balancers: TallyPage,
    pub(super) endpoints: TallyPage,
    /// None unless load balancers are being programmed, in more than one run.
    pub(super) programming: Option<ProgrammingPage>,
    frontends_without_backends: usize,
    pub(super) pending_changes: PendingPage,
    pub(super) cluster: ClusterPage,
    node: NodePage,
    pub(super) networks: Vec<NetworkPage>,
    pub(super) configuration: ConfigurationPage,
    pub(super) hns: HnsPage,
    /// Objects that differ from what was last written, by cause, until they are repaired.
    drift: BTreeMap<&'static str, usize>,
    pub(super) conditions: Vec<ConditionPage>,
    pub(super) host_conditions: Vec<HostConditionPage>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct ReasonPage {
    /// In CamelCase.
    pub(super) reason: &'static str,
    pub(super) message: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(super) struct TallyPage {
    pub(super) desired: usize,
    pub(super) in_sync: usize,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct ProgrammingPage {
    percent: usize,
    seconds_left: Option<u64>,
    #[serde(skip)]
    pub(super) estimate: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(super) struct PendingPage {
    services: usize,
    endpoint_slices: usize,
    /// Services, frontends and addresses that are still to be planned or programmed.
    backlog: usize,
    /// Changes that the control loop has not taken: at most one for each object.
    queued: usize,
    /// Frontends and addresses that failed and are retried.
    failed: usize,
    /// For how long the oldest change has been pending.
    pub(super) oldest_seconds: Option<f64>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct ClusterPage {
    /// Whether all Services and EndpointSlices were listed once.
    complete: bool,
    /// Whether the source of the cluster can be asked for changes. What is known of the cluster stays valid during an outage.
    available: bool,
    pub(super) error: Option<String>,
    /// Whether any server may pose as the API server.
    pub(super) insecure_skip_tls_verify: bool,
    /// For how long the API server has not proved that what is known of a kind is current.
    pub(super) watch_silence_seconds: BTreeMap<&'static str, f64>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct NodePage {
    name: String,
    /// Whether the cluster has a Node of this name, once that is known.
    found: Option<bool>,
    /// Whether external load balancers may send traffic to this node.
    eligible: bool,
    addresses: Vec<IpAddr>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct NetworkPage {
    /// The name in the configuration.
    name: String,
    id: Option<hcn::Guid>,
    /// Whether HNS has it, and it can be used.
    present: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct ConfigurationPage {
    /// Why the last change of the configuration file was not applied.
    pub(super) error: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct HnsPage {
    pub(super) description: String,
    pub(super) liveness: &'static str,
    pub(super) overdue_call: Option<String>,
    pub(super) version: Option<String>,
    /// `v1` or `v2`.
    pub(super) api: &'static str,
    pub(super) capabilities: Option<CapabilitiesPage>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(super) struct CapabilitiesPage {
    pub(super) direct_server_return: bool,
    pub(super) session_affinity: bool,
    pub(super) ipv6: bool,
    pub(super) modify_load_balancer: bool,
    /// Whether the HNS v1 list of endpoints is trusted.
    pub(super) v1_endpoint_list: bool,
    pub(super) v1_load_balancer_list: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct ConditionPage {
    /// `NAMESPACE/NAME`.
    pub(super) service: String,
    reason: &'static str,
    pub(super) message: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct HostConditionPage {
    reason: &'static str,
    pub(super) message: String,
}

impl ReadyzPage {
    pub(super) fn new(state: StatePage) -> Self {
        Self { api_version: API_VERSION, state }
    }
}

impl StatuszPage {
    /// `version` is reported as kube-proxy's; `paths` are the other pages.
    pub(super) fn new(
        state: StatePage,
        snapshot: &StatusSnapshot,
        started: jiff::Timestamp,
        log: LogPage,
        tls: Vec<TlsPage>,
        version: &str,
        paths: Vec<&'static str>,
    ) -> Self {
        let process = ProcessPage {
            version: version.to_owned(),
            hnsproxy_version: env!("CARGO_PKG_VERSION"),
            started,
            uptime_seconds: snapshot.now.elapsed.as_secs(),
            paths,
        };
        let unreadable_members = snapshot.status.unreadable_members.iter().map(UnreadablePage::from).collect();
        let probe = snapshot.status.probed.as_ref().map(|probed| probed.iter().map(ProbePage::from).collect());
        Self { api_version: API_VERSION, process, log, tls, unreadable_members, probe, state }
    }
}

impl From<&UnreadableMember> for UnreadablePage {
    fn from(unreadable: &UnreadableMember) -> Self {
        let UnreadableMember { kind, member, count, id, value } = unreadable.clone();
        Self { kind: kind.name(), member, count, id, value, message: unreadable.to_string() }
    }
}

impl From<LogFileStatus> for LogPage {
    fn from(LogFileStatus { path, error, lost_lines }: LogFileStatus) -> Self {
        Self { file: Some(path), error, lost_lines }
    }
}

impl StatePage {
    /// `overdue` is the HNS call in flight if it exceeds its budget; `drift` counts the objects that are not repaired.
    pub(super) fn new(
        snapshot: &StatusSnapshot,
        overdue: Option<SlowCall>,
        drift: BTreeMap<&'static str, usize>,
    ) -> Self {
        let StatusSnapshot { status, changes, silent_watch, now, .. } = snapshot;
        let Progress {
            complete, load_balancers, endpoints, without_backends, backlog, failed, changes: arrivals, ..
        } = status.progress;
        let oldest = changes.oldest().map(|oldest| now.elapsed.saturating_sub(oldest));
        let lateness = Lateness { silent_watch: silent_watch.as_ref(), overdue, pending: oldest };
        let waiting_for: Vec<_> = not_ready(status, lateness).into_iter().map(ReasonPage::from).collect();
        let network = |network: &crate::status::NetworkStatus| NetworkPage {
            name: network.name.clone(),
            id: network.id,
            present: network.present,
        };
        let condition = |condition: &proxy::ServiceCondition| ConditionPage {
            service: condition.service.to_string(),
            reason: condition.condition.reason(),
            message: condition.condition.to_string(),
        };
        Self {
            in_sync: waiting_for.is_empty(),
            waiting_for,
            load_balancers: load_balancers.into(),
            endpoints: endpoints.into(),
            programming: status.programming.map(Into::into),
            frontends_without_backends: without_backends,
            pending_changes: PendingPage {
                services: arrivals.pending_services,
                endpoint_slices: arrivals.pending_slices,
                backlog,
                queued: changes.queue_length(),
                failed,
                oldest_seconds: oldest.map(|oldest| oldest.as_secs_f64()),
            },
            cluster: ClusterPage {
                complete,
                available: status.cluster_outage.is_none(),
                error: status.cluster_outage.clone(),
                insecure_skip_tls_verify: status.insecure_skip_tls_verify,
                watch_silence_seconds: snapshot
                    .watch_silence()
                    .map(|(kind, silence)| (kind, silence.as_secs_f64()))
                    .collect(),
            },
            node: NodePage {
                name: status.node.name.clone(),
                found: status.node.found,
                eligible: status.node.eligible,
                addresses: status.node.addresses.clone(),
            },
            networks: status.networks.iter().map(network).collect(),
            configuration: ConfigurationPage { error: status.configuration_error.clone() },
            hns: HnsPage {
                description: status.description.clone(),
                liveness: snapshot.liveness(overdue.is_some()).as_str(),
                overdue_call: overdue.map(|call| call.to_string()),
                version: status.hns_version.clone(),
                api: match status.api_version {
                    ApiVersion::V1 => "v1",
                    ApiVersion::V2 => "v2",
                },
                capabilities: status.capabilities.map(Into::into),
            },
            drift,
            conditions: status.conditions.iter().map(condition).collect(),
            host_conditions: host_conditions(status),
        }
    }
}

fn host_conditions(status: &Status) -> Vec<HostConditionPage> {
    let removed = status.removed_before_start.as_ref();
    let removed = removed.map(|removed| (RemovedBeforeStart::REASON, removed.to_string()));
    let of_core = status.host_conditions.iter().map(|condition| (condition.reason(), condition.to_string()));
    of_core.chain(removed).map(|(reason, message)| HostConditionPage { reason, message }).collect()
}

impl From<NotReady> for ReasonPage {
    fn from(NotReady { reason, message }: NotReady) -> Self {
        Self { reason, message }
    }
}

impl From<Programming> for ProgrammingPage {
    fn from(programming: Programming) -> Self {
        let seconds_left = programming.left.map(|left| left.as_secs());
        Self { percent: programming.percent(), seconds_left, estimate: programming.estimate() }
    }
}

impl From<Tally> for TallyPage {
    fn from(Tally { desired, in_sync }: Tally) -> Self {
        Self { desired, in_sync }
    }
}

impl From<Capabilities> for CapabilitiesPage {
    fn from(capabilities: Capabilities) -> Self {
        let Capabilities { dsr, affinity, ipv6, modify, v1_endpoint_list, v1_load_balancer_list, .. } = capabilities;
        Self {
            direct_server_return: dsr,
            session_affinity: affinity,
            ipv6,
            modify_load_balancer: modify,
            v1_endpoint_list,
            v1_load_balancer_list,
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use serde_json::json;

    use proxy::{AuditError, Liveness, Unready};

    use super::*;
    use crate::clock::Now;
    use crate::status::{ChangeTimes, NetworkStatus, NodeStatus, Status, WatchTimes};

    /// HNS unavailable with two of seven load balancers pending, an hour after the start.
    pub(in crate::serve) fn pending_snapshot() -> StatusSnapshot {
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
        let status = Status {
            progress,
            node: NodeStatus {
                name: "win-1".into(),
                found: Some(true),
                eligible: false,
                addresses: vec!["192.168.77.1".parse().unwrap()],
            },
            networks: vec![NetworkStatus { name: "cbr0".into(), id: None, present: false }],
            cluster_outage: Some("no connection".to_owned()),
            unready: vec![
                Unready::Audit(AuditError::NetworkAbsent { name: "cbr0".into(), known: Vec::new() }),
                Unready::LoadBalancersPending(progress.load_balancers),
            ],
            liveness: Liveness::Unavailable,
            ..Status::default()
        };
        let now = Now { elapsed: Duration::from_secs(3723), wall: "2026-01-02T03:04:05Z".parse().unwrap() };
        StatusSnapshot {
            status: Arc::new(status),
            changes,
            watches: WatchTimes::from([("Service", Duration::from_secs(3700))]),
            silent_watch: None,
            now,
        }
    }

    #[test]
    fn readyz_has_a_reason_for_each_condition() {
        let snapshot = pending_snapshot();
        let renamed = proxy::HostCondition::NetworkRenamed { from: "cbr0".into(), to: "cbr1".into() };
        let message = renamed.to_string();
        let status = Status { host_conditions: vec![renamed], ..Status::clone(&snapshot.status) };
        let snapshot = StatusSnapshot { status: Arc::new(status), ..snapshot };
        let page = serde_json::to_value(StatePage::new(&snapshot, None, BTreeMap::new())).unwrap();
        assert_eq!(page["host_conditions"], json!([{"reason": "NetworkRenamed", "message": message}]));
    }

    #[test]
    fn readyz_says_why_hns_is_not_in_sync() {
        let drift = BTreeMap::from([("endpoint_lost", 1)]);
        let page = ReadyzPage::new(StatePage::new(&pending_snapshot(), None, drift));
        let absent = AuditError::NetworkAbsent { name: "cbr0".into(), known: Vec::new() }.to_string();
        let expected = json!({
            "api_version": "hnsproxy/v1",
            "in_sync": false,
            "waiting_for": [
                {"reason": "NetworkAbsent", "message": absent},
                {"reason": "LoadBalancersPending", "message": "load balancers: 2 of 7 pending"},
            ],
            "load_balancers": {"desired": 7, "in_sync": 5},
            "endpoints": {"desired": 3, "in_sync": 3},
            "programming": null,
            "frontends_without_backends": 1,
            "pending_changes": {"services": 0, "endpoint_slices": 0, "backlog": 2, "queued": 0, "failed": 0, "oldest_seconds": 2.0},
            "cluster": {"complete": true, "available": false, "error": "no connection",
                "insecure_skip_tls_verify": false, "watch_silence_seconds": {"Service": 23.0}},
            "node": {"name": "win-1", "found": true, "eligible": false, "addresses": ["192.168.77.1"]},
            "networks": [{"name": "cbr0", "id": null, "present": false}],
            "configuration": {"error": null},
            "hns": {"description": "", "liveness": "unavailable", "overdue_call": null, "version": null, "api": "v2",
                "capabilities": null},
            "drift": {"endpoint_lost": 1},
            "conditions": [],
            "host_conditions": [],
        });
        assert_eq!(serde_json::to_value(page).unwrap(), expected);
    }

    #[test]
    fn an_estimate_is_shown_in_seconds() {
        let snapshot = pending_snapshot();
        let load_balancers = Tally { desired: 8013, in_sync: 1024 };
        let programming = Some(Programming { load_balancers, left: Some(Duration::from_millis(240_900)) });
        let status = Arc::new(Status { programming, ..Status::clone(&snapshot.status) });
        let page = StatePage::new(&StatusSnapshot { status, ..snapshot }, None, BTreeMap::new());
        let page = serde_json::to_value(page).unwrap();
        assert_eq!(page["programming"], json!({"percent": 12, "seconds_left": 240}));
    }

    #[test]
    fn a_slow_hns_with_everything_programmed_is_in_sync() {
        let snapshot = pending_snapshot();
        let mut status = Status::clone(&snapshot.status);
        (status.unready, status.liveness) = (Vec::new(), Liveness::Slow);
        assert!(
            StatePage::new(&StatusSnapshot { status: Arc::new(status), ..snapshot }, None, BTreeMap::new()).in_sync
        );
    }

    #[test]
    fn an_overdue_call_makes_hns_slow() {
        let mut snapshot = pending_snapshot();
        snapshot.status = Arc::new(Status { liveness: Liveness::Up, ..Status::clone(&snapshot.status) });
        let call = SlowCall { function: "HcnCreateLoadBalancer", took: Duration::from_secs(12) };
        let hns = StatePage::new(&snapshot, Some(call), BTreeMap::new()).hns;
        assert_eq!((hns.liveness, hns.overdue_call), ("slow", Some(call.to_string())));
    }
}
