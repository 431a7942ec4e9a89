//! The cluster from files: one file, or all YAML and JSON files below a directory, in the order of their paths.
//!
//! A file that cannot be read at the start is an error. Later, its last content stays valid until it can be read again, so that a partly
//! saved file does not delete Services.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::catalog::Catalog;
use crate::document::{self, SyntaxError};
use crate::file_watch::FileWatchError;

/// Why cluster files cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    #[error("cannot read {}", path.display())]
    Unreadable {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("invalid YAML or JSON in {}: {error}", path.display())]
    Syntax { path: PathBuf, error: SyntaxError },
    #[error("no cluster files in {}: expected names that end in .yaml, .yml or .json", path.display())]
    Empty { path: PathBuf },
    #[error(transparent)]
    Watch(#[from] FileWatchError),
}

/// The files below a path, each with the content that was last read successfully.
#[derive(Debug, Default)]
pub struct Files {
    root: PathBuf,
    contents: BTreeMap<PathBuf, Vec<Value>>,
}

impl Files {
    /// Reads all files.
    ///
    /// # Errors
    /// If a file cannot be read, or there is no file.
    pub fn open(root: &Path) -> Result<Self, FileError> {
        let mut files = Self { root: root.to_owned(), contents: BTreeMap::new() };
        for path in list(root)? {
            let objects = read(&path)?;
            files.contents.insert(path, objects);
        }
        if files.contents.is_empty() {
            return Err(FileError::Empty { path: root.to_owned() });
        }
        Ok(files)
    }

    /// Reads all files again. A file that cannot be read keeps its last content, and its error is returned.
    pub fn refresh(&mut self) -> Vec<FileError> {
        let mut errors = Vec::new();
        let paths = match list(&self.root) {
            Ok(paths) => paths,
            Err(error) => return vec![error],
        };
        self.contents.retain(|path, _| paths.contains(path));
        for path in paths {
            match read(&path) {
                Ok(objects) => {
                    self.contents.insert(path, objects);
                }
                Err(error) => errors.push(error),
            }
        }
        errors
    }

    /// The cluster of all files together.
    pub fn catalog(&self) -> Catalog {
        let mut catalog = Catalog::default();
        for (path, objects) in &self.contents {
            let file = path.display().to_string();
            objects.iter().enumerate().for_each(|(index, object)| catalog.add(object, index + 1, &file));
        }
        catalog.finish();
        catalog
    }
}

fn unreadable(path: &Path) -> impl FnOnce(std::io::Error) -> FileError {
    let path = path.to_owned();
    |source| FileError::Unreadable { path, source }
}

/// The files of a path, sorted. A file is read whatever its name. In directories the extension decides, and hidden entries are skipped.
fn list(root: &Path) -> Result<Vec<PathBuf>, FileError> {
    if !std::fs::metadata(root).map_err(unreadable(root))?.is_dir() {
        return Ok(vec![root.to_owned()]);
    }
    let mut found = Vec::new();
    for entry in std::fs::read_dir(root).map_err(unreadable(root))? {
        let entry = entry.map_err(unreadable(root))?;
        let path = entry.path();
        if entry.file_name().as_encoded_bytes().starts_with(b".") {
            continue;
        }
        if path.is_dir() {
            found.extend(list(&path)?);
        } else if matches!(extension(&path).as_str(), "yaml" | "yml" | "json") {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

fn extension(path: &Path) -> String {
    path.extension().map(|extension| extension.to_string_lossy().to_ascii_lowercase()).unwrap_or_default()
}

fn read(path: &Path) -> Result<Vec<Value>, FileError> {
    let text = std::fs::read_to_string(path).map_err(unreadable(path))?;
    // PowerShell writes a byte order mark, which JSON and YAML parsers reject.
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    let syntax = |error| FileError::Syntax { path: path.to_owned(), error };
    document::read(text, extension(path) == "json").map_err(syntax)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    const SERVICE: &str =
        "apiVersion: v1\nkind: Service\nmetadata: {namespace: ns, name: NAME}\nspec: {clusterIP: 10.0.0.1}\n";

    fn names(files: &Files) -> Vec<String> {
        files.catalog().services.keys().map(|name| name.name.to_string()).collect()
    }

    #[test]
    fn a_directory_is_read_recursively_and_in_order() {
        let directory = tempfile::tempdir().unwrap();
        fs::create_dir(directory.path().join("b")).unwrap();
        for (path, name) in [("b/x.yml", "two"), ("a.YAML", "one"), ("c.txt", "no"), (".d.yaml", "no")] {
            fs::write(directory.path().join(path), SERVICE.replace("NAME", name)).unwrap();
        }
        assert_eq!(names(&Files::open(directory.path()).unwrap()), ["one", "two"]);
    }

    #[test]
    fn a_file_that_becomes_invalid_keeps_its_last_content() {
        let directory = tempfile::tempdir().unwrap();
        let (one, two) = (directory.path().join("1.yaml"), directory.path().join("2.yaml"));
        fs::write(&one, SERVICE.replace("NAME", "one")).unwrap();
        fs::write(&two, SERVICE.replace("NAME", "two")).unwrap();
        let mut files = Files::open(directory.path()).unwrap();
        fs::write(&one, "kind: [").unwrap();
        fs::remove_file(&two).unwrap();
        let errors = files.refresh();
        assert_eq!(errors.len(), 1);
        assert!(errors[0].to_string().contains("1.yaml: line "), "{}", errors[0]);
        assert_eq!(names(&files), ["one"]);
        fs::write(&one, SERVICE.replace("NAME", "three")).unwrap();
        assert!(files.refresh().is_empty());
        assert_eq!(names(&files), ["three"]);
    }

    #[test]
    fn a_missing_file_or_an_empty_directory_is_an_error() {
        let directory = tempfile::tempdir().unwrap();
        let error = Files::open(directory.path()).unwrap_err();
        assert!(matches!(error, FileError::Empty { .. }), "{error}");
        let error = Files::open(&directory.path().join("none.yaml")).unwrap_err();
        assert!(matches!(error, FileError::Unreadable { .. }), "{error}");
    }
}
