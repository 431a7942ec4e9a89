//! The queries of the rules and dashboards, and the metrics that they name.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{alerts, dashboards};

/// Every query, with the node and interval that Grafana would insert, and where it is.
pub(super) fn all() -> Vec<(String, String)> {
    let mut queries: Vec<(String, String)> =
        alerts().into_iter().map(|(name, rule)| (name, rule["expr"].as_str().unwrap().to_owned())).collect();
    queries.extend(of_dashboards());
    queries
}

pub(super) fn of_dashboards() -> Vec<(String, String)> {
    let mut queries = Vec::new();
    for dashboard in dashboards() {
        for panel in dashboard["panels"].as_array().unwrap() {
            for target in panel["targets"].as_array().unwrap() {
                let at = format!("{} / {}", dashboard["title"], panel["title"]);
                queries.push((at, inserted(target["expr"].as_str().unwrap())));
            }
        }
        for variable in dashboard["templating"]["list"].as_array().unwrap() {
            if let Some(selector) = selector_of(variable) {
                queries.push((format!("{} / {}", dashboard["title"], variable["name"]), inserted(selector)));
            }
        }
    }
    queries
}

/// The selector of a variable with the values of a label: `label_values(SELECTOR, LABEL)`.
fn selector_of(variable: &Value) -> Option<&str> {
    let query = variable["query"].as_str()?.strip_prefix("label_values(")?;
    Some(query.rsplit_once(',').unwrap().0)
}

fn inserted(query: &str) -> String {
    query.replace("$node", "win-1").replace("$__rate_interval", "1m")
}

/// Which metrics a query selects, and the labels that it compares.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Selected {
    pub(super) metrics: BTreeSet<String>,
    pub(super) labels: BTreeSet<String>,
}

/// Operators between vectors, and modifiers, which are spelled like names of metrics.
const WORDS: [&str; 5] = ["and", "or", "unless", "offset", "bool"];
/// They precede a list of labels, and follow an aggregation or an operator.
const GROUPINGS: [&str; 6] = ["by", "without", "on", "ignoring", "group_left", "group_right"];

/// What a query selects. Functions, durations and texts are passed over.
pub(super) fn selected(query: &str) -> Selected {
    let mut selected = Selected::default();
    let mut rest = query;
    while let Some(first) = rest.chars().next() {
        if first.is_ascii_alphabetic() || first == '_' {
            let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
            let (word, after) = rest.split_at(end);
            rest = after.trim_start();
            if GROUPINGS.contains(&word) {
                let (labels, after) = rest.split_once(')').unwrap();
                selected.labels.extend(labels.trim_start_matches('(').split(',').map(|label| label.trim().to_owned()));
                rest = after;
            } else if !rest.starts_with('(')
                && !GROUPINGS.iter().any(|grouping| rest.starts_with(grouping))
                && !WORDS.contains(&word)
            {
                selected.metrics.insert(word.to_owned());
            }
        } else if first == '{' {
            let (matchers, after) = rest[1..].split_once('}').unwrap();
            let labels = matchers.split(',').filter_map(|matcher| matcher.split(['=', '!']).next());
            selected.labels.extend(labels.map(|label| label.trim().to_owned()));
            rest = after;
        } else if first == '[' {
            rest = rest.split_once(']').unwrap().1;
        } else if first.is_ascii_digit() {
            rest = rest.trim_start_matches(|c: char| c.is_ascii_alphanumeric() || c == '.');
        } else {
            rest = &rest[first.len_utf8()..];
        }
    }
    selected
}

#[test]
fn names_and_labels_of_a_query_are_found() {
    let found = selected(
        "sum by (node, le) (rate(a_b{x=\"1\", y!~\"2..\"}[5m])) > 0.5 unless on (job) c offset 10m or vector(0)",
    );
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    assert_eq!(found, Selected { metrics: names(&["a_b", "c"]), labels: names(&["job", "le", "node", "x", "y"]) });
}
