//! Exceptions from the rules, each with its reason.

use std::path::Path;

use super::finding::Finding;

/// Module cycles that are known and still to be removed: the package, and the modules.
const CYCLES: &[(&str, &[&str])] = &[
    ("hnsproxy", &["board", "cli", "config", "hns", "metrics", "source", "status", "sync", "windows_service"]),
    ("hnsproxy", &["commands::cleanup", "commands::configure", "commands::run"]),
    ("hnsproxy", &["serve::debug", "serve::pages"]),
    ("hnsproxy", &["source::cluster::answer", "source::cluster::kind"]),
    ("proxy", &["desire", "shortcomings"]),
    ("proxy", &["desired", "observe", "plan", "resolve"]),
    ("proxy", &["frontend", "network", "notice"]),
];

/// Files that may be longer than [`MAX_LINES`](super::files::MAX_LINES), each with the reason.
pub(super) const LONG_FILES: &[(&str, &str)] =
    &[("crates/proxy/tests/suite/scenarios.rs", "independent scenarios on one rig, one function each")];

/// The entry that covers a cycle: one that names all of its modules.
pub(super) fn known_cycle(package: &str, modules: &[String]) -> Option<usize> {
    CYCLES.iter().position(|(known_package, known)| {
        *known_package == package && modules.iter().all(|module| known.contains(&module.as_str()))
    })
}

/// Entries without a cycle.
pub(super) fn unused_cycles(used: &[usize]) -> impl Iterator<Item = Finding> {
    let unused = CYCLES.iter().enumerate().filter(|(entry, _)| !used.contains(entry));
    unused.map(|(_, (package, modules))| {
        let message = format!("{package}: modules {} are no cycle: remove the entry", modules.join(", "));
        Finding::in_file(Path::new("xtask/src/lint/allowed.rs"), message)
    })
}
