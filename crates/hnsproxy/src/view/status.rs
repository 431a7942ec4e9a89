//! The document of `/readyz` as text: one row with the state, then the reasons why the node is not ready, and the conditions.

use std::fmt::Write;

use serde::Deserialize;

use super::{Layout, columns};

/// The conditions that are shown. A wide text shows all.
const MAX_CONDITIONS: usize = 10;

/// The fields of the document that the text shows. Fields that always change are left out, so that `--watch` prints only real changes.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct StatusView {
    pub in_sync: bool,
    waiting_for: Vec<Reason>,
    pub(super) load_balancers: Tally,
    pub(super) endpoints: Tally,
    pub(super) pending_changes: Pending,
    cluster: Cluster,
    pub(super) node: Node,
    pub(super) hns: HnsState,
    conditions: Vec<ServiceReason>,
    host_conditions: Vec<Reason>,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
struct Reason {
    reason: String,
    message: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
struct ServiceReason {
    service: String,
    reason: String,
    message: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub(super) struct Tally {
    desired: usize,
    in_sync: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub(super) struct Pending {
    backlog: usize,
    queued: usize,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
struct Cluster {
    available: bool,
    error: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct Node {
    pub(super) name: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct HnsState {
    description: String,
    pub(super) liveness: String,
}

impl StatusView {
    pub(super) fn state(&self) -> &'static str {
        if self.in_sync { "in sync" } else { "not in sync" }
    }

    /// What is waited for, one line for each reason.
    pub(super) fn waiting_for(&self) -> impl Iterator<Item = String> {
        self.waiting_for.iter().map(Reason::line)
    }
}

impl Reason {
    fn line(&self) -> String {
        format!("{}: {}", self.reason, self.message)
    }
}

impl std::fmt::Display for Tally {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.in_sync, self.desired)
    }
}

impl Pending {
    pub(super) fn count(self) -> usize {
        self.backlog + self.queued
    }
}

pub fn status(status: &StatusView, layout: Layout) -> String {
    let StatusView { load_balancers, endpoints, pending_changes, cluster, node, hns, .. } = status;
    let row = [
        node.name.clone(),
        status.state().to_owned(),
        load_balancers.to_string(),
        endpoints.to_string(),
        pending_changes.count().to_string(),
        hns.liveness.clone(),
        if cluster.available { "available" } else { "unavailable" }.to_owned(),
    ];
    let header = ["NODE", "STATE", "LOAD BALANCERS", "ENDPOINTS", "PENDING", "HNS", "CLUSTER"];
    let mut text = format!("{}\n{}\n", hns.description, columns(layout, 2, header, [row]));
    let shown = if layout == Layout::Wide { usize::MAX } else { MAX_CONDITIONS };
    let of_services = status.conditions.iter().map(|one| format!("{}: {}: {}", one.service, one.reason, one.message));
    let unavailable = cluster.error.iter().filter(|_| !cluster.available).cloned();
    list(&mut text, "waiting for", status.waiting_for(), usize::MAX);
    list(&mut text, "cluster unavailable", unavailable, usize::MAX);
    list(&mut text, "conditions of the host", status.host_conditions.iter().map(Reason::line), shown);
    list(&mut text, "conditions of Services", of_services, shown);
    text
}

fn list(text: &mut String, title: &str, lines: impl Iterator<Item = String>, shown: usize) {
    let lines: Vec<String> = lines.collect();
    if lines.is_empty() {
        return;
    }
    let _ = writeln!(text, "\n{title}:");
    lines.iter().take(shown).for_each(|line| *text += &format!("- {line}\n"));
    if lines.len() > shown {
        let _ = writeln!(text, "- {} more; -o wide shows all", lines.len() - shown);
    }
}

#[cfg(test)]
pub(super) mod tests {
    use serde_json::{Value, json};

    use super::*;

    /// A document of a node that waits for HNS, with two conditions.
    pub(in crate::view) fn waiting() -> Value {
        json!({
            "in_sync": false,
            "waiting_for": [{"reason": "HNSUnavailable", "message": "HNS unavailable"}],
            "load_balancers": {"desired": 44, "in_sync": 40},
            "endpoints": {"desired": 13, "in_sync": 13},
            "pending_changes": {"backlog": 4, "queued": 1, "oldest_seconds": 2.5},
            "cluster": {"available": false, "error": "no connection", "complete": true},
            "node": {"name": "win-1"},
            "hns": {"description": "hnsproxy 0.1.0, HNS 15.5", "liveness": "unavailable"},
            "conditions": (0..11).map(|number| {
                json!({"service": format!("ns/s{number}"), "reason": "PortInUse", "message": "in use"})
            }).collect::<Vec<_>>(),
            "host_conditions": [],
        })
    }

    #[test]
    fn a_node_that_waits_shows_what_for() {
        let view = StatusView::deserialize(&waiting()).unwrap();
        let text = status(&view, Layout::Narrow { width: None });
        let expected = "\
hnsproxy 0.1.0, HNS 15.5
NODE   STATE        LOAD BALANCERS  ENDPOINTS  PENDING  HNS          CLUSTER
win-1  not in sync  40/44           13/13      5        unavailable  unavailable

waiting for:
- HNSUnavailable: HNS unavailable

cluster unavailable:
- no connection

conditions of Services:
- ns/s0: PortInUse: in use
";
        assert!(text.starts_with(expected), "{text}");
        assert!(text.ends_with("- ns/s9: PortInUse: in use\n- 1 more; -o wide shows all\n"), "{text}");
        assert!(status(&view, Layout::Wide).ends_with("- ns/s10: PortInUse: in use\n"));
    }

    #[test]
    fn fields_that_always_change_do_not_change_the_status() {
        let mut later = waiting();
        later["pending_changes"]["oldest_seconds"] = json!(3.5);
        assert_eq!(StatusView::deserialize(&later).unwrap(), StatusView::deserialize(&waiting()).unwrap());
    }
}
