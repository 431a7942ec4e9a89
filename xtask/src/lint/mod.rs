//! Rules of this workspace that neither the compiler nor clippy checks.
//!
//! Each rule is a function from the [`Workspace`] to findings, in a file of its own.

mod cycles;
mod files;
mod finding;
mod pages;
mod paths;
mod resolve;
mod scan;
#[cfg(test)]
mod tests;
mod tree;
mod workspace;

use std::process::ExitCode;

use anyhow::Result;

use crate::folder;
use crate::process::{print, say};
use finding::Finding;
use workspace::Workspace;

pub(crate) fn run() -> Result<ExitCode> {
    let workspace = Workspace::read(&folder::root()?)?;
    let mut findings = files::check(&workspace);
    findings.extend(workspace.targets.iter().flat_map(|target| target.tree.findings.clone()));
    findings.extend(check_cycles(&workspace));
    findings.extend(pages::check(&workspace));
    findings.extend(paths::check(&workspace));
    findings.sort();
    findings.dedup();
    for finding in &findings {
        print(format_args!("{finding}"))?;
    }
    if findings.is_empty() {
        say(format_args!("lint: {} files, no findings", workspace.files.len()));
        return Ok(ExitCode::SUCCESS);
    }
    say(format_args!("lint: {} findings", findings.len()));
    Ok(ExitCode::FAILURE)
}

fn check_cycles(workspace: &Workspace) -> Vec<Finding> {
    let mut findings = Vec::new();
    for target in &workspace.targets {
        for cycle in cycles::cycles(&target.tree) {
            findings.push(Finding::in_file(cycle.file(), format!("{}: {}", target.package, cycle.describe())));
        }
    }
    findings
}
