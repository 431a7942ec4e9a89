//! Builds all files of a release from a commit. The same commit results in the same bytes, except for signatures.

mod bill;
mod documents;
mod guid;
mod licences;
mod manifests;
mod msi;
mod preconditions;
mod sbom;
mod signature;
mod template;

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use serde_json::json;

use crate::archive::{self, Files};
use crate::hash::sha256;
use crate::process::{print, say};
use crate::source::{self, Source};
use crate::{chart, folder, image, program, tools};
use bill::Package;
use signature::Keys;

/// The arguments of `cargo xtask release`.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The version, which Cargo.toml and CHANGELOG.md must have
    #[arg(long, value_name = "VERSION")]
    version: String,
    /// Allow changed files, and a missing section in CHANGELOG.md
    #[arg(long)]
    draft: bool,
    /// hnsproxy.exe [default: built first]
    #[arg(long, value_name = "FILE")]
    program: Option<PathBuf>,
    /// Where the files are written [default: target/release-VERSION]
    #[arg(long, value_name = "FOLDER")]
    output: Option<PathBuf>,
    #[command(flatten)]
    keys: Keys,
}

/// The input of the files of a release.
#[derive(Debug)]
struct Input {
    version: String,
    source: Source,
    program: Vec<u8>,
    /// Completions and man pages.
    documents: Files,
    packages: Vec<Package>,
    /// The archive of the Helm chart.
    chart: Vec<u8>,
    /// What the chart renders for each CNI.
    manifests: BTreeMap<String, String>,
}

pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode> {
    let Arguments { version, draft, program, output, keys } = arguments;
    let root = folder::root()?;
    if !draft {
        let log = fs::read_to_string(root.join("CHANGELOG.md")).context("cannot read CHANGELOG.md")?;
        preconditions::check(version, env!("CARGO_PKG_VERSION"), &source::changed_files()?, &log)?;
    }
    tools::RELEASE.need()?;
    let program = match program {
        Some(file) => file.clone(),
        None => program::build()?,
    };
    let input = Input {
        version: version.clone(),
        source: Source::read()?,
        program: fs::read(&program).with_context(|| format!("cannot read {}", program.display()))?,
        documents: documents::build()?,
        packages: bill::read()?,
        chart: chart::package()?,
        manifests: chart::read()?,
    };
    let files = files(&input, keys)?;
    let folder = match output {
        Some(folder) => folder.clone(),
        None => folder::target()?.join(format!("release-{version}")),
    };
    write(&folder, &files)?;
    for (path, content) in &files {
        print(format_args!("{}  {path}", sha256(content)))?;
    }
    say(format_args!("the release is in {}", folder.display()));
    Ok(ExitCode::SUCCESS)
}

fn files(input: &Input, keys: &Keys) -> Result<Files> {
    let Input { version, source, program, documents, packages, chart, manifests } = input;
    let url = env!("CARGO_PKG_REPOSITORY");
    let name = |end: &str| format!("hnsproxy-{version}-{end}");
    let program = keys.authenticode(program::NAME, program.clone(), url)?;
    let licences = licences::text(packages)?.into_bytes();
    let (licence, readme, log) = (
        include_bytes!("../../../LICENSE").to_vec(),
        include_bytes!("../../../README.md").to_vec(),
        include_bytes!("../../../CHANGELOG.md").to_vec(),
    );

    let mut zip = documents.clone();
    for (path, content) in [
        (program::NAME, &program),
        ("LICENSE.txt", &licence),
        ("THIRD-PARTY-LICENSES.txt", &licences),
        ("README.md", &readme),
        ("CHANGELOG.md", &log),
    ] {
        zip.insert(path.to_owned(), content.clone());
    }
    let installed = ["LICENSE.txt", "THIRD-PARTY-LICENSES.txt", program::NAME];
    let installed = installed.into_iter().filter_map(|path| Some((path.to_owned(), zip.get(path)?.clone())));
    let installer = msi::build(version, &installed.collect())?;
    let installer_name = name("windows-amd64.msi");
    let installer = keys.authenticode(&installer_name, installer, url)?;

    let images = image::build(&image::Input {
        name: image::NAME.to_owned(),
        version: version.clone(),
        source: source.clone(),
        amd64: program,
        arm64: None,
    })?;

    let date = source.time.strftime("%Y-%m-%d").to_string();
    let mut files = manifests::files(version, &date, &installer_name, &sha256(&installer))?;
    files.insert(installer_name, installer);
    files.insert(name("windows-amd64.zip"), archive::zip(&format!("hnsproxy-{version}"), &zip)?);
    files.insert(name("image.tar"), archive::tar(images.layout.files())?);
    files.insert(name("chart.tgz"), chart.clone());
    files.extend(manifests.iter().map(|(file, text)| (name(&format!("kubernetes-{file}")), text.clone().into_bytes())));
    files.insert(name("sbom.cdx.json"), serde_json::to_vec_pretty(&sbom::document(packages, source))?);
    let manifest = manifest(version, source, &images.tags, &files);
    files.insert("manifest.json".to_owned(), serde_json::to_vec_pretty(&manifest)?);
    let sums = sums(&files);
    if let Some(signature) = keys.minisign(sums.as_bytes(), &format!("hnsproxy {version}"))? {
        files.insert("SHA256SUMS.minisig".to_owned(), signature.into_bytes());
    }
    files.insert("SHA256SUMS".to_owned(), sums.into_bytes());
    Ok(files)
}

fn manifest(version: &str, source: &Source, images: &[(String, String)], files: &Files) -> serde_json::Value {
    let images =
        images.iter().map(|(tag, digest)| json!({"image": format!("{}:{tag}", image::NAME), "digest": digest}));
    let files =
        files.iter().map(|(path, content)| json!({"path": path, "size": content.len(), "sha256": sha256(content)}));
    json!({
        "version": version,
        "revision": source.revision,
        "created": source.time.to_string(),
        "images": images.collect::<Vec<_>>(),
        "files": files.collect::<Vec<_>>(),
    })
}

/// Formats the checksums for `sha256sum --check`.
fn sums(files: &Files) -> String {
    files.iter().map(|(path, content)| format!("{}  {path}\n", sha256(content))).collect()
}

/// Writes the files to a folder, and removes all other files from it.
fn write(folder: &std::path::Path, files: &Files) -> Result<()> {
    if folder.exists() {
        // Files of an earlier release would not be in the checksums.
        let is_release = folder.join("SHA256SUMS").is_file();
        anyhow::ensure!(is_release, "cannot write to {}: expected no folder, or one of a release", folder.display());
        fs::remove_dir_all(folder)?;
    }
    for (path, content) in files {
        let file = folder.join(path);
        fs::create_dir_all(file.parent().unwrap_or(folder))?;
        fs::write(&file, content).with_context(|| format!("cannot write {}", file.display()))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
