//! Rotates a log file: keeps its content as a backup, so that an empty file can be written.

use std::ffi::OsString;
use std::fs::{self, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

/// Renames `log` to `log.1`, `log.1` to `log.2`, and so on. Keeps at most `backups` renamed files. If `log` cannot be renamed, it is copied and
/// truncated. With 0 backups, it is only truncated.
///
/// # Errors
/// If a backup cannot be renamed, or `log` can be neither renamed nor copied and truncated. Files that were renamed before stay renamed.
pub(super) fn rotate(log: &Path, backups: u32) -> io::Result<()> {
    let Some(newest) = (backups > 0).then(|| backup(log, 1)) else { return empty(log) };
    for number in (1..backups).rev() {
        match fs::rename(backup(log, number), backup(log, number + 1)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    // On Windows, a file cannot be renamed while another program has it open and does not share its deletion.
    if fs::rename(log, &newest).is_ok() {
        return Ok(());
    }
    fs::copy(log, &newest).and_then(|_| empty(log)).inspect_err(|_| {
        // Readers would take a partial copy for a complete backup.
        let _ = fs::remove_file(&newest);
    })
}

fn empty(log: &Path) -> io::Result<()> {
    OpenOptions::new().write(true).truncate(true).open(log).map(drop)
}

fn backup(log: &Path, number: u32) -> PathBuf {
    let mut name = OsString::from(log);
    name.push(format!(".{number}"));
    name.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The contents of `log` and of its backups.
    fn contents(log: &Path) -> Vec<Option<String>> {
        let files = [log.to_owned()].into_iter().chain((1..4).map(|number| backup(log, number)));
        files.map(|file| fs::read_to_string(file).ok()).collect()
    }

    fn rotate_three_times(backups: u32) -> Vec<Option<String>> {
        let directory = tempfile::tempdir().unwrap();
        let log = directory.path().join("log");
        for text in ["a", "b", "c"] {
            fs::write(&log, text).unwrap();
            rotate(&log, backups).unwrap();
        }
        contents(&log)
    }

    #[test]
    fn the_newest_backup_has_number_1_and_the_oldest_is_removed() {
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(rotate_three_times(2), [None, some("c"), some("b"), None]);
        assert_eq!(rotate_three_times(0), [some(""), None, None, None]);
    }

    #[test]
    fn a_file_that_cannot_be_rotated_keeps_its_content() {
        let directory = tempfile::tempdir().unwrap();
        let log = directory.path().join("log");
        fs::write(&log, "a").unwrap();
        fs::create_dir_all(backup(&log, 1).join("folder")).unwrap();
        rotate(&log, 1).unwrap_err();
        assert_eq!(fs::read_to_string(&log).unwrap(), "a");
    }
}
