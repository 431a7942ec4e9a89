//! Builds the container images of hnsproxy as an OCI layout. The images contain only the program. The same program and commit result in the
//! same bytes.
//!
//! The images are for HostProcess containers, which run in the file system of the node. They specify no Windows version, so each image runs
//! on all versions.

mod blob;
#[cfg(test)]
mod check;
mod document;
mod hive;
mod layer;
mod layout;
mod security;
mod variant;

use std::collections::HashMap;
use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};

use crate::process::{print, say};
use crate::source::Source;
use crate::{folder, program};
use document::{About, Architecture};
use layer::Layer;
use layout::Layout;
use variant::Variant;

/// The arguments of `cargo xtask image`.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// hnsproxy.exe for x86_64 [default: built first]
    #[arg(long, value_name = "FILE")]
    program: Option<PathBuf>,
    /// hnsproxy.exe for arm64, if there is one
    #[arg(long, value_name = "FILE")]
    arm64_program: Option<PathBuf>,
    /// The name of the image without a tag
    #[arg(long, value_name = "NAME", default_value = NAME)]
    name: String,
    /// Where the layout is written [default: target/image]
    #[arg(long, value_name = "FOLDER")]
    output: Option<PathBuf>,
}

/// The name of the image in releases.
pub(crate) const NAME: &str = "ghcr.io/hnsproxy/hnsproxy";

/// The input of the images.
#[derive(Debug)]
pub(crate) struct Input {
    /// The name of the image without a tag.
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) source: Source,
    pub(crate) amd64: Vec<u8>,
    pub(crate) arm64: Option<Vec<u8>>,
}

/// A layout, and the digest of each tag.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Images {
    pub(crate) layout: Layout,
    pub(crate) tags: Vec<(String, String)>,
}

pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode> {
    let Arguments { program, arm64_program, name, output } = arguments;
    let read = |file: &PathBuf| fs::read(file).with_context(|| format!("cannot read {}", file.display()));
    let program = match program {
        Some(file) => file.clone(),
        None => program::build()?,
    };
    let input = Input {
        name: name.clone(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        source: Source::read()?,
        amd64: read(&program)?,
        arm64: arm64_program.as_ref().map(read).transpose()?,
    };
    let images = build(&input)?;
    let folder = match output {
        Some(folder) => folder.clone(),
        None => folder::target()?.join("image"),
    };
    images.layout.write(&folder)?;
    for (tag, digest) in &images.tags {
        print(format_args!("{name}:{tag} {digest}"))?;
    }
    say(format_args!("the layout is in {}", folder.display()));
    Ok(ExitCode::SUCCESS)
}

pub(crate) fn build(input: &Input) -> Result<Images> {
    let programs = [(Architecture::Amd64, Some(&input.amd64)), (Architecture::Arm64, input.arm64.as_ref())];
    let base = variant::base()?;
    let mut blobs = vec![base.blob.clone()];
    let mut tags = Vec::new();
    for variant in Variant::ALL {
        let about = about(input, variant);
        let mut manifests = Vec::new();
        for (architecture, program) in programs {
            let Some(program) = program else { continue };
            let added = Layer::added(&variant.files(program))?;
            let layers = [&base, &added];
            let configuration = document::configuration(&about, architecture, &layers)?;
            let manifest = document::manifest(&configuration, &layers)?;
            blobs.extend([added.blob, configuration, manifest.clone()]);
            manifests.push((architecture, manifest));
        }
        let manifests: Vec<_> = manifests.iter().map(|(architecture, manifest)| (*architecture, manifest)).collect();
        tags.push((variant.tag(&input.version), document::architectures(&manifests)?));
    }
    let references: Vec<_> = tags.iter().map(|(tag, index)| (tag.clone(), index)).collect();
    let mut layout = Layout::new(&document::tags(&input.name, &references)?);
    for blob in blobs.iter().chain(tags.iter().map(|(_, index)| index)) {
        layout.add(blob);
    }
    let tags = tags.into_iter().map(|(tag, index)| (tag, index.digest.to_string())).collect();
    Ok(Images { layout, tags })
}

fn about(input: &Input, variant: Variant) -> About {
    let created = input.source.time.to_string();
    let repository = env!("CARGO_PKG_REPOSITORY");
    let mut labels = vec![
        ("title", "hnsproxy".to_owned()),
        ("description", "A Service proxy for Windows Kubernetes nodes".to_owned()),
        ("version", input.version.clone()),
        ("created", created.clone()),
        ("source", repository.to_owned()),
        ("url", repository.to_owned()),
        ("documentation", format!("{repository}/blob/main/docs/install/image.md")),
        ("licenses", env!("CARGO_PKG_LICENSE").to_owned()),
    ];
    labels.extend(input.source.revision.clone().map(|revision| ("revision", revision)));
    let labels = labels.into_iter().map(|(key, value)| (format!("org.opencontainers.image.{key}"), value));
    About {
        created,
        entry_point: variant.entry_point(),
        arguments: variant.arguments(),
        labels: labels.collect::<HashMap<_, _>>(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    /// Images with a placeholder program.
    pub(super) fn small() -> Images {
        let source = Source { revision: Some("c0ffee".to_owned()), time: jiff::Timestamp::from_second(1).unwrap() };
        let name = "example.org/hnsproxy".to_owned();
        build(&Input { name, version: "1.2.3".to_owned(), source, amd64: b"MZ".to_vec(), arm64: None }).unwrap()
    }

    fn document(images: &Images, path: &str) -> Value {
        serde_json::from_slice(&images.layout.files()[path]).unwrap()
    }

    fn blob(images: &Images, descriptor: &Value) -> Value {
        let digest = descriptor["digest"].as_str().unwrap().strip_prefix("sha256:").unwrap();
        document(images, &format!("blobs/sha256/{digest}"))
    }

    #[test]
    fn the_same_program_and_commit_give_the_same_bytes() {
        assert_eq!(small(), small());
    }

    #[test]
    fn each_tag_leads_to_a_manifest_for_windows_without_a_version() {
        let images = small();
        let index = document(&images, "index.json");
        let tags: Vec<_> = index["manifests"].as_array().unwrap().iter().map(|tag| &tag["annotations"]).collect();
        assert_eq!(
            json!(tags),
            json!([
                {
                    "io.containerd.image.name": "example.org/hnsproxy:1.2.3",
                    "org.opencontainers.image.ref.name": "1.2.3"
                },
                {
                    "io.containerd.image.name": "example.org/hnsproxy:1.2.3-sigwindowstools",
                    "org.opencontainers.image.ref.name": "1.2.3-sigwindowstools"
                }
            ])
        );
        let manifests = blob(&images, &index["manifests"][0]);
        assert_eq!(manifests["manifests"][0]["platform"], json!({"architecture": "amd64", "os": "windows"}));
    }

    #[test]
    fn the_configuration_runs_the_program_and_has_labels() {
        let images = small();
        let index = document(&images, "index.json");
        let manifests = blob(&images, &index["manifests"][0]);
        let manifest = blob(&images, &manifests["manifests"][0]);
        let mut configuration = blob(&images, &manifest["config"]);
        let diff_ids = configuration["rootfs"]["diff_ids"].take();
        assert_eq!(diff_ids[0], variant::base().unwrap().diff_id.to_string());
        let repository = env!("CARGO_PKG_REPOSITORY");
        assert_eq!(
            configuration,
            json!({
                "architecture": "amd64",
                "os": "windows",
                "created": "1970-01-01T00:00:01Z",
                "config": {
                    "Entrypoint": [r"%CONTAINER_SANDBOX_MOUNT_POINT%\hnsproxy.exe"],
                    "Labels": {
                        "org.opencontainers.image.title": "hnsproxy",
                        "org.opencontainers.image.description": "A Service proxy for Windows Kubernetes nodes",
                        "org.opencontainers.image.version": "1.2.3",
                        "org.opencontainers.image.created": "1970-01-01T00:00:01Z",
                        "org.opencontainers.image.source": repository,
                        "org.opencontainers.image.url": repository,
                        "org.opencontainers.image.documentation": format!("{repository}/blob/main/docs/install/image.md"),
                        "org.opencontainers.image.licenses": "Apache-2.0",
                        "org.opencontainers.image.revision": "c0ffee"
                    }
                },
                "history": [{"created": "1970-01-01T00:00:01Z"}, {"created": "1970-01-01T00:00:01Z"}],
                "rootfs": {"type": "layers", "diff_ids": null}
            })
        );
    }

    #[test]
    fn the_second_tag_runs_the_start_script_unless_the_pod_has_arguments() {
        let images = small();
        let index = document(&images, "index.json");
        let manifests = blob(&images, &index["manifests"][1]);
        let manifest = blob(&images, &manifests["manifests"][0]);
        let config = &blob(&images, &manifest["config"])["config"];
        assert_eq!(config["Entrypoint"], json!(["PowerShell"]));
        assert_eq!(config["Cmd"], json!(["$env:CONTAINER_SANDBOX_MOUNT_POINT/kube-proxy/start.ps1"]));
    }
}
