//! The text of `top`: the state, the slowest HNS calls and the last changes, from the pages `/readyz`, `/debug/hns` and `/debug/history`.

use std::fmt::Write;

use serde::Deserialize;
use serde_json::Value;

use super::history::entries;
use super::{HistoryView, Layout, StatusView, columns};

/// The maximum number of functions that are shown.
const MAX_FUNCTIONS: usize = 8;
/// The maximum number of changes that are shown.
const MAX_CHANGES: usize = 10;

#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct TopView {
    status: StatusView,
    pub hns: HnsCalls,
    history: HistoryView,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct HnsCalls {
    /// Another value shows that hnsproxy has restarted.
    pub process: Value,
    overdue_call: Option<String>,
    /// Since the start of the process.
    pub total_calls: u64,
    calls: Vec<Function>,
}

/// The calls of a function in the last minutes.
#[derive(Debug, Clone, PartialEq, Deserialize)]
struct Function {
    function: String,
    count: u64,
    errors: u64,
    p50_seconds: f64,
    p99_seconds: f64,
    max_seconds: f64,
}

/// `calls_per_second` is None in the first frame.
pub fn top(top: &TopView, calls_per_second: Option<f64>, layout: Layout) -> String {
    let TopView { status, hns, history } = top;
    let mut text = format!("hnsproxy on node {}: {}\n", status.node.name, status.state());
    let rate = calls_per_second.map(|rate| format!(", {rate:.1} calls/s")).unwrap_or_default();
    let _ = writeln!(
        text,
        "load balancers {}, endpoints {}, {} pending; HNS {}, {} calls since the start{rate}",
        status.load_balancers,
        status.endpoints,
        status.pending_changes.count(),
        status.hns.liveness,
        hns.total_calls,
    );
    status.waiting_for().for_each(|line| text += &format!("waiting for {line}\n"));
    hns.overdue_call.iter().for_each(|call| text += &format!("HNS call over its budget: {call}\n"));
    if !hns.calls.is_empty() {
        let mut slowest: Vec<_> = hns.calls.iter().collect();
        slowest.sort_by(|a, b| b.p99_seconds.total_cmp(&a.p99_seconds).then_with(|| a.function.cmp(&b.function)));
        let rows = slowest.into_iter().take(MAX_FUNCTIONS).map(|one| {
            let [p50, p99, max] = [one.p50_seconds, one.p99_seconds, one.max_seconds].map(super::seconds);
            [one.function.clone(), one.count.to_string(), one.errors.to_string(), p50, p99, max]
        });
        let table = columns(layout, 1, ["SLOWEST", "CALLS", "ERRORS", "P50", "P99", "MAX"], rows);
        let _ = writeln!(text, "\n{table}");
    }
    let last = history.entries.len().saturating_sub(MAX_CHANGES);
    let last = history.entries.get(last..).unwrap_or_default();
    if !last.is_empty() {
        let _ = writeln!(text, "\n{}", entries(last, layout));
    }
    text
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::view::status::tests::waiting;

    fn view(calls: &Value, entries: &Value) -> TopView {
        let process = json!({"started": "2026-01-02T03:04:05Z"});
        let document = json!({
            "status": waiting(),
            "hns": {"process": process, "overdue_call": "HNSCall takes 6.0 s", "total_calls": 50, "calls": calls},
            "history": {"process": process, "last_sequence": 3, "entries": entries},
        });
        TopView::deserialize(document).unwrap()
    }

    #[test]
    fn a_frame_has_the_slowest_functions_first_and_the_last_changes() {
        let call = |function: &str, p99: f64| {
            json!({"function": function, "count": 44, "errors": 1, "p50_seconds": 0.011, "p90_seconds": 0.012,
                "p99_seconds": p99, "max_seconds": 2.9})
        };
        let entry = |sequence: u64| {
            json!({"sequence": sequence, "time": format!("2026-01-02T03:04:{sequence:02}Z"), "kind": "write",
                "message": format!("change {sequence}")})
        };
        let calls = json!([call("HcnCreateLoadBalancer", 0.0296), call("HcnDeleteLoadBalancer", 1.25)]);
        let entries: Vec<_> = (1..=12).map(entry).collect();
        let text = top(&view(&calls, &json!(entries)), Some(3.25), Layout::Narrow { width: None });
        let begin = "\
hnsproxy on node win-1: not in sync
load balancers 40/44, endpoints 13/13, 5 pending; HNS unavailable, 50 calls since the start, 3.2 calls/s
waiting for HNSUnavailable: HNS unavailable
HNS call over its budget: HNSCall takes 6.0 s

SLOWEST                CALLS  ERRORS  P50    P99    MAX
HcnDeleteLoadBalancer  44     1       11 ms  1.2 s  2.9 s
HcnCreateLoadBalancer  44     1       11 ms  30 ms  2.9 s

TIME                  KIND   MESSAGE
2026-01-02T03:04:03Z  write  change 3
";
        assert!(text.starts_with(begin), "{text}");
        assert!(text.ends_with("2026-01-02T03:04:12Z  write  change 12\n"), "{text}");
    }

    #[test]
    fn a_process_without_calls_and_changes_has_no_tables() {
        let text = top(&view(&json!([]), &json!([])), None, Layout::Wide);
        assert!(text.ends_with("50 calls since the start\nwaiting for HNSUnavailable: HNS unavailable\nHNS call over its budget: HNSCall takes 6.0 s\n"), "{text}");
    }
}
