//! Waits for changes of files. A notification only means that something may have changed; the consumer reads the files to find out.

use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher};

/// A change is reported after this time without a notification, because programs write a file in several steps, and several files at once.
const QUIET: Duration = Duration::from_millis(100);
/// A change is reported after this time at the latest, so that a file that is written continuously is read too.
const MAX_SETTLE: Duration = Duration::from_secs(1);

#[derive(Debug, thiserror::Error)]
#[error("cannot watch {} for changes", path.display())]
pub struct FileWatchError {
    pub path: PathBuf,
    #[source]
    pub source: notify::Error,
}

/// An active watch. Dropping it ends the watch.
#[derive(Debug)]
pub struct FileWatch {
    _watcher: RecommendedWatcher,
}

/// The changes that a [`FileWatch`] detects.
#[derive(Debug)]
pub struct FileChanges(Receiver<()>);

/// Watches a file, or all files below a directory.
///
/// # Errors
/// If the system cannot watch the path.
pub fn watch(path: &Path) -> Result<(FileWatch, FileChanges), FileWatchError> {
    let (sender, notified) = channel();
    let handler = move |event: notify::Result<notify::Event>| {
        // Read access is notified too, but is not a change. An error may hide a change, so it counts as one.
        if !event.is_ok_and(|event| matches!(event.kind, EventKind::Access(_))) {
            // Fails if the reader has ended.
            let _ = sender.send(());
        }
    };
    let start = || {
        let mut watcher = notify::recommended_watcher(handler)?;
        let (root, mode) = if path.is_dir() {
            (path, RecursiveMode::Recursive)
        } else {
            // Watch the directory, because editors and kubectl replace a file instead of writing into it.
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
    /// Blocks until files have changed and have settled. Returns `false` once the watch is dropped.
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
    fn many_notifications_are_one_change_and_dropping_the_watch_ends_the_wait() {
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
    fn dropping_the_watch_while_files_settle_ends_the_wait() {
        let (sender, notified) = channel();
        sender.send(()).unwrap();
        drop(sender);
        assert!(!FileChanges(notified).wait());
    }

    #[test]
    fn notifications_without_a_pause_are_reported_as_a_change() {
        let (sender, notified) = std::sync::mpsc::sync_channel(0);
        std::thread::spawn(move || while sender.send(()).is_ok() {});
        assert!(FileChanges(notified).wait());
    }
}
