//! The rules, their tests, the dashboards and the runbooks are consistent.

use std::collections::BTreeSet;

use super::prometheus::promtool;
use super::{alerts, catalog, dashboards, file, queries, text, yaml};

/// Labels that Prometheus adds to each series, with those of `scrape.yaml`; `le` is that of the buckets of histograms.
const ADDED_LABELS: [&str; 4] = ["instance", "job", "node", "le"];
/// A metric that Prometheus makes of each scrape.
const OF_PROMETHEUS: &str = "up";

#[test]
fn each_query_selects_metrics_and_labels_of_the_catalog() {
    let catalog = catalog();
    for (at, query) in queries::all() {
        let selected = queries::selected(&query);
        let mut labels: BTreeSet<&str> = ADDED_LABELS.into();
        for name in selected.metrics.iter().filter(|name| *name != OF_PROMETHEUS) {
            let family =
                ["_bucket", "_sum", "_count"].iter().find_map(|suffix| name.strip_suffix(suffix)).unwrap_or(name);
            let (kind, own) = catalog.get(family).unwrap_or_else(|| panic!("{at}: unknown metric {name}"));
            assert_eq!(family != name, kind == "histogram", "{at}: {name}");
            labels.extend(own.iter().map(String::as_str));
        }
        let unknown: Vec<_> = selected.labels.iter().filter(|label| !labels.contains(label.as_str())).collect();
        assert!(unknown.is_empty() && !selected.metrics.is_empty(), "{at}: unknown labels {unknown:?}");
    }
}

#[test]
fn each_alert_names_its_node_and_has_a_severity_and_a_runbook() {
    let page = text("docs/runbooks.md");
    let sections: BTreeSet<String> =
        page.lines().filter_map(|line| line.strip_prefix("## ")).map(str::to_owned).collect();
    let alerts = alerts();
    for (name, rule) in &alerts {
        let annotation = |key: &str| rule["annotations"][key].as_str().unwrap();
        assert!(annotation("summary").contains("{{ $labels.node }}"), "{name}");
        assert!(["critical", "warning"].contains(&rule["labels"]["severity"].as_str().unwrap()), "{name}");
        let section = name.to_lowercase();
        let url = format!("{}/blob/main/docs/runbooks.md#{section}", env!("CARGO_PKG_REPOSITORY"));
        assert_eq!(annotation("runbook_url"), url, "{name}");
    }
    let named: BTreeSet<String> = alerts.into_keys().collect();
    let of_alerts = sections.into_iter().filter(|section| section.starts_with("Hnsproxy")).collect::<BTreeSet<_>>();
    assert_eq!(of_alerts, named);
}

/// A runbook is read in a hurry: each has the same three parts.
#[test]
fn each_runbook_says_what_it_means_how_to_confirm_it_and_what_to_do() {
    let page = text("docs/runbooks.md");
    for section in page.split("\n## ").skip(1).filter(|section| section.starts_with("Hnsproxy")) {
        for part in ["**Meaning.**", "**Confirm.**", "**Act.**"] {
            assert!(section.contains(part), "{part} of {section}");
        }
    }
}

#[test]
fn each_alert_has_a_case_in_which_it_fires_and_one_in_which_it_does_not() {
    let tests = yaml("deploy/monitoring/alerts_test.yaml");
    let mut cases: BTreeSet<(String, bool)> = BTreeSet::new();
    for case in tests["tests"].as_array().unwrap().iter().flat_map(|test| test["alert_rule_test"].as_array().unwrap()) {
        let fires = !case["exp_alerts"].as_array().unwrap().is_empty();
        cases.insert((case["alertname"].as_str().unwrap().to_owned(), fires));
    }
    let expected = alerts().into_keys().flat_map(|name| [(name.clone(), false), (name, true)]).collect();
    assert_eq!(cases, expected);
}

#[test]
fn each_alert_fires_and_stays_silent_as_its_cases_say() {
    let folder = file("deploy/monitoring");
    promtool(&["check", "rules", "alerts.yaml"], &folder);
    promtool(&["test", "rules", "alerts_test.yaml"], &folder);
}

#[test]
fn the_dashboards_link_to_the_status_of_each_node_and_to_each_other() {
    let schemes = dashboards().map(|dashboard| {
        let variables = dashboard["templating"]["list"].as_array().unwrap().clone();
        variables.into_iter().find(|variable| variable["name"] == "scheme").unwrap()["query"].clone()
    });
    assert_eq!(schemes, ["http,https"; 2]);
    let [node, fleet] = dashboards().map(|dashboard| dashboard.to_string());
    assert!(
        node.contains("${scheme}://${instance}/statusz") && node.contains("/d/hnsproxy-fleet?var-scheme=${scheme}")
    );
    assert!(fleet.contains("${scheme}://${__data.fields.instance}/statusz"));
    assert!(fleet.contains("/d/hnsproxy-node?var-node=${__data.fields.node}&var-scheme=${scheme}"));
    assert!(node.contains("\"uid\":\"hnsproxy-node\"") && fleet.contains("\"uid\":\"hnsproxy-fleet\""));
}
