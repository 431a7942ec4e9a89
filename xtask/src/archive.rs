//! Archives whose bytes depend only on their files.

use std::collections::BTreeMap;
use std::io::{Cursor, Write};

use anyhow::Result;
use flate2::{Compression, GzBuilder};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, DateTime, ZipWriter};

/// Files by their path, with slashes.
pub(crate) type Files = BTreeMap<String, Vec<u8>>;

/// A zip of files below one folder.
pub(crate) fn zip(folder: &str, files: &Files) -> Result<Vec<u8>> {
    let options = SimpleFileOptions::default()
        .compression_method(CompressionMethod::Deflated)
        .compression_level(Some(9))
        // 1980-01-01, the first time that the format can have.
        .last_modified_time(DateTime::default())
        .unix_permissions(0o644);
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for (path, content) in files {
        zip.start_file(format!("{folder}/{path}"), options)?;
        zip.write_all(content)?;
    }
    Ok(zip.finish()?.into_inner())
}

/// A tar of files, in their order.
pub(crate) fn tar(files: &Files) -> Result<Vec<u8>> {
    let mut builder = tar::Builder::new(Vec::new());
    for (path, content) in files {
        let mut header = tar::Header::new_ustar();
        header.set_mode(0o644);
        header.set_size(u64::try_from(content.len())?);
        builder.append_data(&mut header, path, content.as_slice())?;
    }
    Ok(builder.into_inner()?)
}

/// A compressed tar of files below one folder.
pub(crate) fn tar_gz(folder: &str, files: &Files) -> Result<Vec<u8>> {
    let files = files.iter().map(|(path, content)| (format!("{folder}/{path}"), content.clone())).collect();
    gzip(&tar(&files)?)
}

/// Compresses bytes. The header has no time and no name.
pub(crate) fn gzip(bytes: &[u8]) -> Result<Vec<u8>> {
    let mut gzip = GzBuilder::new().write(Vec::new(), Compression::best());
    gzip.write_all(bytes)?;
    Ok(gzip.finish()?)
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    #[test]
    fn a_zip_has_the_files_below_a_folder() {
        let files = Files::from([("a.txt".to_owned(), b"a".to_vec()), ("b/c".to_owned(), b"c".to_vec())]);
        let bytes = zip("hnsproxy-1.2.3", &files).unwrap();
        assert_eq!(bytes, zip("hnsproxy-1.2.3", &files).unwrap());
        let mut archive = zip::ZipArchive::new(Cursor::new(bytes)).unwrap();
        let mut read = Files::new();
        for index in 0..archive.len() {
            let mut file = archive.by_index(index).unwrap();
            let mut content = Vec::new();
            file.read_to_end(&mut content).unwrap();
            read.insert(file.name().unwrap().into_owned(), content);
        }
        let expected = [("hnsproxy-1.2.3/a.txt", b"a"), ("hnsproxy-1.2.3/b/c", b"c")];
        assert_eq!(read, expected.map(|(path, content)| (path.to_owned(), content.to_vec())).into());
    }
}
