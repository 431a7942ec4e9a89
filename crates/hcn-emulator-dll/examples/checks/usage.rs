//! The resources that this process uses.
#![expect(unsafe_code, reason = "calls functions of Windows")]

use std::fmt;
use std::mem::zeroed;
use std::ptr::null;

use windows_sys::Win32::Foundation::CloseHandle;
use windows_sys::Win32::System::ProcessStatus::{K32GetProcessMemoryInfo, PROCESS_MEMORY_COUNTERS};
use windows_sys::Win32::System::Threading::{CreateEventW, GetCurrentProcess, GetProcessHandleCount};

/// Handles, and memory in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Usage {
    /// Open handles; 0 under Wine, which does not count them.
    pub(super) handles: u32,
    /// The value of a new handle, the lowest free one: it grows if handles leak.
    pub(super) next_handle: usize,
    /// Files and sockets of the host system, under Wine.
    pub(super) files: usize,
    /// The pages in memory.
    pub(super) working_set: usize,
}

impl Usage {
    pub(super) fn now() -> Self {
        let mut handles = 0;
        // SAFETY: the function has no arguments.
        let process = unsafe { GetCurrentProcess() };
        // SAFETY: the handle is that of this process; the variable outlives the call.
        let counted = unsafe { GetProcessHandleCount(process, &raw mut handles) };
        // SAFETY: the structure has only numbers, for which zero is valid.
        let mut memory: PROCESS_MEMORY_COUNTERS = unsafe { zeroed() };
        let size = u32::try_from(size_of::<PROCESS_MEMORY_COUNTERS>()).unwrap_or_default();
        // SAFETY: the handle is that of this process; the variable has the given size, and outlives the call.
        let measured = unsafe { K32GetProcessMemoryInfo(process, &raw mut memory, size) };
        Self {
            handles: if counted == 0 { 0 } else { handles },
            next_handle: next_handle(),
            files: std::fs::read_dir(r"Z:\proc\self\fd").map_or(0, Iterator::count),
            working_set: if measured == 0 { 0 } else { memory.WorkingSetSize },
        }
    }
}

fn next_handle() -> usize {
    // SAFETY: null means no attributes and no name; the handle is closed below.
    let event = unsafe { CreateEventW(null(), 0, 0, null()) };
    // SAFETY: the handle was created above; a null handle is rejected.
    let _ = unsafe { CloseHandle(event) };
    event.addr()
}

impl fmt::Display for Usage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { handles, next_handle, files, working_set } = self;
        write!(f, "{handles} handles (the next is {next_handle}), {files} files, {} KB", working_set / 1024)
    }
}
