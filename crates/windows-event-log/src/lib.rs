//! Writes events to the Application log of the Windows event log, and registers their source. Empty on other systems.
#![cfg(windows)]
#![expect(unsafe_code, reason = "the event log and the registry are used by foreign calls")]

use std::io;
use std::ptr::{null, null_mut};

use windows_sys::Win32::Foundation::{ERROR_FILE_NOT_FOUND, ERROR_SUCCESS};
use windows_sys::Win32::System::EventLog::{
    DeregisterEventSource, EVENTLOG_ERROR_TYPE, EVENTLOG_INFORMATION_TYPE, EVENTLOG_WARNING_TYPE, RegisterEventSourceW,
    ReportEventW,
};
use windows_sys::Win32::System::Registry::{HKEY_LOCAL_MACHINE, REG_EXPAND_SZ, RegDeleteKeyW, RegSetKeyValueW};

/// The key with the sources of the Application log.
const SOURCES: &str = r"SYSTEM\CurrentControlSet\Services\EventLog\Application";
/// A program of Windows. Its messages 1 to 1000 are `%1`, so they show the text of an event unchanged.
const MESSAGE_FILE: &str = r"%SystemRoot%\System32\EventCreate.exe";
const EVENT_ID: u32 = 1;
/// The limit of [`ReportEventW`] for one string is 31 839 characters.
const MAX_UNITS: usize = 31_000;

/// Converts a text to UTF-16 that ends with NUL. NUL characters inside the text are left out.
fn wide(text: &str) -> Vec<u16> {
    let units = text.encode_utf16().filter(|unit| *unit != 0);
    units.take(MAX_UNITS).chain([0]).collect()
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    Information,
    Warning,
    Error,
}

/// Writes an event. Blocks until the event log has it.
///
/// # Errors
/// If Windows returns an error. A source that is not registered is not an error: the event viewer then adds that the description is missing.
pub fn report(source: &str, level: Level, text: &str) -> io::Result<()> {
    let level = match level {
        Level::Information => EVENTLOG_INFORMATION_TYPE,
        Level::Warning => EVENTLOG_WARNING_TYPE,
        Level::Error => EVENTLOG_ERROR_TYPE,
    };
    let (source, text) = (wide(source), wide(text));
    // SAFETY: `source` ends with NUL, and lives until the call returns. A null server is this computer.
    let log = unsafe { RegisterEventSourceW(null(), source.as_ptr()) };
    if log.is_null() {
        return Err(io::Error::last_os_error());
    }
    let texts = [text.as_ptr()];
    // SAFETY: `log` is open. `texts` has one pointer, to a text that ends with NUL, and both live until the call returns. There is no user
    // and no data.
    let reported = unsafe { ReportEventW(log, level, 0, EVENT_ID, null_mut(), 1, 0, texts.as_ptr(), null()) };
    let result = if reported == 0 { Err(io::Error::last_os_error()) } else { Ok(()) };
    // SAFETY: `log` is open, and not used again. An error of this call means nothing for the event.
    let _ = unsafe { DeregisterEventSource(log) };
    result
}

/// Registers a source, so that the event viewer shows only the texts of its events. Needs the rights of an administrator.
///
/// # Errors
/// If the registry cannot be written.
pub fn register(source: &str) -> io::Result<()> {
    let (key, name, value) = (key(source), wide("EventMessageFile"), wide(MESSAGE_FILE));
    let bytes = u32::try_from(size_of_val(value.as_slice())).map_err(io::Error::other)?;
    // SAFETY: the key, the name and the value end with NUL, `bytes` is the size of the value, and all live until the call returns.
    let code = unsafe {
        RegSetKeyValueW(HKEY_LOCAL_MACHINE, key.as_ptr(), name.as_ptr(), REG_EXPAND_SZ, value.as_ptr().cast(), bytes)
    };
    result(code)
}

/// Undoes [`register`]. A source that is not registered is not an error.
///
/// # Errors
/// If the registry cannot be written.
pub fn unregister(source: &str) -> io::Result<()> {
    let key = key(source);
    // SAFETY: the key ends with NUL, and lives until the call returns.
    let code = unsafe { RegDeleteKeyW(HKEY_LOCAL_MACHINE, key.as_ptr()) };
    if code == ERROR_FILE_NOT_FOUND { Ok(()) } else { result(code) }
}

fn key(source: &str) -> Vec<u16> {
    wide(&format!(r"{SOURCES}\{source}"))
}

fn result(code: u32) -> io::Result<()> {
    match code {
        ERROR_SUCCESS => Ok(()),
        code => Err(io::Error::from_raw_os_error(code.cast_signed())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A name that no other program has.
    const SOURCE: &str = "hnsproxy-test";

    #[test]
    fn a_source_is_registered_and_unregistered_any_number_of_times() {
        for _ in 0..2 {
            register(SOURCE).unwrap();
            for level in [Level::Information, Level::Warning, Level::Error] {
                report(SOURCE, level, "an event\0 of a test").unwrap();
            }
            unregister(SOURCE).unwrap();
            unregister(SOURCE).unwrap();
        }
    }
}
