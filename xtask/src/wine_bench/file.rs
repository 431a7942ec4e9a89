//! Files that the Windows program reads, and that go with their owners.

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

    /// As Windows programs name it: Wine has this system's files on drive Z.
    pub(super) fn in_wine(&self) -> String {
        format!("Z:{}", self.0.display())
    }

    /// Writes it anew, in place.
    pub(super) fn write(&self, text: &str) -> Result<()> {
        Ok(std::fs::write(&self.0, text)?)
    }

    /// Has another file take its place.
    pub(super) fn replace(&self, text: &str) -> Result<()> {
        let new = self.0.with_extension("new");
        std::fs::write(&new, text)?;
        Ok(std::fs::rename(&new, &self.0)?)
    }
}

impl Drop for TempFile {
    fn drop(&mut self) {
        // Where it holds a key, that opens nothing any more.
        let _ = std::fs::remove_file(&self.0);
    }
}
