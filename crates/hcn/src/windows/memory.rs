//! Owns strings that HNS allocates, and frees them.
#![expect(unsafe_code, reason = "texts of HNS are read through pointers and freed by a foreign call")]

use std::ptr::null_mut;

use windows_sys::Win32::System::Com::CoTaskMemFree;
use windows_sys::core::{PCWSTR, PWSTR};

use super::text::decode;

/// An out parameter for a string of HNS. Owns the string from the moment it is stored, and frees it when dropped.
#[derive(Debug)]
pub(super) struct Text(PWSTR);

impl Text {
    /// Creates one that holds null.
    pub(super) fn empty() -> Self {
        Self(null_mut())
    }

    /// Where the callee stores null, or a string to free with `CoTaskMemFree`. For one call only.
    pub(super) fn out(&mut self) -> *mut PWSTR {
        &raw mut self.0
    }

    /// The string, or `None` if none was stored.
    pub(super) fn read(&self) -> Option<String> {
        // SAFETY: what HNS stored is null or a text with a NUL at its end, ours alone, not freed before the drop of `self`.
        unsafe { read(self.0) }
    }
}

impl Drop for Text {
    fn drop(&mut self) {
        // SAFETY: null, which is allowed, or allocated with CoTaskMemAlloc as HNS documents; freed nowhere else.
        unsafe { CoTaskMemFree(self.0.cast()) }
    }
}

/// Copies a string of Windows; `None` for null.
///
/// # Safety
/// `text` is null, or aligned and readable up to and with its first NUL, and nobody writes to it meanwhile.
pub(super) unsafe fn read(text: PCWSTR) -> Option<String> {
    if text.is_null() {
        return None;
    }
    let mut length = 0;
    loop {
        let unit = text.wrapping_add(length);
        // SAFETY: all units before this one were not NUL, so by the contract this one can be read.
        if unsafe { unit.read() } == 0 {
            break;
        }
        length += 1;
    }
    // SAFETY: the loop has read `length` units, all part of one allocation; nobody writes to them while the slice lives.
    let units = unsafe { std::slice::from_raw_parts(text, length) };
    Some(decode(units))
}

#[cfg(test)]
mod tests {
    use super::*;
    use windows_sys::Win32::System::Com::CoTaskMemAlloc;

    /// A text as HNS would store it.
    fn store(units: &[u16], out: *mut PWSTR) {
        // SAFETY: no conditions.
        let memory = unsafe { CoTaskMemAlloc(size_of_val(units)) }.cast::<u16>();
        assert!(!memory.is_null());
        // SAFETY: just allocated, of this size, and apart from `units`.
        unsafe { memory.copy_from_nonoverlapping(units.as_ptr(), units.len()) };
        // SAFETY: `out` is a place of a `Text` that lives.
        unsafe { out.write(memory) };
    }

    #[test]
    fn a_stored_text_is_read_up_to_its_nul_and_freed() {
        let mut text = Text::empty();
        store(&[0x7b, 0xd83e, 0x7d, 0, 0x7d, 0], text.out());
        assert_eq!(text.read().as_deref(), Some("{\u{fffd}}"));
        assert_eq!(text.read().as_deref(), Some("{\u{fffd}}"));
    }

    #[test]
    fn nothing_stored_is_no_text_and_an_empty_text_is_one() {
        let mut text = Text::empty();
        assert_eq!(text.read(), None);
        store(&[0], text.out());
        assert_eq!(text.read().as_deref(), Some(""));
    }
}
