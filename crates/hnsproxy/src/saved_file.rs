//! Files that hold a result. A file is replaced as a whole, so that a crash or a full disk leaves the previous one.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Readable for its owner and group, as the log file. On Windows a file has the access control list of its folder.
#[cfg(unix)]
const MODE: u32 = 0o640;

/// Writes a file, or replaces it. A link stays, and the file that it names is replaced. A device or a pipe is written to.
///
/// # Errors
/// If the file cannot be written. The previous file is unchanged then.
pub fn save(path: &Path, content: &[u8]) -> io::Result<()> {
    let metadata = fs::metadata(path);
    if metadata.as_ref().is_ok_and(|metadata| !metadata.is_file()) {
        return fs::OpenOptions::new().write(true).open(path)?.write_all(content);
    }
    let path = if metadata.is_ok() { fs::canonicalize(path)? } else { path.to_owned() };
    written(&path, metadata.ok().as_ref(), content)?.persist(path)?;
    Ok(())
}

/// Writes a new file.
///
/// # Errors
/// If the file exists, or cannot be written. No partial file remains.
pub fn save_new(path: &Path, content: &[u8]) -> io::Result<()> {
    written(path, None, content)?.persist_noclobber(path)?;
    Ok(())
}

/// A temporary file with the content of a file.
fn written(path: &Path, previous: Option<&fs::Metadata>, content: &[u8]) -> io::Result<tempfile::NamedTempFile> {
    let mut file = builder(previous).tempfile_in(folder(path))?;
    file.write_all(content)?;
    // Otherwise the new name could be on the disk before the content.
    file.as_file().sync_all()?;
    Ok(file)
}

/// Opens a file to read it. A pipe would be read until another program writes to it.
///
/// # Errors
/// If it cannot be opened, or is not a regular file.
pub fn open_regular(path: &Path) -> io::Result<fs::File> {
    check_regular(&fs::metadata(path)?)?;
    fs::File::open(path)
}

/// # Errors
/// If it is not a regular file.
pub fn check_regular(metadata: &fs::Metadata) -> io::Result<()> {
    if metadata.is_file() {
        return Ok(());
    }
    Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"))
}

/// A temporary file in the same folder: a file cannot be renamed into another file system.
fn folder(path: &Path) -> PathBuf {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder.to_owned(),
        _ => PathBuf::from("."),
    }
}

/// The new file has no permission that the previous one did not have.
fn builder(previous: Option<&fs::Metadata>) -> tempfile::Builder<'static, 'static> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(".hnsproxy-");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = previous.map_or(MODE, |previous| previous.permissions().mode() & MODE);
        builder.permissions(fs::Permissions::from_mode(mode));
    }
    #[cfg(not(unix))]
    let _ = previous;
    builder
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    /// The names in a folder.
    fn names(folder: &Path) -> Vec<String> {
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
    }

    #[test]
    fn a_file_is_replaced_and_not_overwritten() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("saved");
        save(&path, b"before").unwrap();
        let mut open = fs::File::open(&path).unwrap();
        save(&path, b"after").unwrap();
        let mut previous = String::new();
        open.read_to_string(&mut previous).unwrap();
        assert_eq!((previous.as_str(), fs::read(&path).unwrap()), ("before", b"after".to_vec()));
        assert_eq!(names(directory.path()), ["saved"]);
    }

    #[test]
    fn a_file_that_exists_is_not_written_as_a_new_one() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("saved");
        save_new(&path, b"before").unwrap();
        assert_eq!(save_new(&path, b"after").unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        assert_eq!((fs::read(&path).unwrap(), names(directory.path())), (b"before".to_vec(), vec!["saved".to_owned()]));
    }

    #[test]
    fn a_file_that_cannot_be_replaced_leaves_nothing_behind() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("folder");
        fs::create_dir(&path).unwrap();
        save(&path, b"content").unwrap_err();
        save(&directory.path().join("missing").join("saved"), b"content").unwrap_err();
        assert_eq!(names(directory.path()), ["folder"]);
    }

    #[cfg(unix)]
    #[test]
    fn permissions_are_not_widened() {
        use std::os::unix::fs::PermissionsExt;

        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("saved");
        let mode = || fs::metadata(&path).unwrap().permissions().mode() & 0o777;
        save(&path, b"").unwrap();
        assert_eq!(mode() & !MODE, 0);
        for previous in [0o600, 0o644, 0o666] {
            fs::set_permissions(&path, fs::Permissions::from_mode(previous)).unwrap();
            save(&path, b"").unwrap();
            assert_eq!((mode() & 0o600, mode() & !(MODE & previous)), (0o600, 0), "{previous:o}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_link_stays_and_a_device_is_written_to() {
        let directory = tempfile::tempdir().unwrap();
        let [link, file] = ["link", "file"].map(|name| directory.path().join(name));
        fs::write(&file, "before").unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        save(&link, b"after").unwrap();
        assert_eq!((fs::read_link(&link).unwrap(), fs::read(&file).unwrap()), (file, b"after".to_vec()));
        save(Path::new("/dev/null"), b"content").unwrap();
    }
}
