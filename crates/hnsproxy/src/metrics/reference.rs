//! The page `docs/metrics.md`, generated from the catalog.

use std::fmt::Write;

use super::catalog::{CATALOG, Kind};

const HEAD: &str = "# Metrics
<!-- Generated from crates/hnsproxy/src/metrics/catalog.rs by its tests. -->

`/metrics` at `--metrics-bind-address` (127.0.0.1:10249) has these, in the text format of Prometheus. The metrics of kube-proxy have the
same names, types, labels and buckets. A metric with labels appears with its first value.

- Both IP families are programmed together, so both values of `ip_family` have the same durations and times.
- `kubeproxy_network_programming_duration_seconds` and `kubeproxy_sync_proxy_rules_no_local_endpoints_total` are registered by kube-proxy
  on Windows and never set; here they are set. The first counts from the time that the EndpointSlice controller annotates a slice with.
- Metrics of the Go runtime and libraries are missing (`go_*`, `workqueue_*`, those of the registry and of leader election). Of
  `rest_client_*`, the sizes, retries, and durations of DNS, transport and plugins are missing.

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
fn the_page_of_metrics_matches_the_catalog() {
    crate::documentation::check("metrics.md", &page());
}
