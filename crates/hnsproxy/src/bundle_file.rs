//! The file of `hnsproxy bundle`: an archive (ZIP) of parts, some of which replay a node.

use std::fs::File;
use std::io::{self, Cursor, Read, Write};
use std::path::{Path, PathBuf};

use zip::result::ZipResult;
use zip::write::SimpleFileOptions;
use zip::{ZipArchive, ZipWriter};

/// The part with the objects of the cluster, for `--from`.
pub const CLUSTER: &str = "cluster.json";
/// The part with the objects of HNS, for `--hns emulated:`.
pub const HNS: &str = "hns.json";
/// The maximum size of a part that is read, in bytes: a small archive can contain a huge part.
const MAX_PART: u64 = 1 << 30;

/// Writes a bundle in memory.
pub struct Bundle(ZipWriter<Cursor<Vec<u8>>>);

impl Default for Bundle {
    fn default() -> Self {
        Self(ZipWriter::new(Cursor::default()))
    }
}

impl Bundle {
    /// # Errors
    /// If the archive has a part of this name, or is too large.
    pub fn add(&mut self, name: &str, content: &str) -> io::Result<()> {
        // Without this option, the writer rejects parts of 4 GiB and more.
        let options = SimpleFileOptions::default().large_file(content.len() as u64 >= u64::from(u32::MAX));
        self.0.start_file(name, options).map_err(io::Error::from)?;
        self.0.write_all(content.as_bytes())
    }

    /// The content of the file.
    ///
    /// # Errors
    /// If the archive is too large.
    pub fn finish(self) -> io::Result<Vec<u8>> {
        Ok(self.0.finish().map_err(io::Error::from)?.into_inner())
    }
}

/// Whether a path names a bundle, by its extension.
pub fn is_bundle(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("zip"))
}

/// The path of a part, for messages.
pub fn part_path(bundle: &Path, name: &str) -> PathBuf {
    bundle.join(name)
}

/// Reads a part.
///
/// # Errors
/// If the file is not a bundle, or does not have the part.
pub fn read_part(bundle: &Path, name: &str) -> io::Result<String> {
    let read = |file: File| -> ZipResult<String> {
        let mut archive = ZipArchive::new(file)?;
        let mut text = String::new();
        let read = archive.by_name(name)?.take(MAX_PART + 1).read_to_string(&mut text)?;
        if read as u64 > MAX_PART {
            return Err(io::Error::other("larger than 1 GiB").into());
        }
        Ok(text)
    };
    read(File::open(bundle)?).map_err(|error| match error {
        zip::result::ZipError::FileNotFound => io::Error::new(
            io::ErrorKind::NotFound,
            format!("missing part {name}; manifest.json of the bundle says why"),
        ),
        error => error.into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_that_was_written_is_read() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("a.ZIP");
        let mut bundle = Bundle::default();
        bundle.add("a/one.txt", "one").unwrap();
        bundle.add(HNS, &"{}".repeat(1000)).unwrap();
        std::fs::write(&file, bundle.finish().unwrap()).unwrap();
        assert!(is_bundle(&file) && !is_bundle(directory.path()));
        assert_eq!(read_part(&file, "a/one.txt").unwrap(), "one");
        assert_eq!(read_part(&file, HNS).unwrap().len(), 2000);
        assert!(read_part(&file, CLUSTER).unwrap_err().to_string().contains("cluster.json"));
    }

    #[test]
    fn another_file_is_an_error() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("a.zip");
        std::fs::write(&file, "text").unwrap();
        read_part(&file, HNS).unwrap_err();
        read_part(&directory.path().join("b.zip"), HNS).unwrap_err();
    }
}
