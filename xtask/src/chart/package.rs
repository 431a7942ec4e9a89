//! The archive of the chart that Helm installs, with the same bytes for the same files.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use super::CHART;
use crate::archive::{self, Files};
use crate::folder;

/// Names the files that are no part of the package, as paths or, with a slash at the end, as folders.
const IGNORE: &str = ".helmignore";
/// Helm expects the chart in a folder with its name.
const NAME: &str = "hnsproxy";

/// The archive.
pub(crate) fn package() -> Result<Vec<u8>> {
    archive::tar_gz(NAME, &files(&folder::root()?.join(CHART))?)
}

/// The files of a chart by their paths in it, links followed.
fn files(chart: &Path) -> Result<Files> {
    let ignore = fs::read_to_string(chart.join(IGNORE)).with_context(|| format!("cannot read {IGNORE}"))?;
    let ignored: Vec<&str> = ignore.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).collect();
    let mut files = Files::new();
    collect(chart, "", &ignored, &mut files)?;
    Ok(files)
}

fn collect(folder: &Path, prefix: &str, ignored: &[&str], files: &mut Files) -> Result<()> {
    for entry in fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))? {
        let entry = entry?;
        let path = format!("{prefix}{}", entry.file_name().to_string_lossy());
        if entry.path().is_dir() {
            let inner = format!("{path}/");
            if !ignored.contains(&inner.as_str()) {
                collect(&entry.path(), &inner, ignored, files)?;
            }
        } else if !ignored.contains(&path.as_str()) {
            let content = fs::read(entry.path()).with_context(|| format!("cannot read {}", entry.path().display()))?;
            files.insert(path, content);
        }
    }
    Ok(())
}
