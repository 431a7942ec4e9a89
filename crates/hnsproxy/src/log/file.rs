//! The file of `--log-file`. While it cannot be written, lines go to standard error, and the file is retried with backoff: a log is no
//! reason to leave HNS unprogrammed. A file that becomes too large is rotated.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use tracing::{info, warn};

use super::rotation::rotate;
use crate::cli::LogFileSettings;
use crate::mutex::lock;

/// A backup tool locks a file for seconds.
const FIRST_RETRY_AFTER: Duration = Duration::from_secs(1);
/// A disk stays full until an operator frees space.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(30);

/// Clones share the file.
#[derive(Debug, Clone)]
pub(super) struct LogFile {
    settings: Arc<LogFileSettings>,
    /// `None` before the first line. Locked while the file is written, which can hang.
    file: Arc<Mutex<Option<io::Result<OpenLog>>>>,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    error: Option<String>,
    lost_lines: u64,
}

/// An open file.
#[derive(Debug)]
struct OpenLog {
    file: File,
    /// In bytes, as far as this process knows.
    size: u64,
    /// The size at which it is rotated.
    max_size: u64,
}

/// Whether the log file is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogFileStatus {
    pub path: PathBuf,
    /// Why it cannot be written.
    pub error: Option<String>,
    /// Lines that are missing in it: they went to standard error, or too many waited while it hung.
    pub lost_lines: u64,
}

impl LogFile {
    /// The file, which the first line opens.
    pub(super) fn new(settings: LogFileSettings) -> Self {
        Self { settings: Arc::new(settings), file: Arc::default(), state: Arc::default() }
    }

    /// Does not wait for the file.
    pub(super) fn status(&self) -> LogFileStatus {
        let State { error, lost_lines } = &*lock(&self.state);
        LogFileStatus { path: self.settings.path.clone(), error: error.clone(), lost_lines: *lost_lines }
    }

    /// Logs why the file cannot be written, and retries it. Does nothing if it can.
    fn retry(&self) {
        if let LogFileStatus { path, error: Some(error), .. } = self.status() {
            warn!(
                "cannot write the log to {}: {error}; the log goes to standard error until this is resolved",
                path.display()
            );
            self.spawn(Self::retry_with_backoff);
        }
    }

    fn retry_with_backoff(&self) {
        let mut after = FIRST_RETRY_AFTER;
        loop {
            #[allow(clippy::disallowed_methods, reason = "nothing tells when a file can be written again")]
            thread::sleep(after);
            if self.reopen() {
                break;
            }
            after = (after * 2).min(MAX_RETRY_AFTER);
        }
        let LogFileStatus { path, lost_lines, .. } = self.status();
        info!(lost_lines, "cannot write the log to {}: resolved", path.display());
    }

    /// Works on a thread of its own, which does not keep the process from its end.
    fn spawn(&self, work: fn(&Self)) {
        let this = self.clone();
        // Without a thread, the log stays on standard error.
        let _ = thread::Builder::new().name("log-file".into()).spawn(move || work(&this));
    }

    /// Opens the file again. Returns whether it can be written.
    fn reopen(&self) -> bool {
        // The line that failed may have been written in part. An empty line ends it, and shows whether the disk is still full.
        let file = OpenLog::open(&self.settings).and_then(|mut file| file.write(b"\n").map(|()| file));
        let can_write = file.is_ok();
        lock(&self.state).error = file.as_ref().err().map(ToString::to_string);
        *lock(&self.file) = Some(file);
        can_write
    }

    /// Writes one line to the file, or to standard error while the file cannot be written.
    fn write_line(&self, line: &[u8]) {
        let mut file = lock(&self.file);
        let had_failed = matches!(*file, Some(Err(_)));
        let open = file.get_or_insert_with(|| OpenLog::open(&self.settings));
        let written = open.as_mut().map(|open| open.write_rotated(line, &self.settings));
        match written {
            Ok(Ok(())) => return,
            Ok(Err(error)) => *open = Err(error),
            Err(_) => {}
        }
        let error = open.as_ref().err().map(ToString::to_string);
        drop(file);
        let mut state = lock(&self.state);
        state.error = error;
        state.lost_lines += 1;
        drop(state);
        // A service has none, and then the line is lost.
        let _ = io::stderr().write_all(line);
        if !had_failed {
            // This thread writes the lines of the log, and cannot wait.
            self.spawn(Self::retry);
        }
    }
}

