//! Waits for changes of files. A change only means that something may have changed; the consumer reads the files to find out.
//!
//! The system notifies about whole directories. A notification of another file, such as a log beside the watched one, is a change only if the
//! state of the watched files differs: that is how the swap of the `..data` link of a ConfigMap mount is detected. The same comparison is
//! made at an interval, because network drives and bind mounts may not notify.

use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant, SystemTime};

use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use tracing::warn;

use crate::error_chain;
use crate::file_list::{is_listed, list};

/// A change is reported after this time without another, because programs write a file in several steps, and several files at once.
const QUIET: Duration = Duration::from_millis(100);
/// A change is reported after this time at the latest, so that a file that is written continuously is read too.
const MAX_SETTLE: Duration = Duration::from_secs(1);
/// The interval of comparisons without a notification: a few system calls for each file, and short enough for a person who waits for an edit.
const POLL_INTERVAL: Duration = Duration::from_secs(5);

/// What a notification of the system says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Notice {
    /// A watched file was written, created, removed or renamed.
    Changed,
    /// Another entry of the directory changed. It may be a link through which a watched file is reached.
    Other,
}

/// An active watch. Dropping it ends the watch.
#[derive(Debug)]
pub struct FileWatch {
    /// None if the system cannot watch the path.
    _watcher: Option<RecommendedWatcher>,
    /// Keeps the changes connected without a watcher.
    _connection: Sender<Notice>,
}

/// The changes that a [`FileWatch`] detects.
#[derive(Debug)]
pub struct FileChanges {
    notices: Receiver<Notice>,
    root: PathBuf,
    /// When the last change was reported.
    state: FileState,
    poll_interval: Duration,
}

/// Why a wait has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wake {
    Changed,
    /// The limit of the wait has passed.
    Elapsed,
    /// The watch was dropped.
    Ended,
}

/// The state of each watched file, without its content. It differs after each change except one within the time resolution of the file
/// system that keeps the length.
#[derive(Debug, PartialEq, Eq)]
struct FileState(Vec<OneState>);

#[derive(Debug, PartialEq, Eq)]
struct OneState {
    path: PathBuf,
    /// Behind all links.
    target: Option<PathBuf>,
    length: u64,
    modified: Option<SystemTime>,
}

impl FileState {
    /// Of a file, or of all files below a directory. Empty while they cannot be listed.
    fn of(root: &Path) -> Self {
        let state = |path: PathBuf| {
            let metadata = path.metadata().ok();
            OneState {
                target: path.canonicalize().ok(),
                length: metadata.as_ref().map_or(0, std::fs::Metadata::len),
                modified: metadata.and_then(|metadata| metadata.modified().ok()),
                path,
            }
        };
        Self(list(root).unwrap_or_default().into_iter().map(state).collect())
    }
}

/// Watches a file, or all files below a directory. If the system cannot watch the path, changes are detected at an interval only.
pub fn watch(path: &Path) -> (FileWatch, FileChanges) {
    let (sender, notices) = channel();
    let watcher = match start(path, sender.clone()) {
        Ok(watcher) => Some(watcher),
        Err(error) => {
            let (path, error) = (path.display(), error_chain(&error));
            warn!("cannot watch {path} for changes: {error}; checking it every {} s", POLL_INTERVAL.as_secs());
            None
        }
    };
    // After the watch has begun, so that a change in between is detected too.
    let (root, state) = (path.to_owned(), FileState::of(path));
    let watch = FileWatch { _watcher: watcher, _connection: sender };
    (watch, FileChanges { notices, root, state, poll_interval: POLL_INTERVAL })
}

