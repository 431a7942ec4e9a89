//! Makes sure that one hnsproxy at a time writes to an HNS: by a lock file, which the operating system unlocks when the process ends, however
//! it ends.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tracing::{info, warn};

use crate::hns::HnsChoice;

/// How long to wait for another hnsproxy to end. In a restart the old process may still be shutting down, which takes at most 5 s.
const MAX_WAIT: Duration = Duration::from_secs(10);
const POLL_INTERVAL: Duration = Duration::from_millis(100);

/// Another hnsproxy writes to the same HNS.
#[derive(Debug, thiserror::Error)]
#[error(
    "cannot write to HNS: another hnsproxy{} already writes to it; stop that process first",
    .pid.as_ref().map_or_else(String::new, |pid| format!(" (process {pid})"))
)]
pub struct LockedByOther {
    /// From the file of the other process.
    pid: Option<String>,
}

/// The lock on one HNS, until it is dropped.
#[derive(Debug)]
pub struct InstanceLock {
    /// The locked file, and the file with the id of this process. None where there is nothing to lock.
    files: Option<(File, PathBuf)>,
}

impl InstanceLock {
    /// Locks an HNS. If another process has locked it, waits for its end. `wait` waits for a time, and returns false to stop.
    ///
    /// Returns `None` if `wait` stopped it.
    ///
    /// # Errors
    /// If the other process has not ended in time.
    pub fn acquire(hns: &HnsChoice, wait: impl Fn(Duration) -> bool) -> Result<Option<Self>, LockedByOther> {
        match name(hns) {
            Some(name) => Self::acquire_in(&directory(), &name, wait),
            None => Ok(Some(Self { files: None })),
        }
    }

    fn acquire_in(
        directory: &Path,
        name: &str,
        wait: impl Fn(Duration) -> bool,
    ) -> Result<Option<Self>, LockedByOther> {
        let path = directory.join(format!("{name}.lock"));
        // Not in the locked file: Windows lets nobody else read that.
        let pid_file = directory.join(format!("{name}.pid"));
        let file = match open(&path) {
            Ok(file) => file,
            Err(error) => return Ok(Some(unlocked(&path, &error))),
        };
        let mut waited = Duration::ZERO;
        loop {
            match file.try_lock() {
                Ok(()) => break,
                Err(TryLockError::Error(error)) => return Ok(Some(unlocked(&path, &error))),
                Err(TryLockError::WouldBlock) => {}
            }
            let pid = fs::read_to_string(&pid_file).ok();
            if waited >= MAX_WAIT {
                return Err(LockedByOther { pid });
            }
            if waited.is_zero() {
                info!(pid, lock = %path.display(), "waiting for another hnsproxy to end");
            }
            if !wait(POLL_INTERVAL) {
                return Ok(None);
            }
            waited += POLL_INTERVAL;
        }
        // Only for messages: if it cannot be written, they lack the id of the process.
        let _ = fs::write(&pid_file, std::process::id().to_string());
        Ok(Some(Self { files: Some((file, pid_file)) }))
    }
}

impl Drop for InstanceLock {
    fn drop(&mut self) {
        if let Some((_, pid_file)) = &self.files {
            // While this process has the lock. The lock file itself stays: a process that waits has it open, and would lock a deleted file.
            let _ = fs::remove_file(pid_file);
        }
    }
}

/// A node without a Service proxy is worse than one that does not notice a second one: that one is noticed by what it writes.
fn unlocked(path: &Path, error: &io::Error) -> InstanceLock {
    warn!("cannot lock {}: {error}; a second hnsproxy on this HNS would not be refused", path.display());
    InstanceLock { files: None }
}

fn open(path: &Path) -> io::Result<File> {
    path.parent().map_or(Ok(()), fs::create_dir_all)?;
    OpenOptions::new().write(true).create(true).truncate(false).open(path)
}

/// The file for the state of an HNS, beside its lock. None for an HNS inside this process.
pub fn state_file(hns: &HnsChoice) -> Option<PathBuf> {
    name(hns).map(|name| directory().join(format!("{name}.state.json")))
}

/// A directory that all processes of the node share. On Windows, HostProcess containers and services have the same one.
fn directory() -> PathBuf {
    if cfg!(windows) {
        std::env::var_os("ProgramData").map_or_else(|| PathBuf::from(r"C:\ProgramData"), PathBuf::from).join("hnsproxy")
    } else {
        std::env::temp_dir().join("hnsproxy")
    }
}

/// One name for each HNS that several processes can write to. None for an HNS inside this process.
fn name(hns: &HnsChoice) -> Option<String> {
    match hns {
        HnsChoice::Emulated(_) => None,
        HnsChoice::Windows => Some("hns".to_owned()),
        HnsChoice::Tcp(address) => {
            // Of the characters of an address, `:`, `[` and `]` are not allowed in file names.
            let is_allowed = |c: char| c.is_ascii_alphanumeric() || c == '.' || c == '-';
            let allowed: String = address.chars().map(|c| if is_allowed(c) { c } else { '_' }).collect();
            Some(format!("tcp-{}", allowed.to_ascii_lowercase()))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::{Cell, RefCell};

    use super::*;

    #[test]
    fn each_shared_hns_has_a_lock_of_its_own() {
        let tcp = |address: &str| name(&HnsChoice::Tcp(address.into()));
        assert_eq!(name(&HnsChoice::Emulated(None)), None);
        assert_eq!(name(&HnsChoice::Windows).as_deref(), Some("hns"));
        assert_eq!(tcp("[::1]:10258").as_deref(), Some("tcp-___1__10258"));
        assert_eq!(tcp("Node-1.example:1"), tcp("node-1.example:1"));
        assert_ne!(tcp("127.0.0.1:1"), tcp("127.0.0.1:2"));
    }

    #[test]
    fn a_second_process_waits_and_is_then_refused() {
        let directory = tempfile::tempdir().unwrap();
        let acquire = |wait: &dyn Fn(Duration) -> bool| InstanceLock::acquire_in(directory.path(), "hns", wait);
        let first = acquire(&|_| unreachable!()).unwrap();
        assert!(first.is_some());
        let waited = Cell::new(Duration::ZERO);
        let wait = |time| {
            waited.set(waited.get() + time);
            true
        };
        let refused = acquire(&wait).unwrap_err();
        assert_eq!((refused.pid, waited.get()), (Some(std::process::id().to_string()), MAX_WAIT));
        assert!(acquire(&|_| false).unwrap().is_none(), "a shutdown ends the wait");

        // The lock is free as soon as the first process has ended.
        let first = RefCell::new(first);
        let end = |_| {
            first.take();
            true
        };
        let second = acquire(&end).unwrap();
        assert!(second.is_some());
        drop(second);
        assert!(!directory.path().join("hns.pid").exists());
    }

    #[test]
    fn a_lock_file_that_cannot_be_opened_does_not_stop_programming() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("file");
        fs::write(&file, "").unwrap();
        let lock = InstanceLock::acquire_in(&file, "hns", |_| unreachable!()).unwrap().unwrap();
        assert!(lock.files.is_none());
    }
}
