//! Builds hnsproxy.exe with the options of a release.

use std::path::PathBuf;

use anyhow::{Context, Result};

use crate::windows;

/// The file name of the program.
pub(crate) const NAME: &str = "hnsproxy.exe";

/// Builds the program, and returns its path.
pub(crate) fn build() -> Result<PathBuf> {
    let built = windows::build(&windows::Arguments::release_of(&["hnsproxy"]))?;
    let mut files = built.into_iter().map(|built| built.file);
    files.find(|file| file.ends_with(NAME)).with_context(|| format!("cargo built no {NAME}"))
}
