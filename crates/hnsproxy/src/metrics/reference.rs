//! The generated page `docs/metrics.md`.

use std::fmt::Write;

use super::catalog::{CATALOG, Kind};

const HEAD: &str = "# Metrics
<!-- Generated from crates/hnsproxy/src/metrics/catalog.rs by its tests. -->

`/metrics` on `--metrics-bind-address` (127.0.0.1:10249) serves these metrics in the Prometheus text format. Metrics that kube-proxy has too have
the names, types, labels and buckets of kube-proxy. A metric with labels appears with its first value.

A scraper whose `Accept` header prefers protobuf gets protobuf, with native histograms in addition to the buckets below. Prometheus does so with
`--enable-feature=native-histograms` or `scrape_native_histograms`; set `scrape_classic_histograms` (`always_scrape_classic_histograms`) too if queries use `_bucket`, as the
dashboards here and those for kube-proxy do.

- Both values of `ip_family` have the same durations and times, since both families are programmed together.
- kube-proxy on Windows registers `kubeproxy_network_programming_duration_seconds` and
  `kubeproxy_sync_proxy_rules_no_local_endpoints_total`, but never sets them. hnsproxy sets both. The first one starts at the time that the
  EndpointSlice controller writes into an EndpointSlice.
- If a Service was deleted before its load balancer, `lb_type` of a failure is `clusterip` or `nodeport`.
- Metrics that only Go programs have are missing (`go_*`, `workqueue_*`, metrics of the registry and of leader election). So are the
  `rest_client_*` metrics of sizes, retries, DNS, transport and plugins.
- Dashboards, alerts and agents for kube-proxy work: those of kubernetes-mixin, Metricbeat (`kubernetes.proxy`) and Netdata (`k8s_kubeproxy`), except for
  what the next table lists. `deploy/monitoring` has alerts and dashboards for hnsproxy, and [runbooks.md](runbooks.md) what to do about an alert.

| Read for kube-proxy, and not served | By | Why |
|---|---|---|
| `go_goroutines` | kubernetes-mixin | hnsproxy is not a Go program |
| `rest_client_request_size_bytes`, `rest_client_response_size_bytes` | Metricbeat | not measured |
| `kubeproxy_sync_proxy_rules_latency_microseconds_count`, `kubeproxy_sync_proxy_rules_latency_microseconds_bucket`, `http_request_duration_microseconds` | Netdata | kube-proxy has not served them for years |

| Name | Type | Labels | |
|---|---|---|---|
";

fn page() -> String {
    let mut page = HEAD.to_owned();
    for descriptor in CATALOG {
        let kind = match descriptor.kind {
            Kind::Histogram(bounds) => {
                let bounds = bounds();
                let text = |bound: Option<&f64>| bound.map(ToString::to_string).unwrap_or_default();
                format!("histogram, {} buckets from {} to {}", bounds.len(), text(bounds.first()), text(bounds.last()))
            }
            kind => kind.as_str().to_owned(),
        };
        let labels: Vec<String> = descriptor.labels.iter().map(|label| format!("`{label}`")).collect();
        let help = descriptor.help.trim_start_matches("[ALPHA] ").trim_start_matches("[BETA] ");
        let _ = writeln!(page, "| `{}` | {kind} | {} | {help} |", descriptor.name, labels.join(", "));
    }
    page
}

#[test]
fn the_page_of_metrics_is_up_to_date() {
    generated_pages::check_page("metrics.md", &page());
}
