//! What third-party dashboards, alerts and agents query from kube-proxy.

/// The queries of the dashboard `proxy.json` of kubernetes-mixin, in one cluster, with all instances selected. Those of responses with
/// other codes than 2xx are in [`OF_ERRORS`].
pub(super) const MIXIN: [&str; 10] = [
    r#"sum(up{cluster="", job="kube-proxy"})"#,
    r#"sum(rate(kubeproxy_sync_proxy_rules_duration_seconds_count{cluster="", job="kube-proxy", instance=~".*"}[5m]))"#,
    r#"histogram_quantile(0.99,rate(kubeproxy_sync_proxy_rules_duration_seconds_bucket{cluster="", job="kube-proxy", instance=~".*"}[5m]))"#,
    r#"sum(rate(kubeproxy_network_programming_duration_seconds_count{cluster="", job="kube-proxy", instance=~".*"}[5m]))"#,
    r#"histogram_quantile(0.99, sum(rate(kubeproxy_network_programming_duration_seconds_bucket{cluster="", job="kube-proxy", instance=~".*"}[5m])) by (instance, le))"#,
    r#"sum(rate(rest_client_requests_total{cluster="", job="kube-proxy", instance=~".*",code=~"2.."}[5m]))"#,
    r#"histogram_quantile(0.99, sum(rate(rest_client_request_duration_seconds_bucket{cluster="", job="kube-proxy",instance=~".*",verb="POST"}[5m])) by (verb, url, le))"#,
    r#"histogram_quantile(0.99, sum(rate(rest_client_request_duration_seconds_bucket{cluster="", job="kube-proxy", instance=~".*", verb="GET"}[5m])) by (verb, url, le))"#,
    r#"process_resident_memory_bytes{cluster="", job="kube-proxy",instance=~".*"}"#,
    r#"rate(process_cpu_seconds_total{cluster="", job="kube-proxy",instance=~".*"}[5m])"#,
];

/// Queries of the same dashboard that have data only after such a response, as with kube-proxy.
pub(super) const OF_ERRORS: [&str; 3] = [
    r#"sum(rate(rest_client_requests_total{cluster="", job="kube-proxy", instance=~".*",code=~"3.."}[5m]))"#,
    r#"sum(rate(rest_client_requests_total{cluster="", job="kube-proxy", instance=~".*",code=~"4.."}[5m]))"#,
    r#"sum(rate(rest_client_requests_total{cluster="", job="kube-proxy", instance=~".*",code=~"5.."}[5m]))"#,
];

/// The alert `KubeProxyDown` of kubernetes-mixin.
pub(super) const MIXIN_DOWN: &str = r#"absent(up{job="kube-proxy"} == 1)"#;

/// What the metricset `kubernetes.proxy` of Metricbeat reads, with the labels that it keeps.
pub(super) const METRICBEAT: [&str; 10] = [
    "process_cpu_seconds_total",
    "process_resident_memory_bytes",
    "process_virtual_memory_bytes",
    "process_open_fds",
    "process_start_time_seconds",
    "process_max_fds",
    r#"rest_client_requests_total{code!="", method!="", host!=""}"#,
    r#"rest_client_request_duration_seconds_bucket{verb!="", host!=""}"#,
    "kubeproxy_sync_proxy_rules_duration_seconds_bucket",
    "kubeproxy_network_programming_duration_seconds_bucket",
];

/// What the module `k8s_kubeproxy` of Netdata reads.
pub(super) const NETDATA: [&str; 2] =
    [r#"rest_client_requests_total{code!=""}"#, r#"rest_client_requests_total{method!=""}"#];

/// What the same dashboards and agents ask for, and hnsproxy does not serve. `docs/metrics.md` lists them with the reason.
pub(super) const MISSING: [&str; 6] = [
    "go_goroutines",
    "rest_client_request_size_bytes",
    "rest_client_response_size_bytes",
    "kubeproxy_sync_proxy_rules_latency_microseconds_count",
    "kubeproxy_sync_proxy_rules_latency_microseconds_bucket",
    "http_request_duration_microseconds",
];
