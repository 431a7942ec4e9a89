//! All metrics: names, types, labels, buckets. Those of kube-proxy are as in kube-proxy. `docs/metrics.md` is generated from this.

#[derive(Debug)]
pub(crate) struct Descriptor {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    pub(crate) labels: &'static [&'static str],
    pub(crate) help: &'static str,
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum Kind {
    Counter,
    Gauge,
    /// With the upper bounds of its buckets.
    Histogram(fn() -> Vec<f64>),
}

impl Kind {
    /// The name in the text format.
    #[cfg(test)]
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram(_) => "histogram",
        }
    }
}

macro_rules! catalog {
    ($($id:ident = $name:literal, $kind:expr, [$($label:literal),*], $help:literal;)*) => {
        $(pub(crate) static $id: Descriptor = Descriptor {
            name: $name, kind: $kind, labels: &[$($label),*], help: $help,
        };)*

        /// All metrics, in the order of the documentation.
        #[cfg(test)]
        pub(crate) static CATALOG: &[&Descriptor] = &[$(&$id),*];
    };
}

use Kind::{Counter, Gauge, Histogram};

catalog! {
    SYNC_DURATION = "kubeproxy_sync_proxy_rules_duration_seconds", Histogram(sync), ["ip_family"],
        "[ALPHA] SyncProxyRules latency in seconds";
    LAST_QUEUED = "kubeproxy_sync_proxy_rules_last_queued_timestamp_seconds", Gauge, ["ip_family"],
        "[ALPHA] The last time a sync of proxy rules was queued";
    LAST_SYNCED = "kubeproxy_sync_proxy_rules_last_timestamp_seconds", Gauge, ["ip_family"],
        "[ALPHA] The last time proxy rules were successfully synced";
    ENDPOINT_CHANGES_PENDING = "kubeproxy_sync_proxy_rules_endpoint_changes_pending", Gauge, [],
        "[ALPHA] Pending proxy rules Endpoint changes";
    ENDPOINT_CHANGES = "kubeproxy_sync_proxy_rules_endpoint_changes_total", Counter, [],
        "[ALPHA] Cumulative proxy rules Endpoint changes";
    SERVICE_CHANGES_PENDING = "kubeproxy_sync_proxy_rules_service_changes_pending", Gauge, [],
        "[ALPHA] Pending proxy rules Service changes";
    SERVICE_CHANGES = "kubeproxy_sync_proxy_rules_service_changes_total", Counter, [],
        "[ALPHA] Cumulative proxy rules Service changes";
    NO_LOCAL_ENDPOINTS = "kubeproxy_sync_proxy_rules_no_local_endpoints_total", Gauge, ["traffic_policy", "ip_family"],
        "[ALPHA] Number of services with a Local traffic policy and no endpoints";
    NETWORK_PROGRAMMING = "kubeproxy_network_programming_duration_seconds", Histogram(network_programming), ["ip_family"],
        "[ALPHA] In Cluster Network Programming Latency in seconds";
    LB_CREATE_FAILURES = "kubeproxy_sync_proxy_rules_winkernel_lb_create_failures_total", Counter, ["ip_family", "lb_type", "error"],
        "[ALPHA] Load balancers that HNS did not create, by IP family, kind of frontend and error";
    LB_UPDATE_FAILURES = "kubeproxy_sync_proxy_rules_winkernel_lb_update_failures_total", Counter, ["ip_family", "lb_type", "error"],
        "[ALPHA] Load balancers that HNS did not modify, by IP family, kind of frontend and error";
    LB_DELETE_FAILURES = "kubeproxy_sync_proxy_rules_winkernel_lb_delete_failures_total", Counter, ["ip_family", "lb_type", "error"],
        "[ALPHA] Load balancers that HNS did not delete, by IP family, kind of frontend and error";
    HEALTHZ = "kubeproxy_proxy_healthz_total", Counter, ["code"],
        "[ALPHA] Cumulative proxy healthz HTTP status";
    LIVEZ = "kubeproxy_proxy_livez_total", Counter, ["code"],
        "[ALPHA] Cumulative proxy livez HTTP status";

    BUILD_INFO = "kubernetes_build_info", Gauge, [
        "major", "minor", "git_version", "git_commit", "git_tree_state", "build_date", "go_version", "compiler", "platform"
    ], "[BETA] The version of kube-proxy that hnsproxy replaces; always 1";
    FEATURE_ENABLED = "kubernetes_feature_enabled", Gauge, ["name", "stage"],
        "[BETA] Feature gates: 1 if enabled, else 0";
    REST_REQUESTS = "rest_client_requests_total", Counter, ["code", "method", "host"],
        "[ALPHA] Number of HTTP requests, partitioned by status code, method, and host";
    REST_DURATION = "rest_client_request_duration_seconds", Histogram(rest_duration), ["verb", "host"],
        "[ALPHA] Request latency in seconds. Broken down by verb, and host";
    REST_LIMITER = "rest_client_rate_limiter_duration_seconds", Histogram(rest_duration), ["verb", "host"],
        "[ALPHA] Client side rate limiter latency in seconds. Broken down by verb, and host";
    PROCESS_CPU = "process_cpu_seconds_total", Counter, [],
        "Total user and system CPU time spent in seconds";
    PROCESS_OPEN_FDS = "process_open_fds", Gauge, [],
        "Number of open file descriptors; on Windows, of handles";
    PROCESS_MAX_FDS = "process_max_fds", Gauge, [],
        "Maximum number of open file descriptors; on Windows, of handles";
    PROCESS_RESIDENT = "process_resident_memory_bytes", Gauge, [],
        "Resident memory size in bytes";
    PROCESS_VIRTUAL = "process_virtual_memory_bytes", Gauge, [],
        "Virtual memory size in bytes";
    PROCESS_START = "process_start_time_seconds", Gauge, [],
        "Start time of the process since unix epoch in seconds";

    OWN_BUILD_INFO = "hnsproxy_build_info", Gauge, ["version"],
        "The version of hnsproxy; always 1";
    HNS_CALLS = "hnsproxy_hns_call_duration_seconds", Histogram(sync), ["function", "result"],
        "Duration of native HNS calls in seconds, by function and result (ok, or the class of the error)";
    HNS_LIVENESS = "hnsproxy_hns_liveness", Gauge, ["state"],
        "Liveness of HNS: 1 for its present state, 0 for the others";
    OVERDUE_CALL = "hnsproxy_hns_overdue_call_seconds", Gauge, [],
        "Seconds since the start of the oldest HNS call in flight, if that exceeds --hns-call-budget; else 0";
    HNS_CAPABILITY = "hnsproxy_hns_capability", Gauge, ["capability"],
        "Capabilities of this HNS: 1 if it has the capability, else 0";
    UNREADABLE_MEMBERS = "hnsproxy_hns_unreadable_members_total", Counter, ["kind", "member"],
        "How often a member of an HNS document could not be read and counted as absent, by kind of object and name of the member";
    LOAD_BALANCERS_DESIRED = "hnsproxy_load_balancers_desired", Gauge, [],
        "Load balancers in the desired state";
    LOAD_BALANCERS_IN_SYNC = "hnsproxy_load_balancers_in_sync", Gauge, [],
        "Desired load balancers that HNS has";
    ENDPOINTS_DESIRED = "hnsproxy_endpoints_desired", Gauge, [],
        "Endpoints of hnsproxy in the desired state";
    ENDPOINTS_IN_SYNC = "hnsproxy_endpoints_in_sync", Gauge, [],
        "Desired endpoints of hnsproxy that HNS has";
    WITHOUT_BACKENDS = "hnsproxy_frontends_without_backends", Gauge, [],
        "Frontends that have no load balancer because no backend serves";
    BACKLOG = "hnsproxy_reconcile_backlog", Gauge, [],
        "Services, frontends and addresses with a pending change";
    FAILED = "hnsproxy_reconcile_failed", Gauge, [],
        "Frontends and addresses that failed and are retried";
    QUEUED = "hnsproxy_queued_changes", Gauge, [],
        "Changes of the cluster that the control loop has not taken, at most one for each object; it takes them between HNS calls";
    CONTENDED = "hnsproxy_reconcile_contended", Gauge, [],
        "Frontends and addresses whose HNS objects another program keeps writing, and whose repair is delayed";
    OLDEST_CHANGE = "hnsproxy_oldest_change_seconds", Gauge, [],
        "Age of the oldest pending change in seconds; 0 if there is none";
    PENDING_LOAD_BALANCER = "hnsproxy_oldest_pending_load_balancer_seconds", Gauge, [],
        "Time for which the oldest pending load balancer has not been in sync in seconds; 0 if all are in sync";
    CREDENTIAL_EXPIRY = "hnsproxy_credential_expiry_timestamp_seconds", Gauge, ["credential"],
        "Expiry time of a credential for the API server (client_certificate, token) in seconds since unix epoch; absent if unknown";
    CREDENTIAL_ISSUED = "hnsproxy_credential_issued_timestamp_seconds", Gauge, ["credential"],
        "Issue time of a credential for the API server in seconds since unix epoch; absent if unknown";
    WATCH_SILENCE = "hnsproxy_watch_silence_seconds", Gauge, ["kind"],
        "Seconds since the API server last proved that what is known of a kind is current";
    FILE_READS = "hnsproxy_cluster_file_reads_total", Counter, [],
        "How often the files of --from were read again after a change";
    STEPS = "hnsproxy_steps_total", Counter, ["action", "reason", "result"],
        "Steps that wrote to HNS, by action, reason and result (ok, failed)";
    DRIFT_FOUND = "hnsproxy_drift_found_total", Counter, ["cause"],
        "Objects in HNS that were found to differ from what hnsproxy last wrote";
    DRIFT_REPAIRED = "hnsproxy_drift_repaired_total", Counter, ["cause"],
        "Objects with drift that hnsproxy has brought in sync again";
    EVENTS = "hnsproxy_events_total", Counter, ["result"],
        "Events for the API server, by result (sent, failed, dropped by the rate limit)";
    CONNECTIONS_CLOSED = "hnsproxy_http_connections_closed_total", Counter, ["listener", "cause"],
        "Connections that hnsproxy closed before the client did, by listener and cause (timeout, limit)";
    ACCEPT_ERRORS = "hnsproxy_http_accept_errors_total", Counter, ["listener"],
        "Connections that could not be accepted, for example for lack of descriptors, by listener";
    LOG_LINES_LOST = "hnsproxy_log_lines_lost_total", Counter, [],
        "Lines of the log that could not be written to --log-file and went to standard error";
    PROBE_DURATION = "hnsproxy_probe_duration_seconds", Histogram(sync), ["target"],
        "Response time of probed cluster IPs in seconds, by value of --probe-vips";
    PROBE_FAILURES = "hnsproxy_probe_failures_total", Counter, ["target"],
        "Probes of cluster IPs that got no response, by value of --probe-vips";
    CONDITIONS = "hnsproxy_conditions", Gauge, ["reason"],
        "Conditions of Services, by reason; see services.md";
}

