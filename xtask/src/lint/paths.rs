//! Paths of this repository that Markdown pages name: each must exist.

use std::path::Path;

use super::finding::Finding;
use super::workspace::Workspace;

/// The folders whose paths are checked. Other texts between backticks with a slash are URL paths, flags or Kubernetes names.
const FOLDERS: [&str; 4] = ["crates/", "xtask/", "docs/", "examples/"];

pub(super) fn check(workspace: &Workspace) -> Vec<Finding> {
    let pages = workspace.files.iter().filter(|(path, _)| path.extension().is_some_and(|extension| extension == "md"));
    let exists = |named: &str| workspace.files.keys().any(|path| path.starts_with(named));
    pages.flat_map(|(path, text)| missing(path, text, exists)).collect()
}

/// The paths between backticks that do not exist.
pub(super) fn missing(page: &Path, text: &str, exists: impl Fn(&str) -> bool) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (index, line) in text.lines().enumerate() {
        for named in line.split('`').skip(1).step_by(2) {
            // A path with a placeholder or a list of alternatives names no single file.
            let is_path =
                FOLDERS.iter().any(|folder| named.starts_with(folder)) && !named.contains([' ', '{', '*', ',']);
            if is_path && !exists(named) {
                findings.push(Finding::at(page, index + 1, format!("{named} does not exist")));
            }
        }
    }
    findings
}
