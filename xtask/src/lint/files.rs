//! Rules for each file: it belongs to a target, opens with its responsibility, is short, and contains no path of one machine.

use std::collections::BTreeSet;
use std::path::Path;

use super::finding::Finding;
use super::workspace::Workspace;

/// The longest Rust file, in lines. Longer files have more than one responsibility.
pub(super) const MAX_LINES: usize = 500;

pub(super) fn check(workspace: &Workspace) -> Vec<Finding> {
    let in_targets: BTreeSet<&Path> =
        workspace.targets.iter().flat_map(|target| &target.tree.files).map(|file| file.as_path()).collect();
    let mut findings = Vec::new();
    for (path, text) in workspace.sources() {
        if !in_targets.contains(path) {
            findings.push(Finding::in_file(path, "no module includes this file, so it is not compiled"));
        }
        findings.extend(header(path, text));
        findings.extend(length(path, text));
    }
    let own = machine_paths(&workspace.root);
    for (path, text) in &workspace.files {
        findings.extend(machine_path(path, text, &own));
    }
    findings
}

pub(super) fn header(path: &Path, text: &str) -> Option<Finding> {
    let first = text.lines().next().unwrap_or_default();
    let opens = first.strip_prefix("//!").is_some_and(|header| !header.trim().is_empty());
    (!opens).then(|| Finding::at(path, 1, "missing header: a file opens with `//!` and its responsibility"))
}

pub(super) fn length(path: &Path, text: &str) -> Option<Finding> {
    let lines = text.lines().count();
    (lines > MAX_LINES)
        .then(|| Finding::in_file(path, format!("{lines} lines, and {MAX_LINES} is the limit: split it")))
}

/// Prefixes of paths of one machine: folders of users, and the folder of this checkout.
fn machine_paths(root: &Path) -> Vec<String> {
    let homes = ["/home", "/Users", r"C:\Users"].map(|folder| {
        let separator = if folder.contains('\\') { '\\' } else { '/' };
        format!("{folder}{separator}")
    });
    // A checkout in the root of the file system would match too much.
    let own = root.to_str().filter(|root| root.matches(['/', '\\']).count() > 1).map(str::to_owned);
    homes.into_iter().chain(own).collect()
}

pub(super) fn machine_path(path: &Path, text: &str, machine: &[String]) -> Option<Finding> {
    let (line, found) = text.lines().enumerate().find_map(|(index, line)| {
        machine.iter().find(|folder| line.contains(folder.as_str())).map(|folder| (index + 1, folder))
    })?;
    Some(Finding::at(path, line, format!("a path of one machine: {found}")))
}
