//! The files of an OCI image layout
//! ([specification](https://github.com/opencontainers/image-spec/blob/main/image-layout.md)).

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};

use super::blob::Blob;

const VERSION_FILE: &str = "oci-layout";
const VERSION: &str = r#"{"imageLayoutVersion":"1.0.0"}"#;

/// The files of the layout by their path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Layout(BTreeMap<String, Vec<u8>>);

impl Layout {
    /// A layout with an index of tags.
    pub(super) fn new(index: &Blob) -> Self {
        let files = [(VERSION_FILE, VERSION.as_bytes()), ("index.json", &index.bytes)];
        Self(files.map(|(path, content)| (path.to_owned(), content.to_vec())).into())
    }

    pub(super) fn add(&mut self, blob: &Blob) {
        self.0.insert(format!("blobs/sha256/{}", blob.digest.hex()), blob.bytes.clone());
    }

    pub(crate) fn files(&self) -> &BTreeMap<String, Vec<u8>> {
        &self.0
    }

    /// Writes the layout to a folder, and removes the files of an earlier layout.
    ///
    /// # Errors
    /// If the folder contains other files.
    pub(super) fn write(&self, folder: &Path) -> Result<()> {
        let is_empty = fs::read_dir(folder).map_or(true, |mut entries| entries.next().is_none());
        let is_layout = folder.join(VERSION_FILE).is_file();
        ensure!(
            is_empty || is_layout,
            "cannot write to {}: expected an empty folder or an OCI layout",
            folder.display()
        );
        if is_layout {
            fs::remove_dir_all(folder)?;
        }
        for (path, content) in self.files() {
            let file = folder.join(path);
            if let Some(parent) = file.parent() {
                fs::create_dir_all(parent)?;
            }
            fs::write(&file, content).with_context(|| format!("cannot write {}", file.display()))?;
        }
        Ok(())
    }
}
