//! Files that the Windows program reads, deleted when dropped.

use std::path::PathBuf;

use anyhow::Result;

use crate::folder;

/// A file in `target`.
pub(super) struct TempFile(PathBuf);

impl TempFile {
    pub(super) fn new(name: &str, text: &str) -> Result<Self> {
        let file = Self(folder::target()?.join(name));
        file.write(text)?;
        Ok(file)
    }

    /// The path for Windows programs: Wine has the files of this system on drive Z.
    pub(super) fn in_wine(&self) -> String {
        format!("Z:{}", self.0.display())
    }

    /// Overwrites the file in place.
    pub(super) fn write(&self, text: &str) -> Result<()> {
        Ok(std::fs::write(&self.0, text)?)
    }

    /// Replaces the file by another one.
    pub(super) fn replace(&self, text: &str) -> Result<()> {
        let new = self.0.with_extension("new");
        std::fs::write(&new, text)?;
        Ok(std::fs::rename(&new, &self.0)?)
    }
}

impl Drop for TempFile {
    fn drop(&mut self) {
        // Best effort: a key in it is valid for this run only.
        let _ = std::fs::remove_file(&self.0);
    }
}
