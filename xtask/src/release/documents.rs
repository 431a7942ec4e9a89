//! Completion scripts and man pages, which an example program of hnsproxy writes.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use crate::archive::Files;
use crate::process::{cargo, run};

pub(super) fn build() -> Result<Files> {
    let folder = tempfile::tempdir()?;
    // Without the emulator, like the program of a release.
    let example = ["run", "--locked", "--package", "hnsproxy", "--no-default-features", "--example", "documents", "--"];
    run(cargo()?.args(example).arg(folder.path()))?;
    let mut files = Files::new();
    read(folder.path(), "", &mut files)?;
    Ok(files)
}

/// Reads a folder, with the prefix for the paths in it.
fn read(folder: &Path, prefix: &str, files: &mut Files) -> Result<()> {
    for entry in fs::read_dir(folder).with_context(|| format!("cannot list {}", folder.display()))? {
        let path = entry?.path();
        let name = format!("{prefix}{}", path.file_name().unwrap_or_default().to_string_lossy());
        if path.is_dir() {
            read(&path, &format!("{name}/"), files)?;
        } else {
            files.insert(name, fs::read(&path)?);
        }
    }
    Ok(())
}
