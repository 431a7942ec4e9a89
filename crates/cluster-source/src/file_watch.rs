//! Waits for changes of files. A notification is only a hint that something may have changed; what changed is found by reading.

use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher};

/// A change is reported once nothing was notified for this long: programs write a file in pieces, and several files at a time.
const QUIET: Duration = Duration::from_millis(100);
/// A change is reported after this long at the latest, so that a file that is written all the time is read all the same.
const MAX_SETTLE: Duration = Duration::from_secs(1);

/// The system cannot watch a file.
#[derive(Debug, thiserror::Error)]
#[error("cannot watch {} for changes", path.display())]
pub struct FileWatchError {
    pub path: PathBuf,
    #[source]
    pub source: notify::Error,
}

/// Watches until it is dropped.
#[derive(Debug)]
pub struct FileWatch {
    _watcher: RecommendedWatcher,
}

/// The changes that a [`FileWatch`] notices.
#[derive(Debug)]
pub struct FileChanges(Receiver<()>);

/// Watches a file, or all files below a directory.
///
/// # Errors
/// If the system cannot watch the path.
pub fn watch(path: &Path) -> Result<(FileWatch, FileChanges), FileWatchError> {
    let (sender, notified) = channel();
    let handler = move |event: notify::Result<notify::Event>| {
        // Reading a file is notified too, and is no change. An error may hide a change.
        if !event.is_ok_and(|event| matches!(event.kind, EventKind::Access(_))) {
            // Nobody receives any more once the reader has ended.
            let _ = sender.send(());
        }
    };
    let start = || {
        let mut watcher = notify::recommended_watcher(handler)?;
        let (root, mode) = if path.is_dir() {
            (path, RecursiveMode::Recursive)
        } else {
            // The directory, since editors and kubectl replace a file instead of writing into it.
            let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
            (parent.unwrap_or(Path::new(".")), RecursiveMode::NonRecursive)
        };
        watcher.watch(root, mode)?;
        Ok(watcher)
    };
    let watcher = start().map_err(|source| FileWatchError { path: path.to_owned(), source })?;
    Ok((FileWatch { _watcher: watcher }, FileChanges(notified)))
}

impl FileChanges {
    /// Blocks until files have changed and have settled. `false` once the watch is dropped.
    pub fn wait(&self) -> bool {
        if self.0.recv().is_err() {
            return false;
        }
        #[allow(clippy::disallowed_methods, reason = "the time of the file system, not of the core")]
        let first = Instant::now();
        loop {
            let wait = QUIET.min(MAX_SETTLE.saturating_sub(first.elapsed()));
            if wait.is_zero() {
                return true;
            }
            match self.0.recv_timeout(wait) {
                Ok(()) => {}
                Err(RecvTimeoutError::Timeout) => return true,
                Err(RecvTimeoutError::Disconnected) => return false,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn many_notifications_are_one_change_and_the_end_of_the_watch_is_the_end() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("a.yaml");
        fs::write(&file, "1").unwrap();
        let (watch, changes) = watch(&file).unwrap();
        for text in ["2", "3", "4"] {
            fs::write(&file, text).unwrap();
        }
        assert!(changes.wait());
        drop(watch);
        assert!(!changes.wait());
    }

    #[test]
    fn a_watch_that_is_dropped_before_the_files_have_settled_is_the_end() {
        let (sender, notified) = channel();
        sender.send(()).unwrap();
        drop(sender);
        assert!(!FileChanges(notified).wait());
    }

    #[test]
    fn notifications_that_never_pause_are_a_change_all_the_same() {
        let (sender, notified) = std::sync::mpsc::sync_channel(0);
        std::thread::spawn(move || while sender.send(()).is_ok() {});
        assert!(FileChanges(notified).wait());
    }
}
