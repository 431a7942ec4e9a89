//! Checks the Helm chart with Helm and the schemas of Kubernetes, and compares `deploy/kubernetes` with what the chart renders.

mod helm;
mod manifest;
mod package;
mod schemas;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use crate::process::{print, say};
use crate::{folder, tools};

pub(crate) use package::package;

/// The folder of the chart.
const CHART: &str = "deploy/chart/hnsproxy";
/// The folder of values in the chart: a file for each CNI, and one for the objects of Prometheus and Grafana.
const VALUES: &str = "ci";
const VALUES_END: &str = "-values.yaml";
/// The values that no manifest is rendered with: it would have copies of the dashboards.
const MONITORING: &str = "monitoring";
/// The folder of the rendered manifests.
const MANIFESTS: &str = "deploy/kubernetes";

/// What to do with the manifests.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Write the manifests instead of comparing them
    #[arg(long)]
    accept: bool,
}

pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode> {
    tools::CHART.need()?;
    let rendered = render()?;
    let findings = schemas::findings(&rendered)?;
    ensure!(findings.is_empty(), "invalid objects: {}", findings.join("; "));
    let manifests = of_cnis(rendered);
    if arguments.accept {
        write(&manifests)?;
    } else {
        let differing = differing(&manifests, &read()?);
        ensure!(
            differing.is_empty(),
            "{} differ from the chart; cargo xtask chart --accept writes them",
            differing.join(", ")
        );
    }
    for name in manifests.keys() {
        print(format_args!("{MANIFESTS}/{name}"))?;
    }
    say(format_args!("the chart is valid for Kubernetes {}", schemas::VERSIONS.join(", ")));
    Ok(ExitCode::SUCCESS)
}

/// Manifests by the name of their file.
type Manifests = BTreeMap<String, String>;

/// A manifest for each file of values.
fn render() -> Result<Manifests> {
    let values = values()?;
    let objects: Vec<&Value> = values.values().collect();
    let rendered = helm::render(&objects)?;
    let one = |(name, files): (&String, helm::Rendered)| match files {
        Ok(files) => Ok((format!("{name}.yaml"), manifest::join(name, &files))),
        Err(message) => bail!("cannot render the chart with {VALUES}/{name}{VALUES_END}: {message}"),
    };
    values.keys().zip(rendered).map(one).collect()
}

/// The values of `ci/`, by the name of the file without its end.
fn values() -> Result<BTreeMap<String, Value>> {
    let folder = folder::root()?.join(CHART).join(VALUES);
    let texts = texts(&folder)?;
    let value = |(name, text): (String, String)| {
        let value = serde_saphyr::from_str(&text).with_context(|| format!("cannot read {VALUES}/{name}"))?;
        Ok((name.trim_end_matches(VALUES_END).to_owned(), value))
    };
    texts.into_iter().map(value).collect()
}

fn of_cnis(mut rendered: Manifests) -> Manifests {
    rendered.remove(&format!("{MONITORING}.yaml"));
    rendered
}

/// The manifests in the repository. A release has them, too.
pub(crate) fn read() -> Result<Manifests> {
    texts(&folder::root()?.join(MANIFESTS))
}

fn write(manifests: &Manifests) -> Result<()> {
    let folder = folder::root()?.join(MANIFESTS);
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    fs::create_dir_all(&folder)?;
    for (name, text) in manifests {
        fs::write(folder.join(name), text).with_context(|| format!("cannot write {name}"))?;
    }
    Ok(())
}

/// The files of which one is missing or has another text, with the first line that differs.
fn differing(rendered: &Manifests, stored: &Manifests) -> Vec<String> {
    let names: std::collections::BTreeSet<&String> = rendered.keys().chain(stored.keys()).collect();
    let differs = |name: &&String| {
        let (rendered, stored) = (rendered.get(*name), stored.get(*name));
        match (rendered, stored) {
            (Some(rendered), Some(stored)) if rendered == stored => None,
            (Some(rendered), Some(stored)) => {
                let equal = rendered.lines().zip(stored.lines()).take_while(|(rendered, stored)| rendered == stored);
                Some(format!("{MANIFESTS}/{name}:{}", equal.count() + 1))
            }
            _ => Some(format!("{MANIFESTS}/{name}")),
        }
    };
    names.iter().filter_map(differs).collect()
}

/// The text files of a folder by their names.
fn texts(folder: &Path) -> Result<Manifests> {
    let read = || -> Result<Manifests> {
        let mut texts = Manifests::new();
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            texts.insert(entry.file_name().to_string_lossy().into_owned(), fs::read_to_string(entry.path())?);
        }
        Ok(texts)
    };
    read().with_context(|| format!("cannot read {}", folder.display()))
}
