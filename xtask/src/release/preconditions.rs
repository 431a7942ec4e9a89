//! Checks the preconditions of a release.

use anyhow::{Result, ensure};

/// A release needs a clean work tree, the version of the workspace, and a section in the change log.
pub(super) fn check(version: &str, workspace: &str, changed: &[String], log: &str) -> Result<()> {
    ensure!(
        version == workspace,
        "cannot release {version}: the version of the workspace is {workspace}; change it in Cargo.toml"
    );
    ensure!(
        changed.is_empty(),
        "cannot release {version}: files differ from the commit: {}; commit them first",
        changed.join(", ")
    );
    let begin = format!("## [{version}]");
    ensure!(
        log.lines().any(|line| line.starts_with(&begin)),
        "cannot release {version}: CHANGELOG.md has no section {begin}"
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_release_needs_a_clean_tree_and_a_section_in_the_change_log() {
        let log = "# Changelog\n\n## [Unreleased]\n\n## [1.2.3] - 2026-12-01\n";
        let changed = ["README.md".to_owned()];
        let error = |version, workspace, changed: &[String], log| {
            check(version, workspace, changed, log).err().map(|error| error.to_string()).unwrap_or_default()
        };
        assert_eq!(error("1.2.3", "1.2.3", &[], log), "");
        assert_eq!(
            error("1.2.3", "1.2.2", &[], log),
            "cannot release 1.2.3: the version of the workspace is 1.2.2; change it in Cargo.toml"
        );
        assert_eq!(
            error("1.2.3", "1.2.3", &changed, log),
            "cannot release 1.2.3: files differ from the commit: README.md; commit them first"
        );
        assert_eq!(error("1.2.4", "1.2.4", &[], log), "cannot release 1.2.4: CHANGELOG.md has no section ## [1.2.4]");
    }
}
