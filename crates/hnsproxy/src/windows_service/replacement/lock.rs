//! The lock of one replaced program: a file beside it, which the operating system unlocks when the process ends or crashes.

use std::fs::{File, OpenOptions, TryLockError};

use super::ReplaceError;
use super::record::Files;

/// Locks the program against another `service replace` or `service restore`, until the file is dropped.
///
/// # Errors
/// If another process has locked it, or the file cannot be locked.
pub(super) fn lock(files: &Files) -> Result<File, ReplaceError> {
    // It is never deleted: another process that has it open would then lock a deleted file.
    let file = OpenOptions::new().write(true).create(true).truncate(false).open(&files.lock)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(ReplaceError::Locked(files.program.clone())),
        Err(TryLockError::Error(error)) => Err(error.into()),
    }
}
