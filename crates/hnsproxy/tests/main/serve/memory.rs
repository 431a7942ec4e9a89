//! The memory that the history and the pages need.

use super::in_sync;
use crate::support::http::get;

/// In bytes.
const MAX_GROWTH: f64 = 3e6;

/// After the pages of a browser were requested several times.
fn resident_memory(flags: &[&str], pages: &[&str]) -> f64 {
    let (_hns, running) = in_sync(flags);
    for page in pages.iter().cycle().take(pages.len() * 5) {
        assert_eq!(get(running.metrics, page).unwrap().code, 200, "{page}");
    }
    running.metrics_page().metric("process_resident_memory_bytes").unwrap()
}

#[test]
fn a_full_history_and_the_pages_need_3_mb() {
    let directory = tempfile::tempdir().unwrap();
    let state_dir = format!("--state-dir={}", directory.path().display());
    let text = "x".repeat(150);
    let entry = |sequence| {
        format!(r#"{{"sequence":{sequence},"time":"2026-01-02T03:04:05Z","service":"shop/web","message":"{text}"}}"#)
    };
    let lines: Vec<String> = (1..=4096).map(entry).collect();
    std::fs::write(directory.path().join("history.jsonl"), lines.join("\n")).unwrap();
    let pages = [
        "/ui/",
        "/statusz?format=json",
        "/debug/history?limit=1000",
        "/debug/hns",
        "/debug/services",
        "/debug/services/kube-system/kube-dns",
        "/debug/pending",
        "/debug/networks",
    ];
    let (without, with) = (resident_memory(&["--ui=false"], &[]), resident_memory(&[&state_dir], &pages));
    assert!(with - without < MAX_GROWTH, "{} kB", (with - without) / 1000.0);
}
