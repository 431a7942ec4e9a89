//! The process groups of the credential plugins that run. On Unix they outlive a process that ends without dropping its runs. On Windows,
//! their job object ends with the process.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The ids of the groups, which are those of the plugins.
static RUNNING: Mutex<BTreeSet<u32>> = Mutex::new(BTreeSet::new());

/// A group that is known until this is dropped: its id may belong to other processes from then on.
#[derive(Debug)]
pub(super) struct Registered(u32);

impl Registered {
    pub(super) fn new(id: u32) -> Self {
        lock().insert(id);
        Self(id)
    }
}

impl Drop for Registered {
    fn drop(&mut self) {
        lock().remove(&self.0);
    }
}

fn lock() -> MutexGuard<'static, BTreeSet<u32>> {
    RUNNING.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Kills all credential plugins that run, with the processes that they started. For a process that ends at once: nothing is dropped then.
pub fn kill_plugins() {
    #[cfg(unix)]
    {
        use rustix::process::{Pid, Signal, kill_process_group};

        // Not `lock`: the thread that ends the process after a panic may have the lock.
        let Ok(running) = RUNNING.try_lock() else { return };
        for id in running.iter().filter_map(|id| Pid::from_raw(i32::try_from(*id).ok()?)) {
            // Fails if nothing is left.
            let _ = kill_process_group(id, Signal::KILL);
        }
    }
}