fn start(path: &Path, sender: Sender<Notice>) -> notify::Result<RecommendedWatcher> {
    let is_directory = path.is_dir();
    let root = path.to_owned();
    let is_watched = move |changed: &PathBuf| {
        if is_directory { is_listed(&root, changed) } else { changed.file_name() == root.file_name() }
    };
    let handler = move |event: notify::Result<notify::Event>| {
        let notice = match event {
            // Read access is notified too, but is not a change.
            Ok(event) if matches!(event.kind, EventKind::Access(_)) => return,
            // A notification without a path reports that others were lost.
            Ok(event) if event.paths.is_empty() || event.paths.iter().any(&is_watched) => Notice::Changed,
            Ok(_) => Notice::Other,
            // An error may hide a change.
            Err(_) => Notice::Changed,
        };
        // Fails if the reader has ended.
        let _ = sender.send(notice);
    };
    let mut watcher = notify::recommended_watcher(handler)?;
    let (root, mode) = if is_directory {
        (path, RecursiveMode::Recursive)
    } else {
        // Watch the directory, because editors and kubectl replace a file instead of writing into it.
        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
        (parent.unwrap_or(Path::new(".")), RecursiveMode::NonRecursive)
    };
    watcher.watch(root, mode)?;
    Ok(watcher)
}

impl FileChanges {
    /// Blocks until files have changed and have settled, or until the limit has passed.
    pub fn wait(&mut self, limit: Option<Duration>) -> Wake {
        let begin = now();
        loop {
            let rest = limit.map_or(self.poll_interval, |limit| limit.saturating_sub(begin.elapsed()));
            let is_changed = match self.notices.recv_timeout(rest.min(self.poll_interval)) {
                Ok(notice) => match self.settle(notice) {
                    Some(is_changed) => is_changed,
                    None => return Wake::Ended,
                },
                Err(RecvTimeoutError::Timeout) => false,
                Err(RecvTimeoutError::Disconnected) => return Wake::Ended,
            };
            let state = FileState::of(&self.root);
            if is_changed || state != self.state {
                self.state = state;
                return Wake::Changed;
            }
            if limit.is_some_and(|limit| begin.elapsed() >= limit) {
                return Wake::Elapsed;
            }
        }
    }

    /// Takes the notices that follow. Returns whether one is of a watched file; None once the watch is dropped.
    fn settle(&self, first: Notice) -> Option<bool> {
        let begin = now();
        let mut is_changed = first == Notice::Changed;
        let mut quiet_at = QUIET;
        loop {
            let wait = quiet_at.min(MAX_SETTLE).saturating_sub(begin.elapsed());
            if wait.is_zero() {
                return Some(is_changed);
            }
            match self.notices.recv_timeout(wait) {
                // Other files that are written all the time must not delay a change.
                Ok(Notice::Other) => {}
                Ok(Notice::Changed) => {
                    is_changed = true;
                    quiet_at = begin.elapsed() + QUIET;
                }
                Err(RecvTimeoutError::Timeout) => return Some(is_changed),
                Err(RecvTimeoutError::Disconnected) => return None,
            }
        }
    }
}

