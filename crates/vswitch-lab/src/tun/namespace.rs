//! Network namespaces without names.

use std::fs::File;
use std::os::fd::AsRawFd;
use std::panic::resume_unwind;
use std::path::PathBuf;
use std::process::Command;

use nix::sched::{CloneFlags, setns, unshare};

use super::TunError;

/// A network namespace. It exists as long as this value, or a device, a socket or a process in it.
#[derive(Debug)]
pub struct Namespace(File);

impl Namespace {
    /// # Errors
    /// If the process lacks the capability `CAP_SYS_ADMIN`.
    pub(super) fn new() -> Result<Self, TunError> {
        // A thread has a namespace of its own, so the others keep theirs.
        let create = || {
            unshare(CloneFlags::CLONE_NEWNET)?;
            File::open("/proc/thread-self/ns/net")
        };
        in_thread(create).map(Self).map_err(TunError::Namespace)
    }

    /// Calls a function on a thread in the namespace. What it creates there stays there: sockets, devices, threads, processes.
    ///
    /// # Errors
    /// If the process has lost the capability `CAP_SYS_ADMIN`.
    pub fn run<T: Send>(&self, work: impl FnOnce() -> T + Send) -> Result<T, TunError> {
        let enter = || setns(&self.0, CloneFlags::CLONE_NEWNET).map_err(|error| TunError::Enter(error.into()));
        in_thread(|| enter().map(|()| work()))
    }

    /// A file that stands for the namespace while this value exists: `nsenter --net=FILE` runs a program in it.
    pub fn path(&self) -> PathBuf {
        PathBuf::from(format!("/proc/{}/fd/{}", std::process::id(), self.0.as_raw_fd()))
    }

    /// Runs `ip` of iproute2.
    pub(super) fn ip(&self, arguments: &str) -> Result<(), TunError> {
        let words = arguments.split(' ');
        let output = self.run(|| Command::new("ip").args(words).output())?.map_err(TunError::NoIp)?;
        if output.status.success() {
            return Ok(());
        }
        let message = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        Err(TunError::Ip { arguments: arguments.to_owned(), message })
    }
}

/// Calls a function on a thread of its own. A panic goes on in the calling thread.
fn in_thread<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| scope.spawn(work).join()).unwrap_or_else(|panic| resume_unwind(panic))
}
