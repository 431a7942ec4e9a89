//! The alert rules and dashboards of `deploy/monitoring`, and the queries of other projects for kube-proxy, on real Prometheus programs.

mod files;
mod kube_proxy;
mod live;
mod prometheus;
mod queries;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

/// A file of the repository.
fn file(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path)
}

fn text(path: &str) -> String {
    fs::read_to_string(file(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn yaml(path: &str) -> Value {
    serde_saphyr::from_str(&text(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn dashboards() -> [Value; 2] {
    ["node", "fleet"]
        .map(|name| serde_json::from_str(&text(&format!("deploy/monitoring/dashboard-{name}.json"))).unwrap())
}

/// The rules, by the name of their alert.
fn alerts() -> BTreeMap<String, Value> {
    let rules = yaml("deploy/monitoring/alerts.yaml")["groups"][0]["rules"].as_array().unwrap().clone();
    rules.into_iter().map(|rule| (rule["alert"].as_str().unwrap().to_owned(), rule)).collect()
}

/// The names of all metrics that hnsproxy serves, with their types and labels, from the page that is generated from the catalog.
fn catalog() -> BTreeMap<String, (String, Vec<String>)> {
    let page = text("docs/metrics.md");
    // The page has other tables before.
    let (_, table) = page.split_once("| Name | Type |").unwrap();
    let rows = table.lines().filter_map(|line| line.strip_prefix("| `")?.split_once("` | "));
    rows.map(|(name, rest)| {
        let mut columns = rest.split(" | ");
        let kind = columns.next().unwrap().split(',').next().unwrap().to_owned();
        let labels = columns.next().unwrap().split('`').skip(1).step_by(2).map(str::to_owned).collect();
        (name.to_owned(), (kind, labels))
    })
    .collect()
}
