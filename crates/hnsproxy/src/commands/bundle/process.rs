//! What the running hnsproxy says: its pages, and its explanations of Services with problems.

use std::path::PathBuf;
use std::time::Duration;

use cluster_source::error_chain;
use serde_json::Value;

use super::super::bounded::begin;
use super::super::doctor::process_server;
use super::part::Part;
use crate::cli::DoctorArgs;
use crate::http_client::{RequestError, Server};

/// Of a page.
const LIMIT: Duration = Duration::from_secs(15);
/// The largest number of Services that are explained. The control loop explains them between its runs.
const MAX_EXPLAINED: usize = 20;

/// The parts and their pages. That of all Services, and of their explanations, follow.
const PAGES: [(&str, &str); 11] = [
    (STATUS, "/statusz?format=json"),
    ("process/statusz.txt", "/statusz?format=text"),
    ("process/readyz.json", "/readyz"),
    ("process/metrics.txt", "/metrics"),
    ("process/configz.json", "/configz"),
    ("process/flagz.txt", "/flagz"),
    ("process/history.json", "/debug/history?limit=4096"),
    ("process/hns.json", "/debug/hns"),
    ("process/networks.json", "/debug/networks"),
    ("process/pending.json", "/debug/pending"),
    ("process/services.json", "/debug/services?limit=1000"),
];
const STATUS: &str = "process/statusz.json";
const PROBLEMS: (&str, &str) = ("process/problems.json", "/debug/services?limit=1000&state=problem");

pub(super) struct Process {
    pub(super) parts: Vec<Part>,
    log_file: Option<PathBuf>,
}

impl Process {
    /// The log file of the running hnsproxy, if it has one.
    pub(super) fn log_file(&self) -> Option<PathBuf> {
        self.log_file.clone()
    }
}

/// Why a page is missing.
struct Failed {
    reason: String,
    /// Whether other pages would fail as well.
    is_silent: bool,
}

pub(super) fn read(args: &DoctorArgs) -> Process {
    let mut process = Process { parts: Vec::new(), log_file: None };
    let server = match process_server(args) {
        Ok(server) => server,
        Err(reason) => {
            let names = PAGES.iter().chain([&PROBLEMS]).map(|(name, _)| *name);
            process.parts.extend(names.map(|name| Part::not_applicable(name, reason.clone())));
            return process;
        }
    };
    let mut silent = None;
    for (name, path) in PAGES {
        let page = page(&server, path, &mut silent);
        if let (STATUS, Ok(text)) = (name, &page) {
            process.log_file = log_file(text);
        }
        process.parts.push(part(name, page));
    }
    let (name, path) = PROBLEMS;
    let problems = page(&server, path, &mut silent);
    let services = problems.as_ref().map(|text| services(text)).unwrap_or_default();
    process.parts.push(part(name, problems));
    for service in services {
        let explained = page(&server, &format!("/debug/services/{service}"), &mut silent);
        // The control loop that does not answer now would not answer the next ones either, each for seconds.
        let has_failed = explained.is_err();
        process.parts.push(part(&format!("process/services/{}.json", service.replace('/', "_")), explained));
        if has_failed {
            break;
        }
    }
    process
}

/// The text of a page. After one without an answer, no further one is requested.
fn page(server: &Server, path: &str, silent: &mut Option<String>) -> Result<String, String> {
    if let Some(reason) = silent {
        return Err(reason.clone());
    }
    let (of, requested) = (server.clone(), path.to_owned());
    let answer = begin(LIMIT, move || of.get_page(&requested).map_err(|error| failed(&error)));
    let answer = answer.wait().unwrap_or_else(|reason| Err(Failed { reason, is_silent: true }));
    answer.map_err(|Failed { reason, is_silent }| {
        let reason = format!("cannot query hnsproxy at {}: {reason}", server.address);
        *silent = is_silent.then(|| reason.clone());
        reason
    })
}

fn failed(error: &RequestError) -> Failed {
    // It answers, but not with this page.
    let is_silent =
        !matches!(error, RequestError::Status { .. } | RequestError::Unavailable(_) | RequestError::TooLarge);
    Failed { reason: error_chain(error), is_silent }
}

/// A page in JSON is a document, so that secrets are found by the names of its fields.
fn part(name: &str, page: Result<String, String>) -> Part {
    if !name.ends_with(".json") {
        return Part::text(name, page);
    }
    let document = page.and_then(|text| {
        serde_json::from_str::<Value>(&text).map_err(|error| format!("another program listens there: {error}"))
    });
    Part::document(name, document)
}

fn log_file(status: &str) -> Option<PathBuf> {
    let status: Value = serde_json::from_str(status).ok()?;
    Some(status.pointer("/log/file")?.as_str()?.into())
}

/// The names of the first Services of `/debug/services`.
fn services(page: &str) -> Vec<String> {
    let Ok(page) = serde_json::from_str::<Value>(page) else { return Vec::new() };
    let services = page.get("services").and_then(Value::as_array).into_iter().flatten();
    let names = services.filter_map(|service| service.get("service")?.as_str().map(str::to_owned));
    names.take(MAX_EXPLAINED).collect()
}
