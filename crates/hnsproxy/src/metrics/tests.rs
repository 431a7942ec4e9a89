//! The metrics as text.

use std::collections::BTreeMap;
use std::sync::Arc;

use hcn::{Class, Guid};
use proxy::desire::TrafficPolicy;
use proxy::dirty::Subject;
use proxy::model::Family as IpFamily;
use proxy::{Action, Cause, Reason, Step};

use super::catalog::CATALOG;
use super::*;
use crate::cli::{self, Command};
use crate::clock::Now;
use crate::status::{ChangeTimes, Programmed, Status, WatchTimes};

fn snapshot() -> StatusSnapshot {
    let mut changes = ChangeTimes::default();
    changes.queued(Duration::from_secs(1));
    changes.run_ended(Duration::from_secs(2), Programmed::All);
    let status = Status {
        families: vec![IpFamily::V4],
        without_local: vec![(TrafficPolicy::External, IpFamily::V4, 3)],
        ..Status::default()
    };
    let now = Now { elapsed: Duration::from_secs(3), wall: "2026-01-02T03:04:05Z".parse().unwrap() };
    StatusSnapshot {
        status: Arc::new(status),
        changes,
        watches: WatchTimes::from([("Node", Duration::from_secs(1))]),
        silent_watch: None,
        now,
    }
}

fn text(metrics: &Metrics) -> String {
    let Command::Run(args) = cli::parse(["hnsproxy", "run"].map(Into::into)).unwrap().command else { panic!() };
    let facts = facts(&Config::resolve(&args.proxy.kube_proxy).unwrap());
    String::from_utf8(metrics.page(Format::Text, &snapshot(), None, &facts).unwrap()).unwrap()
}

/// Of each metric its type, and the labels that its values have.
fn metrics_of(text: &str) -> BTreeMap<String, (String, Vec<String>)> {
    let mut metrics: BTreeMap<String, (String, Vec<String>)> = BTreeMap::new();
    for line in text.lines() {
        if let Some((name, kind)) = line.strip_prefix("# TYPE ").and_then(|line| line.split_once(' ')) {
            assert!(metrics.insert(name.to_owned(), (kind.to_owned(), Vec::new())).is_none(), "{name} comes twice");
            continue;
        }
        if line.starts_with("# HELP ") {
            continue;
        }
        let (series, value) = line.rsplit_once(' ').unwrap();
        value.parse::<f64>().unwrap();
        let (name, labels) =
            series.split_once('{').map_or((series, ""), |(name, rest)| (name, rest.trim_end_matches('}')));
        let family = |name: &str| metrics.contains_key(name).then(|| name.to_owned());
        let owner = family(name)
            .or_else(|| ["_bucket", "_sum", "_count"].iter().find_map(|suffix| family(name.strip_suffix(suffix)?)))
            .unwrap_or_else(|| panic!("{line}: without a type"));
        let labels: Vec<String> = labels
            .split("\",")
            .filter_map(|label| Some(label.split_once("=\"")?.0.to_owned()))
            .filter(|label| label != "le")
            .collect();
        metrics.get_mut(&owner).unwrap().1 = labels;
    }
    metrics
}

#[test]
fn every_metric_is_in_the_catalog_with_its_type_and_labels() {
    let metrics = Metrics::default();
    metrics.hns_call(&FinishedCall { function: "HNSCall", error: Some(Class::Other), took: Duration::ZERO });
    metrics.probe(Probe::Healthz, 200);
    metrics.probe(Probe::Livez, 503);
    let metrics = metrics_of(&text(&metrics));
    for (name, (kind, labels)) in &metrics {
        let descriptor = CATALOG.iter().find(|descriptor| descriptor.name == name).unwrap_or_else(|| panic!("{name}"));
        assert_eq!(
            (kind.as_str(), labels.iter().map(String::as_str).collect::<Vec<_>>()),
            (descriptor.kind.as_str(), descriptor.labels.to_vec()),
            "{name}"
        );
    }
    assert!(metrics.len() > 20, "{metrics:#?}");
}

/// The metrics that kube-proxy 1.36 registers on Windows, as its documentation lists them, without those about the Go runtime, and those of
/// load balancers from 1.37.
const KUBE_PROXY: &str = "
    kubeproxy_sync_proxy_rules_duration_seconds histogram ip_family
    kubeproxy_sync_proxy_rules_last_queued_timestamp_seconds gauge ip_family
    kubeproxy_sync_proxy_rules_last_timestamp_seconds gauge ip_family
    kubeproxy_sync_proxy_rules_endpoint_changes_pending gauge
    kubeproxy_sync_proxy_rules_endpoint_changes_total counter
    kubeproxy_sync_proxy_rules_service_changes_pending gauge
    kubeproxy_sync_proxy_rules_service_changes_total counter
    kubeproxy_proxy_healthz_total counter code
    kubeproxy_proxy_livez_total counter code
    kubeproxy_network_programming_duration_seconds histogram ip_family
    kubeproxy_sync_proxy_rules_no_local_endpoints_total gauge traffic_policy ip_family
    kubeproxy_sync_proxy_rules_winkernel_lb_create_failures_total counter ip_family lb_type error
    kubeproxy_sync_proxy_rules_winkernel_lb_update_failures_total counter ip_family lb_type error
    kubeproxy_sync_proxy_rules_winkernel_lb_delete_failures_total counter ip_family lb_type error
    kubernetes_build_info gauge major minor git_version git_commit git_tree_state build_date go_version compiler platform
    kubernetes_feature_enabled gauge name stage
    rest_client_requests_total counter code method host
    rest_client_request_duration_seconds histogram verb host
    rest_client_rate_limiter_duration_seconds histogram verb host
    process_cpu_seconds_total counter
    process_open_fds gauge
    process_max_fds gauge
    process_resident_memory_bytes gauge
    process_virtual_memory_bytes gauge
    process_start_time_seconds gauge
