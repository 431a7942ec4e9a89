//! Creates reproducible layers of Windows images: tar files whose bytes depend only on the files in them.
//!
//! Windows attributes and security descriptors are PAX records
//! ([specification](https://github.com/opencontainers/image-spec/blob/main/layer.md#file-attributes), and `backuptar` of
//! microsoft/go-winio, with which containerd reads them).

use std::collections::BTreeSet;

use anyhow::{Context, Result};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use tar::{Builder, EntryType, Header};

use super::blob::{Blob, Digest};
use super::security::{CONTAINERS_INHERIT, Entry, FILE_ALL, FILE_EXECUTE, FILES_INHERIT, Trustee, descriptor};
use crate::archive::gzip;

/// 1980-01-01, which every file system and archive format supports.
const MODIFIED: u64 = 315_532_800;
const ATTRIBUTES: &str = "MSWINDOWS.fileattr";
const SECURITY: &str = "MSWINDOWS.rawsd";
const FILE_ATTRIBUTE_DIRECTORY: &str = "16";
const FILE_ATTRIBUTE_ARCHIVE: &str = "32";
/// The folder of the files on the system drive.
const FILES: &str = "Files";
/// The folder of registry changes. containerd requires it in a layer that has a parent, even if it is empty.
const HIVES: &str = "Hives";

/// A file of a layer.
#[derive(Debug, Clone)]
pub(super) struct File {
    /// The path on the drive of the image, with slashes.
    pub(super) path: String,
    pub(super) content: Vec<u8>,
}

impl File {
    pub(super) fn new(path: impl Into<String>, content: impl Into<Vec<u8>>) -> Self {
        Self { path: path.into(), content: content.into() }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Layer {
    /// The digest before compression.
    pub(super) diff_id: Digest,
    /// The layer, compressed with gzip.
    pub(super) blob: Blob,
}

impl Layer {
    /// A layer without a parent.
    pub(super) fn base(files: &[File]) -> Result<Self> {
        Self::of(files, &[FILES])
    }

    /// A layer that adds files.
    pub(super) fn added(files: &[File]) -> Result<Self> {
        Self::of(files, &[HIVES, FILES])
    }

    fn of(files: &[File], roots: &[&str]) -> Result<Self> {
        let tar = tar(files, roots)?;
        Ok(Self { diff_id: Digest::of(&tar), blob: Blob::new(gzip(&tar)?) })
    }
}

/// Folders come before their content, because containerd does not create missing parents of an entry.
pub(super) fn tar(files: &[File], roots: &[&str]) -> Result<Vec<u8>> {
    let mut builder = Builder::new(Vec::new());
    for root in roots {
        push(&mut builder, root, None)?;
    }
    let folders: BTreeSet<&str> = files.iter().flat_map(|file| parents(&file.path)).collect();
    for folder in folders {
        push(&mut builder, &format!("{FILES}/{folder}"), None)?;
    }
    for File { path, content } in files {
        push(&mut builder, &format!("{FILES}/{path}"), Some(content))?;
    }
    builder.into_inner().context("cannot write a layer")
}

/// The folders that a file is in.
fn parents(path: &str) -> impl Iterator<Item = &str> {
    path.match_indices('/').filter_map(|(end, _)| path.get(..end))
}

fn push(builder: &mut Builder<Vec<u8>>, path: &str, content: Option<&[u8]>) -> Result<()> {
    let (kind, mode, attributes, inheritance) = match content {
        Some(_) => (EntryType::Regular, 0o644, FILE_ATTRIBUTE_ARCHIVE, 0),
        None => (EntryType::Directory, 0o755, FILE_ATTRIBUTE_DIRECTORY, FILES_INHERIT | CONTAINERS_INHERIT),
    };
    let security = BASE64_STANDARD.encode(permissions(inheritance));
    builder.append_pax_extensions([(ATTRIBUTES, attributes.as_bytes()), (SECURITY, security.as_bytes())])?;
    let content = content.unwrap_or_default();
    let mut header = Header::new_ustar();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_mtime(MODIFIED);
    header.set_size(u64::try_from(content.len())?);
    builder.append_data(&mut header, path, content).with_context(|| format!("cannot add {path} to a layer"))
}

/// The program runs as LocalSystem, so users may read and execute it, but not change it.
fn permissions(inheritance: u8) -> Vec<u8> {
    descriptor(&[
        Entry { inheritance, rights: FILE_ALL, trustee: Trustee::Administrators },
        Entry { inheritance, rights: FILE_ALL, trustee: Trustee::System },
        Entry { inheritance, rights: FILE_EXECUTE, trustee: Trustee::Users },
    ])
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    fn entries(tar: &[u8]) -> Vec<String> {
        let mut archive = tar::Archive::new(tar);
        let entries = archive.entries().unwrap();
        let line = |mut entry: tar::Entry<'_, &[u8]>| {
            let pax = entry.pax_extensions().unwrap().unwrap().next().unwrap().unwrap();
            let attributes = format!("{}={}", pax.key().unwrap(), pax.value().unwrap());
            let path = entry.path().unwrap().display().to_string();
            let mut content = String::new();
            entry.read_to_string(&mut content).unwrap();
            format!("{path} {attributes} {content:?} {}", entry.header().mtime().unwrap())
        };
        entries.map(|entry| line(entry.unwrap())).collect()
    }

    #[test]
    fn a_layer_has_folders_before_files_with_windows_attributes() {
        let files = [File::new("kube-proxy/start.ps1", "s"), File::new("hnsproxy.exe", "e")];
        let expected = [
            "Hives MSWINDOWS.fileattr=16 \"\" 315532800",
            "Files MSWINDOWS.fileattr=16 \"\" 315532800",
            "Files/kube-proxy MSWINDOWS.fileattr=16 \"\" 315532800",
            "Files/kube-proxy/start.ps1 MSWINDOWS.fileattr=32 \"s\" 315532800",
            "Files/hnsproxy.exe MSWINDOWS.fileattr=32 \"e\" 315532800",
        ];
        assert_eq!(entries(&tar(&files, &[HIVES, FILES]).unwrap()), expected);
    }

    #[test]
    fn only_system_and_administrators_may_change_files() {
        let tar = tar(&[File::new("hnsproxy.exe", "e")], &[FILES]).unwrap();
        let mut archive = tar::Archive::new(&tar[..]);
        let descriptors: Vec<Vec<u8>> = archive
            .entries()
            .unwrap()
            .map(|entry| {
                let mut entry = entry.unwrap();
                let pax = entry.pax_extensions().unwrap().unwrap().nth(1).unwrap().unwrap();
                assert_eq!(pax.key().unwrap(), "MSWINDOWS.rawsd");
                BASE64_STANDARD.decode(pax.value_bytes()).unwrap()
            })
            .collect();
        assert_eq!(descriptors, [permissions(FILES_INHERIT | CONTAINERS_INHERIT), permissions(0)]);
    }
}