#[allow(clippy::disallowed_methods, reason = "the time of the file system, not of the core")]
fn now() -> Instant {
    Instant::now()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    const BOUND: Duration = Duration::from_secs(30);

    fn changes_of(root: &Path, notices: Receiver<Notice>) -> FileChanges {
        FileChanges { notices, root: root.to_owned(), state: FileState::of(root), poll_interval: BOUND }
    }

    #[test]
    fn many_notifications_are_one_change_and_dropping_the_watch_ends_the_wait() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("a.yaml");
        fs::write(&file, "1").unwrap();
        let (watch, mut changes) = watch(&file);
        for text in ["2", "3", "4"] {
            fs::write(&file, text).unwrap();
        }
        assert_eq!(changes.wait(None), Wake::Changed);
        drop(watch);
        assert_eq!(changes.wait(None), Wake::Ended);
    }

    #[test]
    fn dropping_the_watch_while_files_settle_ends_the_wait() {
        let (sender, notices) = channel();
        sender.send(Notice::Changed).unwrap();
        drop(sender);
        assert_eq!(changes_of(Path::new("a.yaml"), notices).wait(None), Wake::Ended);
    }

    #[test]
    fn notifications_without_a_pause_are_reported_as_a_change() {
        let (sender, notices) = channel();
        let mut changes = changes_of(Path::new("a.yaml"), notices);
        std::thread::spawn(move || while sender.send(Notice::Changed).is_ok() {});
        assert_eq!(changes.wait(None), Wake::Changed);
    }

    #[test]
    fn other_files_are_not_a_change_and_do_not_delay_one() {
        let directory = tempfile::tempdir().unwrap();
        let (file, log) = (directory.path().join("config"), directory.path().join("log"));
        fs::write(&file, "1").unwrap();
        let (_watch, mut changes) = watch(&file);
        let (stop, stopped) = channel::<()>();
        let writer = std::thread::spawn(move || {
            while stopped.recv_timeout(Duration::from_millis(5)) == Err(RecvTimeoutError::Timeout) {
                fs::write(&log, "line").unwrap();
            }
        });
        assert_eq!(changes.wait(Some(Duration::from_millis(500))), Wake::Elapsed);
        fs::write(&file, "2").unwrap();
        assert_eq!(changes.wait(Some(BOUND)), Wake::Changed);
        drop(stop);
        writer.join().unwrap();
    }

    #[test]
    fn only_cluster_files_below_a_directory_are_watched() {
        let directory = tempfile::tempdir().unwrap();
        fs::create_dir(directory.path().join("sub")).unwrap();
        fs::write(directory.path().join("sub/a.yaml"), "1").unwrap();
        let (_watch, mut changes) = watch(directory.path());
        for other in ["log", "sub/.a.yaml.swp", ".hidden.yaml"] {
            fs::write(directory.path().join(other), "x").unwrap();
        }
        assert_eq!(changes.wait(Some(Duration::from_millis(500))), Wake::Elapsed);
        fs::write(directory.path().join("sub/b.json"), "{}").unwrap();
        assert_eq!(changes.wait(Some(BOUND)), Wake::Changed);
        fs::rename(directory.path().join("sub"), directory.path().join("moved")).unwrap();
        assert_eq!(changes.wait(Some(BOUND)), Wake::Changed);
    }

    #[test]
    fn a_file_that_another_replaces_is_a_change() {
        let directory = tempfile::tempdir().unwrap();
        let [file, new] = ["config", "config.tmp"].map(|name| directory.path().join(name));
        fs::write(&file, "1").unwrap();
        let (_watch, mut changes) = watch(&file);
        for text in ["2", "3"] {
            fs::write(&new, text).unwrap();
            fs::rename(&new, &file).unwrap();
            assert_eq!(changes.wait(Some(BOUND)), Wake::Changed);
        }
    }

    #[cfg(unix)]
    #[test]
    fn the_swap_of_a_config_map_mount_is_a_change() {
        use std::os::unix::fs::symlink;

        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        for revision in ["..1", "..2"] {
            fs::create_dir(at(revision)).unwrap();
            fs::write(at(revision).join("a.yaml"), "same length").unwrap();
        }
        symlink("..1", at("..data")).unwrap();
        symlink("..data/a.yaml", at("a.yaml")).unwrap();
        let watches = [at("a.yaml"), directory.path().to_owned()].map(|root| watch(&root));
        symlink("..2", at("..data_tmp")).unwrap();
        fs::rename(at("..data_tmp"), at("..data")).unwrap();
        for (_watch, mut changes) in watches {
            assert_eq!(changes.wait(Some(BOUND)), Wake::Changed);
        }
    }

    #[test]
    fn a_change_without_a_notification_is_detected() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("config");
        fs::write(&file, "1").unwrap();
        let (_sender, notices) = channel();
        let mut changes = FileChanges { poll_interval: Duration::from_millis(1), ..changes_of(&file, notices) };
        for text in ["22", "333"] {
            fs::write(&file, text).unwrap();
            assert_eq!(changes.wait(Some(BOUND)), Wake::Changed);
        }
        fs::remove_file(&file).unwrap();
        assert_eq!(changes.wait(Some(BOUND)), Wake::Changed);
    }
}
