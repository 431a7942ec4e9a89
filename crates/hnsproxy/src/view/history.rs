//! The document of `/debug/history` as a table.

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;

use super::{Layout, columns};

#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct HistoryView {
    /// If the value changes, hnsproxy has restarted.
    process: Value,
    pub last_sequence: u64,
    /// None if the history ends with the process.
    saving: Option<Value>,
    pub entries: Vec<Entry>,
}

impl HistoryView {
    /// Whether sequences have restarted since an earlier response, because hnsproxy has restarted without a saved history.
    pub fn begins_after(&self, before: &Self) -> bool {
        self.process != before.process && (self.saving.is_none() || self.last_sequence < before.last_sequence)
    }
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Entry {
    sequence: u64,
    time: Timestamp,
    kind: String,
    service: Option<String>,
    duration_seconds: Option<f64>,
    error: Option<String>,
    message: String,
}

/// The width of the longest name of a kind.
const KIND_WIDTH: usize = "condition_resolved".len();

impl Entry {
    /// The message, and why it failed. On one line: HNS puts line breaks into some errors.
    fn text(&self) -> String {
        let text = match &self.error {
            // The messages of some entries, such as those of the API server, already contain the error.
            Some(error) if !self.message.contains(error.as_str()) => format!("{}: {error}", self.message),
            _ => self.message.clone(),
        };
        text.split_whitespace().collect::<Vec<_>>().join(" ")
    }

    /// The time with a precision of one second.
    fn time(&self) -> String {
        self.time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
    }
}

pub fn history(view: &HistoryView, layout: Layout) -> String {
    if view.entries.is_empty() {
        return "no entries\n".to_owned();
    }
    entries(&view.entries, layout) + "\n"
}

/// A table without a line break at the end.
pub(super) fn entries(entries: &[Entry], layout: Layout) -> String {
    let none = || "none".to_owned();
    if layout == Layout::Wide {
        let header = ["SEQUENCE", "TIME", "KIND", "SERVICE", "DURATION", "MESSAGE"];
        let rows = entries.iter().map(|entry| {
            let duration = entry.duration_seconds.map_or_else(none, super::seconds);
            let service = entry.service.clone().unwrap_or_else(none);
            let (sequence, time) = (entry.sequence.to_string(), entry.time.to_string());
            [sequence, time, entry.kind.clone(), service, duration, entry.text()]
        });
        return columns(layout, 3, header, rows);
    }
    // The message names the Service.
    let rows = entries.iter().map(|entry| [entry.time(), entry.kind.clone(), entry.text()]);
    columns(layout, 2, ["TIME", "KIND", "MESSAGE"], rows)
}

/// Formats new entries below a table, one per line. They are not shortened, because no further columns are aligned with them.
pub fn history_lines(view: &HistoryView) -> String {
    let line = |entry: &Entry| format!("{}  {:KIND_WIDTH$}  {}\n", entry.time(), entry.kind, entry.text());
    view.entries.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn view() -> HistoryView {
        let document = json!({
            "process": {"started": "2026-01-02T03:04:05Z"},
            "last_sequence": 9,
            "entries": [
                {"sequence": 8, "time": "2026-01-02T03:04:06.789Z", "kind": "write", "action": "create_load_balancer",
                    "duration_seconds": 0.012, "error": "refused\r\nby HNS", "service": "ns/web", "message": "create it"},
                {"sequence": 9, "time": "2026-01-02T03:04:07Z", "kind": "api_server", "available": false,
                    "error": "no connection", "message": "API server unavailable: no connection"},
            ],
        });
        HistoryView::deserialize(document).unwrap()
    }

    #[test]
    fn a_row_shows_an_entry_with_its_error() {
        let narrow = "\
TIME                  KIND        MESSAGE
2026-01-02T03:04:06Z  write       create it: refused by HNS
2026-01-02T03:04:07Z  api_server  API server unavailable: no connection
";
        assert_eq!(history(&view(), Layout::Narrow { width: None }), narrow);
        let wide = "\
SEQUENCE  TIME                      KIND        SERVICE  DURATION  MESSAGE
8         2026-01-02T03:04:06.789Z  write       ns/web   12 ms     create it: refused by HNS
9         2026-01-02T03:04:07Z      api_server  none     none      API server unavailable: no connection
";
        assert_eq!(history(&view(), Layout::Wide), wide);
    }

    #[test]
    fn a_restart_begins_the_sequences_again_unless_the_history_was_saved() {
        let answer = |started: &str, last_sequence, saving: Value| {
            let process = json!({"started": started});
            HistoryView {
                process,
                last_sequence,
                saving: Some(saving).filter(|saving| !saving.is_null()),
                entries: vec![],
            }
        };
        let (saved, unsaved) = (json!({"lost_entries": 0}), Value::Null);
        let before = answer("1", 5, unsaved.clone());
        assert!(!answer("1", 6, unsaved.clone()).begins_after(&before));
        assert!(answer("2", 60, unsaved).begins_after(&before));
        assert!(!answer("2", 6, saved.clone()).begins_after(&before));
        assert!(answer("2", 1, saved).begins_after(&before));
    }

    #[test]
    fn new_entries_are_lines() {
        let lines = "\
2026-01-02T03:04:06Z  write               create it: refused by HNS
2026-01-02T03:04:07Z  api_server          API server unavailable: no connection
";
        assert_eq!(history_lines(&view()), lines);
    }
}
