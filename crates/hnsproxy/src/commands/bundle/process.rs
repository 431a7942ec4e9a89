//! The pages of the running hnsproxy, and its explanations of Services with problems.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use cluster_source::error_chain;
use serde_json::Value;

use super::super::bounded::begin;
use super::super::installed::Node;
use super::part::Part;
use crate::http_client::{RequestError, Server};

/// The time limit for one page.
const LIMIT: Duration = Duration::from_secs(15);
/// The largest number of Services that are explained.
pub(super) const MAX_EXPLAINED: usize = 20;

/// The parts and their pages. The Services with problems and their explanations are added after these.
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
    /// Whether hnsproxy does not respond at all, so that requests for other pages would fail, too.
    is_silent: bool,
}

pub(super) fn read(node: &Node) -> Process {
    let mut process = Process { parts: Vec::new(), log_file: None };
    let server = match node.server.clone() {
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
        // If this one is not answered in time, the next ones would not be either, each for seconds.
        let has_failed = explained.is_err();
        process.parts.push(part(&format!("process/services/{}.json", service.replace('/', "_")), explained));
        if has_failed {
            break;
        }
    }
    process
}

/// Returns the text of a page. If hnsproxy did not respond to an earlier request, no further page is requested.
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
    // With these errors, hnsproxy responds, but not with this page.
    let is_silent =
        !matches!(error, RequestError::Status { .. } | RequestError::Unavailable(_) | RequestError::TooLarge);
    Failed { reason: error_chain(error), is_silent }
}

/// A JSON page becomes a document, so that secrets are found by the names of the fields.
fn part(name: &str, page: Result<String, String>) -> Part {
    if !name.ends_with(".json") {
        return Part::text(name, page);
    }
    let document = page.and_then(|text| {
        serde_json::from_str::<Value>(&text).map_err(|error| format!("not the JSON of hnsproxy: {error}"))
    });
    Part::document(name, document)
}

fn log_file(status: &str) -> Option<PathBuf> {
    let status: Value = serde_json::from_str(status).ok()?;
    let file = PathBuf::from(status.pointer("/log/file")?.as_str()?);
    // The working folder of hnsproxy is unknown, and opening a UNC path would send Windows credentials to another host.
    Some(file).filter(|file| file.is_absolute() && !file.to_string_lossy().starts_with(r"\\"))
}

/// The names of the first Services of `/debug/services`.
fn services(page: &str) -> Vec<String> {
    let Ok(page) = serde_json::from_str::<Value>(page) else { return Vec::new() };
    let services = page.get("services").and_then(Value::as_array).into_iter().flatten();
    let names = services.filter_map(|service| service.get("service")?.as_str()).filter(|name| is_service_name(name));
    // Each name becomes the name of a part, which must be unique in an archive.
    let names: BTreeSet<_> = names.map(str::to_owned).collect();
    names.into_iter().take(MAX_EXPLAINED).collect()
}

/// Whether a text is `NAMESPACE/NAME` with valid characters. Verified because another program may listen at the address.
fn is_service_name(text: &str) -> bool {
    let is_name = |part: &str| {
        !part.is_empty() && part.chars().all(|one| one.is_ascii_lowercase() || one.is_ascii_digit() || one == '-')
    };
    text.split_once('/').is_some_and(|(namespace, name)| is_name(namespace) && is_name(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_services_are_those_of_kubernetes_and_each_is_taken_once() {
        let page = r#"{"services": [
            {"service": "shop/web"}, {"service": "shop/web"}, {"service": "..\\x/web"}, {"service": "web"}, {"service": 1}
        ]}"#;
        assert_eq!(services(page), ["shop/web"]);
    }

    #[test]
    fn a_log_file_has_a_local_path() {
        let of = |file: &str| log_file(&serde_json::json!({"log": {"file": file}}).to_string());
        let local = if cfg!(windows) { r"C:\k\log.txt" } else { "/k/log.txt" };
        assert_eq!(of(local), Some(local.into()));
        assert_eq!((of("log.txt"), of(r"\\server\share\log.txt")), (None, None));
    }
}