impl OpenLog {
    fn open(settings: &LogFileSettings) -> io::Result<Self> {
        let file = open(&settings.path)?;
        let size = file.metadata()?.len();
        Ok(Self { file, size, max_size: settings.max_size.unwrap_or(u64::MAX) })
    }

    fn write(&mut self, line: &[u8]) -> io::Result<()> {
        self.file.write_all(line)?;
        self.size = self.size.saturating_add(line.len() as u64);
        Ok(())
    }

    /// Writes a line. If the file would exceed its maximum size, it is rotated first. If that fails, the line is appended, and the rotation is
    /// retried after a further tenth of the maximum size.
    fn write_rotated(&mut self, line: &[u8], settings: &LogFileSettings) -> io::Result<()> {
        if self.size > 0 && self.size.saturating_add(line.len() as u64) > self.max_size {
            match rotate(&settings.path, settings.max_backups).and_then(|()| Self::open(settings)) {
                Ok(new) => *self = new,
                Err(_) => self.max_size = self.size.saturating_add(settings.max_size.unwrap_or(u64::MAX) / 10),
            }
        }
        self.write(line)
    }
}

/// The log writes each line with one call.
impl Write for LogFile {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.write_line(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn open(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.append(true).create(true);
    // On Windows a new file has the access control list of its folder.
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o640);
    options.open(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open_file(path: &Path) -> LogFile {
        LogFile::new(LogFileSettings { path: path.to_owned(), max_size: Some(20), max_backups: 1 })
    }

    fn status(path: &Path, error: Option<&str>, lost_lines: u64) -> LogFileStatus {
        LogFileStatus { path: path.to_owned(), error: error.map(str::to_owned), lost_lines }
    }

    #[test]
    fn lines_are_appended() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("log");
        std::fs::write(&path, "before\n").unwrap();
        let file = open_file(&path);
        file.write_line(b"after\n");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "before\nafter\n");
        assert_eq!(file.status(), status(&path, None, 0));
    }

    #[test]
    fn a_file_that_can_be_opened_later_is_written_from_then_on() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("folder").join("log");
        let file = open_file(&path);
        let reason = std::fs::read(&path).unwrap_err().to_string();
        file.write_line(b"lost\n");
        assert!(!file.reopen());
        assert_eq!(file.status(), status(&path, Some(&reason), 1));
        std::fs::create_dir(directory.path().join("folder")).unwrap();
        assert!(file.reopen());
        file.write_line(b"written\n");
        assert_eq!((file.status(), std::fs::read(&path).unwrap()), (status(&path, None, 1), b"\nwritten\n".to_vec()));
    }

    #[test]
    fn a_file_that_becomes_too_large_is_rotated() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("log");
        std::fs::write(&path, "before\n").unwrap();
        let file = open_file(&path);
        for line in ["0123456789\n", "first\n", "second\n"] {
            file.write_line(line.as_bytes());
        }
        let read = |name: &str| std::fs::read_to_string(directory.path().join(name)).unwrap();
        assert_eq!((read("log"), read("log.1")), ("first\nsecond\n".to_owned(), "before\n0123456789\n".to_owned()));
        assert_eq!(file.status(), status(&path, None, 0));
    }

    #[test]
    fn a_file_that_cannot_be_rotated_is_written_on() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("log");
        std::fs::create_dir_all(directory.path().join("log.1").join("folder")).unwrap();
        let file = open_file(&path);
        (0..3).for_each(|_| file.write_line(b"0123456789\n"));
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "0123456789\n".repeat(3));
        assert_eq!(file.status(), status(&path, None, 0));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_full_disk_is_an_error_until_it_has_space() {
        let path = Path::new("/dev/full");
        let file = open_file(path);
        assert_eq!(file.status(), status(path, None, 0));
        file.write_line(b"lost\n");
        assert!(file.status().error.is_some() && file.status().lost_lines == 1 && !file.reopen());
    }
}
