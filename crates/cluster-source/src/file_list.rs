//! The files that a path names: itself, or all YAML and JSON files below a directory.

use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};

/// A directory entry that cannot be listed.
#[derive(Debug)]
pub(crate) struct ListError {
    pub(crate) path: PathBuf,
    pub(crate) source: io::Error,
}

/// The files of a path, sorted. A file is read whatever its name. In directories the extension decides, and hidden entries are skipped.
///
/// # Errors
/// If the path does not exist, or a directory cannot be read.
pub(crate) fn list(root: &Path) -> Result<Vec<PathBuf>, ListError> {
    let at = |source| ListError { path: root.to_owned(), source };
    if !std::fs::metadata(root).map_err(at)?.is_dir() {
        return Ok(vec![root.to_owned()]);
    }
    let mut found = Vec::new();
    for entry in std::fs::read_dir(root).map_err(at)? {
        let entry = entry.map_err(at)?;
        let path = entry.path();
        if is_hidden(&entry.file_name()) {
            continue;
        }
        match std::fs::metadata(&path) {
            Ok(metadata) if metadata.is_dir() => found.extend(list(&path)?),
            // Reading the file shows the same error.
            _ if has_cluster_extension(&path) => found.push(path),
            // It may be a directory, whose objects would seem deleted. A link to nothing is not one.
            Err(source) if source.kind() != io::ErrorKind::NotFound => return Err(ListError { path, source }),
            _ => {}
        }
    }
    found.sort();
    Ok(found)
}

/// Whether a path below a directory names a file that [`list`] includes, if it is a file.
pub(crate) fn is_listed(root: &Path, path: &Path) -> bool {
    let below = path.strip_prefix(root).unwrap_or(path);
    has_cluster_extension(path) && !below.iter().any(is_hidden)
}

pub(crate) fn extension(path: &Path) -> String {
    path.extension().map(|extension| extension.to_string_lossy().to_ascii_lowercase()).unwrap_or_default()
}

fn has_cluster_extension(path: &Path) -> bool {
    matches!(extension(path).as_str(), "yaml" | "yml" | "json")
}

fn is_hidden(name: &OsStr) -> bool {
    name.as_encoded_bytes().starts_with(b".")
}
