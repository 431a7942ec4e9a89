//! The input of the rules: the files of the repository, and the targets that cargo builds from them.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde_json::Value;

use super::tree::{Sources, Tree};
use crate::process::{cargo, output};

/// One target of a package: its library, a program, a test or an example.
#[derive(Debug)]
pub(super) struct TargetTree {
    pub(super) package: String,
    pub(super) tree: Tree,
}

/// The repository, read once.
#[derive(Debug)]
pub(super) struct Workspace {
    pub(super) root: PathBuf,
    /// All text files except build results and those of git, relative to the root.
    pub(super) files: BTreeMap<PathBuf, String>,
    pub(super) targets: Vec<TargetTree>,
}

impl Workspace {
    pub(super) fn read(root: &Path) -> Result<Self> {
        let mut files = BTreeMap::new();
        read_folder(root, root, &mut files)?;
        let sources: Sources =
            files.iter().filter(|(path, _)| is_rust(path)).map(|(path, text)| (path.clone(), text.clone())).collect();
        let metadata = output(cargo()?.args(["metadata", "--no-deps", "--offline", "--format-version", "1"]))?;
        let metadata: Value = serde_json::from_str(&metadata).context("cargo metadata")?;
        let mut targets = Vec::new();
        for package in list(&metadata, "packages") {
            for target in list(package, "targets") {
                let file = Path::new(text(target, "src_path")?)
                    .strip_prefix(root)
                    .context("a target outside of the workspace")?;
                targets
                    .push(TargetTree { package: text(package, "name")?.to_owned(), tree: Tree::read(file, &sources) });
            }
        }
        Ok(Self { root: root.to_owned(), files, targets })
    }

    /// The Rust files.
    pub(super) fn sources(&self) -> impl Iterator<Item = (&Path, &str)> {
        self.files.iter().filter(|(path, _)| is_rust(path)).map(|(path, text)| (path.as_path(), text.as_str()))
    }
}

fn is_rust(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "rs")
}

fn read_folder(root: &Path, folder: &Path, files: &mut BTreeMap<PathBuf, String>) -> Result<()> {
    for entry in fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        let entry = entry?;
        let path = entry.path();
        let name = entry.file_name();
        if entry.file_type()?.is_dir() {
            if name != "target" && name != ".git" {
                read_folder(root, &path, files)?;
            }
        } else if name != ".git"
            && let Ok(text) = fs::read_to_string(&path)
        {
            // A file that is not UTF-8 is not text.
            files.insert(path.strip_prefix(root)?.to_owned(), text);
        }
    }
    Ok(())
}

fn list<'a>(value: &'a Value, member: &str) -> &'a [Value] {
    value.get(member).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn text<'a>(value: &'a Value, member: &str) -> Result<&'a str> {
    value.get(member).and_then(Value::as_str).with_context(|| format!("cargo metadata: missing {member}"))
}
