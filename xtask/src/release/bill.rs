//! The packages that are compiled into the program.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::Deserialize;

use crate::folder;
use crate::process::{cargo, output};
use crate::windows::TARGET;

/// The package of the program.
const PROGRAM: &str = "hnsproxy";

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
pub(super) struct Name {
    pub(super) name: String,
    pub(super) version: String,
}

#[derive(Debug, Clone)]
pub(super) struct Package {
    pub(super) name: Name,
    /// An SPDX expression.
    pub(super) license: String,
    pub(super) authors: Vec<String>,
    pub(super) repository: Option<String>,
    /// The SHA-256 of the archive in the registry; none for a package of this workspace.
    pub(super) checksum: Option<String>,
    /// The folder of the source on this machine.
    pub(super) folder: PathBuf,
    /// The direct dependencies.
    pub(super) uses: BTreeSet<Name>,
}

/// The packages of the program in a release, sorted. The first is the program itself.
pub(super) fn read() -> Result<Vec<Package>> {
    let tree = output(
        cargo()?
            .args(["tree", "--locked", "--package", PROGRAM, "--no-default-features"])
            .args(["--edges", "normal", "--target", TARGET, "--prefix", "none", "--format", "{p}"]),
    )?;
    let metadata =
        output(cargo()?.args(["metadata", "--locked", "--format-version", "1", "--filter-platform", TARGET]))?;
    let lock = folder::root()?.join("Cargo.lock");
    let lock = std::fs::read_to_string(&lock).with_context(|| format!("cannot read {}", lock.display()))?;
    packages(&tree, &metadata, &lock)
}

#[derive(Debug, Deserialize)]
struct Metadata {
    packages: Vec<Described>,
    resolve: Resolve,
}

#[derive(Debug, Deserialize)]
struct Described {
    id: String,
    #[serde(flatten)]
    name: Name,
    license: Option<String>,
    authors: Vec<String>,
    repository: Option<String>,
    manifest_path: PathBuf,
}

#[derive(Debug, Deserialize)]
struct Resolve {
    nodes: Vec<Node>,
}

#[derive(Debug, Deserialize)]
struct Node {
    id: String,
    dependencies: Vec<String>,
}

#[derive(Debug, Deserialize)]
struct Lock {
    package: Vec<Locked>,
}

#[derive(Debug, Deserialize)]
struct Locked {
    #[serde(flatten)]
    name: Name,
    checksum: Option<String>,
}

/// Reads the packages from the output of `cargo tree` and `cargo metadata`, and from Cargo.lock.
fn packages(tree: &str, metadata: &str, lock: &str) -> Result<Vec<Package>> {
    let compiled: BTreeSet<Name> = tree.lines().filter_map(line).collect();
    let metadata: Metadata = serde_json::from_str(metadata).context("invalid output of cargo metadata")?;
    let lock: Lock = toml::from_str(lock).context("invalid Cargo.lock")?;
    let mut checksums: BTreeMap<Name, Option<String>> =
        lock.package.into_iter().map(|locked| (locked.name, locked.checksum)).collect();
    let names: BTreeMap<&str, &Name> =
        metadata.packages.iter().map(|described| (described.id.as_str(), &described.name)).collect();
    let mut uses: BTreeMap<&str, BTreeSet<Name>> = BTreeMap::new();
    for Node { id, dependencies } in &metadata.resolve.nodes {
        let used = dependencies.iter().filter_map(|id| names.get(id.as_str()).copied());
        uses.insert(id, used.filter(|name| compiled.contains(*name)).cloned().collect());
    }
    let described = metadata.packages.iter().filter(|described| compiled.contains(&described.name));
    let mut packages = described
        .map(|Described { id, name, license, authors, repository, manifest_path }| {
            let license = license.as_deref().with_context(|| format!("package {} has no licence", name.name))?;
            Ok(Package {
                name: name.clone(),
                // Older packages use a slash as the separator.
                license: license.replace('/', " OR "),
                authors: authors.clone(),
                repository: repository.clone(),
                checksum: checksums.remove(name).flatten(),
                folder: manifest_path.parent().map(Path::to_owned).unwrap_or_default(),
                uses: uses.remove(id.as_str()).unwrap_or_default(),
            })
        })
        .collect::<Result<Vec<_>>>()?;
    packages.sort_by_key(|package| (package.name.name != PROGRAM, package.name.clone()));
    Ok(packages)
}

/// `name v1.2.3 (FOLDER)`.
fn line(line: &str) -> Option<Name> {
    let mut words = line.split(' ');
    let (name, version) = (words.next()?, words.next()?.strip_prefix('v')?);
    Some(Name { name: name.to_owned(), version: version.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_compiled_packages_are_listed_with_their_uses() {
        let tree = "hnsproxy v1.0.0 (/w/hnsproxy)\nb v2.0.0\nb v2.0.0 (*)\n";
        let metadata = r#"{"packages": [
            {"id": "b2", "name": "b", "version": "2.0.0", "license": "MIT/Apache-2.0", "authors": ["A"], "repository": "https://b", "manifest_path": "/r/b/Cargo.toml"},
            {"id": "c", "name": "c", "version": "3.0.0", "license": null, "authors": [], "repository": null, "manifest_path": "/r/c/Cargo.toml"},
            {"id": "h", "name": "hnsproxy", "version": "1.0.0", "license": "Apache-2.0", "authors": [], "repository": null, "manifest_path": "/w/hnsproxy/Cargo.toml"}
        ], "resolve": {"nodes": [{"id": "h", "dependencies": ["b2", "c"]}, {"id": "b2", "dependencies": []}]}}"#;
        let lock = "[[package]]\nname = \"b\"\nversion = \"2.0.0\"\nchecksum = \"c0ffee\"\n";
        let packages = packages(tree, metadata, lock).unwrap();
        let b = Name { name: "b".to_owned(), version: "2.0.0".to_owned() };
        let names: Vec<_> = packages.iter().map(|package| (package.name.name.as_str(), package.uses.clone())).collect();
        assert_eq!(names, [("hnsproxy", BTreeSet::from([b])), ("b", BTreeSet::new())]);
        assert_eq!(
            (packages[1].license.as_str(), packages[1].checksum.as_deref()),
            ("MIT OR Apache-2.0", Some("c0ffee"))
        );
        assert_eq!(packages[1].folder, Path::new("/r/b"));
    }
}
