//! Windows: its functions, which write to places given to them.
#![expect(unsafe_code, reason = "the system is asked by foreign calls")]

use std::mem::zeroed;

use windows_sys::Win32::Foundation::FILETIME;
use windows_sys::Win32::System::ProcessStatus::{
    K32GetProcessMemoryInfo, PROCESS_MEMORY_COUNTERS, PROCESS_MEMORY_COUNTERS_EX,
};
use windows_sys::Win32::System::Threading::{GetCurrentProcess, GetProcessHandleCount, GetProcessTimes};

use super::Usage;

/// How many handles a process may have.
const HANDLES: u64 = 1 << 24;
/// From the beginning of Windows' time, 1601, to that of Unix, in seconds.
const EPOCH: f64 = 11_644_473_600.0;

pub(crate) fn now() -> Usage {
    let times = times();
    let memory = memory();
    Usage {
        cpu_seconds: times.map(|(_, cpu)| cpu),
        open_files: handles(),
        open_files_limit: Some(HANDLES),
        resident_bytes: memory.and_then(|memory| memory.WorkingSetSize.try_into().ok()),
        virtual_bytes: memory.and_then(|memory| memory.PrivateUsage.try_into().ok()),
        started: times.map(|(started, _)| started - EPOCH),
    }
}

/// When the process began, and the processor time it had, in seconds.
fn times() -> Option<(f64, f64)> {
    let [mut created, mut exited, mut system, mut user] = [FILETIME { dwLowDateTime: 0, dwHighDateTime: 0 }; 4];
    // SAFETY: takes nothing.
    let process = unsafe { GetCurrentProcess() };
    // SAFETY: the process is this one; the places outlive the call.
    let told = unsafe { GetProcessTimes(process, &raw mut created, &raw mut exited, &raw mut system, &raw mut user) };
    (told != 0).then(|| (seconds(created), seconds(system) + seconds(user)))
}

fn memory() -> Option<PROCESS_MEMORY_COUNTERS_EX> {
    // SAFETY: of numbers only, for which zero is a value.
    let mut memory: PROCESS_MEMORY_COUNTERS_EX = unsafe { zeroed() };
    let size = u32::try_from(size_of::<PROCESS_MEMORY_COUNTERS_EX>()).ok()?;
    // SAFETY: takes nothing.
    let process = unsafe { GetCurrentProcess() };
    let place = (&raw mut memory).cast::<PROCESS_MEMORY_COUNTERS>();
    // SAFETY: the process is this one; the place has the size that is given, by which the function tells the two forms apart, and
    // outlives the call.
    let told = unsafe { K32GetProcessMemoryInfo(process, place, size) };
    (told != 0).then_some(memory)
}

/// How many handles are open; none where the system does not count them, as Wine does not.
fn handles() -> Option<u64> {
    let mut handles = 0;
    // SAFETY: takes nothing.
    let process = unsafe { GetCurrentProcess() };
    // SAFETY: the process is this one; the place outlives the call.
    let told = unsafe { GetProcessHandleCount(process, &raw mut handles) };
    (told != 0 && handles > 0).then_some(u64::from(handles))
}

/// A time counts tenths of a millionth of a second.
fn seconds(time: FILETIME) -> f64 {
    (f64::from(time.dwHighDateTime) * 4_294_967_296.0 + f64::from(time.dwLowDateTime)) / 1e7
}