";

#[test]
fn the_metrics_of_kube_proxy_have_their_names() {
    for line in KUBE_PROXY.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let mut words = line.split(' ');
        let (name, kind) = (words.next().unwrap(), words.next().unwrap());
        let descriptor = CATALOG.iter().find(|descriptor| descriptor.name == name).unwrap_or_else(|| panic!("{name}"));
        assert_eq!((descriptor.kind.as_str(), descriptor.labels.to_vec()), (kind, words.collect::<Vec<_>>()), "{name}");
    }
}

#[test]
fn calls_probes_requests_and_latencies_are_counted() {
    let metrics = Metrics::default();
    metrics.probe(Probe::Healthz, 503);
    metrics.probe(Probe::Healthz, 503);
    let call = FinishedCall { function: "HcnOpenNetwork", error: None, took: Duration::from_millis(3) };
    metrics.hns_call(&call);
    let at = |text: &str| text.parse::<Timestamp>().unwrap();
    let trigger = |text| Trigger { family: IpFamily::V6, at: i64::try_from(at(text).as_nanosecond()).unwrap() };
    metrics.programmed(&[trigger("2026-01-01T00:00:10Z")], at("2026-01-01T00:00:12Z"));
    metrics.rest_request("10.0.0.1:6443", "GET", None, Duration::from_millis(30));
    let text = text(&metrics);
    for (series, value) in [
        ("kubeproxy_proxy_healthz_total{code=\"503\"}", 2.0),
        ("hnsproxy_hns_call_duration_seconds_bucket{function=\"HcnOpenNetwork\",result=\"ok\",le=\"0.002\"}", 0.0),
        ("hnsproxy_hns_call_duration_seconds_bucket{function=\"HcnOpenNetwork\",result=\"ok\",le=\"0.004\"}", 1.0),
        ("hnsproxy_hns_call_duration_seconds_count{function=\"HcnOpenNetwork\",result=\"ok\"}", 1.0),
        ("kubeproxy_network_programming_duration_seconds_sum{ip_family=\"IPv6\"}", 2.0),
        ("kubeproxy_network_programming_duration_seconds_count{ip_family=\"IPv6\"}", 1.0),
        ("rest_client_requests_total{code=\"<error>\",method=\"GET\",host=\"10.0.0.1:6443\"}", 1.0),
        ("kubeproxy_sync_proxy_rules_no_local_endpoints_total{traffic_policy=\"external\",ip_family=\"IPv4\"}", 3.0),
        ("kubeproxy_sync_proxy_rules_last_timestamp_seconds{ip_family=\"IPv4\"}", 1767323044.0),
        ("kubeproxy_sync_proxy_rules_last_queued_timestamp_seconds{ip_family=\"IPv4\"}", 1767323043.0),
        ("kubeproxy_sync_proxy_rules_endpoint_changes_total", 0.0),
        ("hnsproxy_hns_liveness{state=\"up\"}", 1.0),
        ("hnsproxy_hns_liveness{state=\"slow\"}", 0.0),
        ("kubernetes_feature_enabled{name=\"WinDSR\",stage=\"\"}", 1.0),
    ] {
        let value_of = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' ')?.parse::<f64>().ok());
        assert_eq!(value_of, Some(value), "{series} in\n{text}");
    }
}

#[test]
fn a_repair_is_counted_when_the_object_is_in_sync() {
    let subject = Subject::Address("10.0.0.1".parse().unwrap());
    let mut drifting = UnrepairedDrift::default();
    drifting.add(Drift { subject, cause: Cause::EndpointLost });
    assert_eq!(drifting.take_repaired(|_| false), []);
    assert_eq!(drifting.take_repaired(|other| other == subject), [Drift { subject, cause: Cause::EndpointLost }]);
    assert_eq!(drifting.take_repaired(|_| true), []);
}

#[test]
fn steps_have_names_for_labels() {
    let action = Action::DeleteEndpoint { id: Guid::nil(), address: "10.0.0.1".parse().unwrap() };
    let step = Step { action, service: None, reason: Reason::NotDesired };
    assert_eq!((step.action.name(), step.reason.as_str()), ("delete_endpoint", "not_desired"));
}

#[test]
fn histograms_have_native_buckets_in_protobuf() {
    let metrics = Metrics::default();
    for milliseconds in [1, 2, 2, 4000] {
        let took = Duration::from_millis(milliseconds);
        metrics.hns_call(&FinishedCall { function: "HNSCall", error: None, took });
    }
    let families = prometheus_protobuf::encode(&metrics.registry).unwrap();
    let family = families.iter().find(|family| family.name == catalog::HNS_CALLS.name).unwrap();
    let histogram = family.metric[0].histogram.as_ref().unwrap();
    // 1 ms, twice 2 ms, and 4 s: the numbers of native buckets are differences.
    assert_eq!((histogram.sample_count, histogram.schema, &histogram.positive_delta[..]), (4, 3, &[1, 1, -1][..]));
    assert_eq!(histogram.bucket.len(), 16, "classic buckets, for scrapers that want both");
    let all = metrics.page(Format::Protobuf, &snapshot(), None, &[]).unwrap();
    let has = |name: &str| all.windows(name.len()).any(|window| window == name.as_bytes());
    assert!(has("hnsproxy_hns_call_duration_seconds") && has("hnsproxy_load_balancers_desired"));
}
