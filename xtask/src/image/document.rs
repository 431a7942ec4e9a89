//! The documents of an OCI image: configuration, manifest, and index of the architectures.

use std::collections::HashMap;
use std::str::FromStr;

use anyhow::Result;
use oci_spec::image::{
    Arch, ConfigBuilder, Descriptor, DescriptorBuilder, HistoryBuilder, ImageConfigurationBuilder, ImageIndexBuilder,
    ImageManifestBuilder, MediaType, Os, PlatformBuilder, RootFsBuilder, SCHEMA_VERSION, Sha256Digest,
};
use serde::Serialize;

use super::blob::Blob;
use super::layer::Layer;

/// A processor architecture of an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Architecture {
    Amd64,
    Arm64,
}

impl Architecture {
    fn name(self) -> Arch {
        match self {
            Self::Amd64 => Arch::Amd64,
            Self::Arm64 => Arch::ARM64,
        }
    }
}

/// The values of an image configuration other than the layers.
#[derive(Debug, Clone)]
pub(super) struct About {
    /// RFC 3339.
    pub(super) created: String,
    pub(super) entry_point: Vec<String>,
    pub(super) arguments: Vec<String>,
    pub(super) labels: HashMap<String, String>,
}

/// The configuration sets no Windows version, because containerd compares a version that is set with that of the node, and a HostProcess
/// container runs on all versions.
pub(super) fn configuration(about: &About, architecture: Architecture, layers: &[&Layer]) -> Result<Blob> {
    let About { created, entry_point, arguments, labels } = about;
    let mut config = ConfigBuilder::default().entrypoint(entry_point.clone()).labels(labels.clone());
    if !arguments.is_empty() {
        config = config.cmd(arguments.clone());
    }
    let diff_ids: Vec<String> = layers.iter().map(|layer| layer.diff_id.to_string()).collect();
    let history = layers.iter().map(|_| HistoryBuilder::default().created(created.as_str()).build());
    let configuration = ImageConfigurationBuilder::default()
        .created(created.as_str())
        .architecture(architecture.name())
        .os(Os::Windows)
        .config(config.build()?)
        .rootfs(RootFsBuilder::default().diff_ids(diff_ids).build()?)
        .history(history.collect::<Result<Vec<_>, _>>()?)
        .build()?;
    encode(&configuration)
}

pub(super) fn manifest(configuration: &Blob, layers: &[&Layer]) -> Result<Blob> {
    let layers = layers.iter().map(|layer| descriptor(MediaType::ImageLayerGzip, &layer.blob));
    let manifest = ImageManifestBuilder::default()
        .schema_version(SCHEMA_VERSION)
        .media_type(MediaType::ImageManifest)
        .config(descriptor(MediaType::ImageConfig, configuration)?)
        .layers(layers.collect::<Result<Vec<_>>>()?)
        .build()?;
    encode(&manifest)
}

/// The index of the manifests for all architectures of one image.
pub(super) fn architectures(manifests: &[(Architecture, &Blob)]) -> Result<Blob> {
    let manifests = manifests.iter().map(|(architecture, manifest)| {
        let platform = PlatformBuilder::default().os(Os::Windows).architecture(architecture.name()).build()?;
        let mut descriptor = descriptor(MediaType::ImageManifest, manifest)?;
        descriptor.set_platform(Some(platform));
        Ok(descriptor)
    });
    index(manifests.collect::<Result<Vec<_>>>()?)
}

/// The index of the tags of a layout.
///
/// containerd imports an image under the name of the second annotation, other programs use the first.
pub(super) fn tags(name: &str, tags: &[(String, &Blob)]) -> Result<Blob> {
    let tags = tags.iter().map(|(tag, index)| {
        let mut descriptor = descriptor(MediaType::ImageIndex, index)?;
        descriptor.set_annotations(Some(HashMap::from([
            (oci_spec::image::ANNOTATION_REF_NAME.to_owned(), tag.clone()),
            ("io.containerd.image.name".to_owned(), format!("{name}:{tag}")),
        ])));
        Ok(descriptor)
    });
    index(tags.collect::<Result<Vec<_>>>()?)
}

fn index(manifests: Vec<Descriptor>) -> Result<Blob> {
    let index = ImageIndexBuilder::default()
        .schema_version(SCHEMA_VERSION)
        .media_type(MediaType::ImageIndex)
        .manifests(manifests)
        .build()?;
    encode(&index)
}

fn descriptor(kind: MediaType, blob: &Blob) -> Result<Descriptor> {
    let digest = Sha256Digest::from_str(blob.digest.hex())?;
    let size = u64::try_from(blob.bytes.len())?;
    Ok(DescriptorBuilder::default().media_type(kind).digest(digest).size(size).build()?)
}

/// Sorts members alphabetically, because the types of the specification use hash maps, whose order differs between runs.
fn encode(document: &impl Serialize) -> Result<Blob> {
    let mut document = serde_json::to_value(document)?;
    document.sort_all_objects();
    Ok(Blob::new(serde_json::to_vec(&document)?))
}
