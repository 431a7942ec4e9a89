//! What this process has of the system.
#![expect(unsafe_code, reason = "the system is asked by foreign calls")]

use std::fmt;
use std::mem::zeroed;
use windows_sys::Win32::System::ProcessStatus::{K32GetProcessMemoryInfo, PROCESS_MEMORY_COUNTERS};
use windows_sys::Win32::System::Threading::{GetCurrentProcess, GetProcessHandleCount};

/// Handles, and memory in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Usage {
    /// Open handles; 0 where the system does not count them.
    pub(super) handles: u32,
    /// Files and sockets of the system below, where this is Wine.
    pub(super) files: usize,
    /// The pages in memory.
    pub(super) working_set: usize,
}

impl Usage {
    /// What it is now.
    pub(super) fn now() -> Self {
        let mut handles = 0;
        // SAFETY: takes nothing.
        let process = unsafe { GetCurrentProcess() };
        // SAFETY: the process is this one; the place outlives the call.
        let counted = unsafe { GetProcessHandleCount(process, &raw mut handles) };
        // SAFETY: of numbers only, for which zero is a value.
        let mut memory: PROCESS_MEMORY_COUNTERS = unsafe { zeroed() };
        let size = u32::try_from(size_of::<PROCESS_MEMORY_COUNTERS>()).unwrap_or_default();
        // SAFETY: the process is this one; the place has the size that is given, and outlives the call.
        let measured = unsafe { K32GetProcessMemoryInfo(process, &raw mut memory, size) };
        Self {
            handles: if counted == 0 { 0 } else { handles },
            files: std::fs::read_dir(r"Z:\proc\self\fd").map_or(0, Iterator::count),
            working_set: if measured == 0 { 0 } else { memory.WorkingSetSize },
        }
    }
}

impl fmt::Display for Usage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { handles, files, working_set } = self;
        write!(f, "{handles} handles, {files} files, {} KB", working_set / 1024)
    }
}
