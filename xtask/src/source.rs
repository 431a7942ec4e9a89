//! Reads the commit that is built from Git.

use std::process::Command;

use anyhow::{Context, Result};
use jiff::Timestamp;

use crate::folder;
use crate::process::output;

/// The variable with which packagers set the time of reproducible builds, in seconds since 1970.
/// [Specification](https://reproducible-builds.org/specs/source-date-epoch/).
const SOURCE_DATE_EPOCH: &str = "SOURCE_DATE_EPOCH";

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Source {
    /// The commit; `None` if files differ from it.
    pub(crate) revision: Option<String>,
    /// The time of the commit, or the value of `SOURCE_DATE_EPOCH`.
    pub(crate) time: Timestamp,
}

impl Source {
    pub(crate) fn read() -> Result<Self> {
        let revision = if changed_files()?.is_empty() { Some(git(&["rev-parse", "HEAD"])?) } else { None };
        let seconds = match std::env::var(SOURCE_DATE_EPOCH) {
            Ok(seconds) => seconds,
            Err(_) => git(&["log", "-1", "--format=%ct"])?,
        };
        let seconds =
            seconds.parse().with_context(|| format!("invalid time {seconds:?}: expected seconds since 1970"))?;
        Ok(Self { revision, time: Timestamp::from_second(seconds)? })
    }
}

/// Files that differ from the commit, and new files that Git does not ignore.
pub(crate) fn changed_files() -> Result<Vec<String>> {
    let status = git(&["status", "--porcelain"])?;
    Ok(status.lines().filter_map(|line| line.get(3..)).map(str::to_owned).collect())
}

fn git(arguments: &[&str]) -> Result<String> {
    let text = output(Command::new("git").args(arguments).current_dir(folder::root()?))?;
    Ok(text.trim_end().to_owned())
}
