//! The process groups of the running credential plugins. On Unix, a plugin continues if the process ends without running destructors. On
//! Windows, its job object ends with the process.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The ids of the groups. They are the process ids of the plugins.
static RUNNING: Mutex<BTreeSet<u32>> = Mutex::new(BTreeSet::new());

/// Keeps the id of a group in [`RUNNING`]. Dropped when the plugin has ended, since other processes may then get the id.
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

/// Kills all running credential plugins, with the processes that they started. For a process that ends without running destructors.
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