/// From 1 ms to 16 s, each twice the one before.
fn sync() -> Vec<f64> {
    std::iter::successors(Some(0.001), |bound| Some(bound * 2.0)).take(15).collect()
}

/// In steps of 1 s up to a minute, and of 5 and 30 s up to 5 minutes.
fn network_programming() -> Vec<f64> {
    let steps = |from: u32, to: u32, by: usize| (from..=to).step_by(by).map(f64::from);
    [0.25, 0.5].into_iter().chain(steps(1, 59, 1)).chain(steps(60, 115, 5)).chain(steps(120, 300, 30)).collect()
}

fn rest_duration() -> Vec<f64> {
    vec![0.005, 0.025, 0.1, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 30.0, 60.0]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_are_those_of_kube_proxy() {
        let bounds = sync();
        assert_eq!((bounds.len(), bounds[0], bounds[14]), (15, 0.001, 16.384));
        let bounds = network_programming();
        assert_eq!(
            (bounds.len(), &bounds[..4], &bounds[bounds.len() - 3..]),
            (80, &[0.25, 0.5, 1.0, 2.0][..], &[240.0, 270.0, 300.0][..])
        );
    }

    #[test]
    fn names_are_unique_and_counters_end_in_total() {
        let names: std::collections::BTreeSet<_> = CATALOG.iter().map(|descriptor| descriptor.name).collect();
        assert_eq!(names.len(), CATALOG.len());
        for descriptor in CATALOG.iter().filter(|descriptor| matches!(descriptor.kind, Kind::Counter)) {
            assert!(descriptor.name.ends_with("_total"), "{descriptor:?}");
        }
    }
}
