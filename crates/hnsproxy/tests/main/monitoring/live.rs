//! A Prometheus with the configuration of `deploy/monitoring` scrapes a running program.

use std::net::SocketAddr;

use serde_json::{Value, json};
use test_api_server::Credentials;

use super::prometheus::{Prometheus, is_here};
use super::{alerts, file, kube_proxy, queries, text};
use crate::support::cluster::{Cluster, service, slice};
use crate::support::hns::Hns;
use crate::support::recording::cluster_flag;
use crate::support::running::Running;
use crate::support::wait::wait_until;

/// `scrape.yaml` for these nodes instead of those of a cluster, and with the job of kube-proxy. Scrapes are frequent, so that rates have data.
fn configuration(metrics: SocketAddr) -> String {
    let node = |name: &str, system: &str, address: &str| {
        json!({"targets": ["replaced"], "labels": {"__meta_kubernetes_node_label_kubernetes_io_os": system,
            "__meta_kubernetes_node_name": name, "__meta_kubernetes_node_address_InternalIP": address}})
    };
    let nodes = json!([
        node("win-1", "windows", &metrics.ip().to_string()),
        node("win-2", "windows", "::2"),
        node("linux-1", "linux", &metrics.ip().to_string()),
    ]);
    let kube_proxy = json!([{"job_name": "kube-proxy", "static_configs": [{"targets": [metrics.to_string()]}]}]);
    let mut configuration: Value = serde_saphyr::from_str(&text("deploy/monitoring/scrape.yaml")).unwrap();
    configuration["global"] = json!({"scrape_interval": "1s", "evaluation_interval": "1s"});
    configuration["rule_files"] = json!([file("deploy/monitoring/alerts.yaml")]);
    let configs = configuration["scrape_configs"].as_array_mut().unwrap();
    let own = configs[0].as_object_mut().unwrap();
    assert_eq!(own.remove("kubernetes_sd_configs"), Some(json!([{"role": "node"}])));
    own.insert("static_configs".to_owned(), nodes);
    configs.extend(kube_proxy.as_array().unwrap().clone());
    // JSON is YAML.
    configuration.to_string().replace(":10249", &format!(":{}", metrics.port()))
}

/// The program after the events that make all its metrics appear: a change with the time of its trigger, a condition, and drift.
fn eventful(cluster: &Cluster, hns: &Hns) -> Running {
    let running = Running::start(&[&cluster.flag(&Credentials::None), &hns.flag(), "--enable-dsr"]);
    running.wait_until_in_sync();
    let mut changed = slice("a", "10.244.7.7");
    let trigger = "endpoints.kubernetes.io/last-change-trigger-time";
    changed["metadata"]["annotations"] = json!({ trigger: jiff::Timestamp::now().to_string() });
    cluster.server.load(json!([service("a", "10.96.9.1"), changed])).unwrap();
    hns.wait_for_frontend("10.96.9.1");
    let mut unsupported = service("b", "10.96.9.2");
    unsupported["spec"]["ports"] = json!([{"port": 80, "protocol": "SCTP"}]);
    cluster.server.put(unsupported).unwrap();
    let lost = hns.load_balancers().into_iter().find(|lb| lb["FrontendVIPs"] == json!(["10.96.9.1"])).unwrap();
    hns.remove(&lost);
    let repaired = "hnsproxy_drift_repaired_total{cause=\"load_balancer_lost\"}";
    wait_until(repaired, || running.metrics_page(), |page| page.metric(repaired) == Some(1.0));
    let sent = "hnsproxy_events_total{result=\"sent\"}";
    wait_until(sent, || running.metrics_page(), |page| page.metric(sent) >= Some(1.0));
    running
}

#[test]
fn all_queries_have_data_from_a_running_program() {
    if !is_here() {
        return;
    }
    let (cluster, hns) = (Cluster::recorded("boutique-l2bridge"), Hns::of("boutique-l2bridge"));
    let running = eventful(&cluster, &hns);
    let prometheus = Prometheus::start(&configuration(running.metrics), &[]);
    for (at, query) in queries::of_dashboards() {
        assert!(!prometheus.wait_for(&query).is_empty(), "{at}");
    }
    for query in [&kube_proxy::MIXIN[..], &kube_proxy::METRICBEAT, &kube_proxy::NETDATA].concat() {
        prometheus.wait_for(query);
    }
    for query in kube_proxy::OF_ERRORS.iter().chain(&kube_proxy::MISSING).chain([&kube_proxy::MIXIN_DOWN]) {
        assert_eq!(prometheus.query(query), Vec::<Value>::new(), "{query}");
    }
    let page = text("docs/metrics.md");
    for name in kube_proxy::MISSING {
        assert!(page.contains(&format!("`{name}`")), "{name}");
    }

    assert_eq!(prometheus.query("ALERTS{alertstate=\"firing\"}"), Vec::<Value>::new());
    let health = || {
        let rules = prometheus.api("rules")["groups"][0]["rules"].as_array().unwrap().clone();
        rules.iter().map(|rule| rule["health"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    wait_until("all rules to be evaluated", health, |health| *health == vec!["ok"; alerts().len()]);

    running.kill();
    prometheus.wait_for("ALERTS{alertname=\"HnsproxyDown\", node=\"win-1\"}");
    prometheus.wait_for(kube_proxy::MIXIN_DOWN);
}

#[test]
fn a_prometheus_that_asks_for_native_histograms_gets_them() {
    if !is_here() {
        return;
    }
    let hns = Hns::of("boutique-l2bridge");
    let running = Running::start(&[&cluster_flag("boutique-l2bridge"), &hns.flag()]);
    running.wait_until_in_sync();
    let flag = "--enable-feature=native-histograms";
    let prometheus = Prometheus::start(&configuration(running.metrics), &[flag]);
    // Only native histograms have a count that a function reads.
    prometheus.wait_for("histogram_count(hnsproxy_hns_call_duration_seconds{node=\"win-1\"}) > 0");
    prometheus.wait_for("histogram_quantile(0.99, hnsproxy_hns_call_duration_seconds{node=\"win-1\"}) > 0");
    prometheus.wait_for("hnsproxy_load_balancers_in_sync{node=\"win-1\"} > 0");
    assert_eq!(prometheus.query("hnsproxy_hns_call_duration_seconds_bucket"), Vec::<Value>::new());
}

#[test]
fn windows_nodes_are_scraped_at_their_address_and_have_their_name() {
    if !is_here() {
        return;
    }
    let prometheus = Prometheus::start(&configuration("127.0.0.1:1".parse().unwrap()), &[]);
    let targets = || {
        let targets = prometheus.api("targets?state=active")["activeTargets"].as_array().unwrap().clone();
        let own = targets.iter().filter(|target| target["labels"]["job"] == "hnsproxy");
        let mut own: Vec<_> = own
            .map(|target| {
                (
                    target["labels"]["node"].as_str().unwrap().to_owned(),
                    target["scrapeUrl"].as_str().unwrap().to_owned(),
                )
            })
            .collect();
        own.sort();
        own
    };
    let expected = [("win-1", "http://127.0.0.1:1/metrics"), ("win-2", "http://[::2]:1/metrics")];
    let expected = expected.map(|(node, url)| (node.to_owned(), url.to_owned()));
    wait_until("the targets", targets, |targets| *targets == expected);
}
