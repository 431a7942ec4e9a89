//! Owns strings that HNS allocates, and frees them.
#![expect(unsafe_code, reason = "strings of HNS are read through pointers and freed by a foreign call")]

use std::ptr::null_mut;

use windows_sys::Win32::System::Com::CoTaskMemFree;
use windows_sys::core::{PCWSTR, PWSTR};

use super::text::decode;

/// An out parameter for a string of HNS. Owns the string from the moment it is stored, and frees it when dropped.
#[derive(Debug)]
pub(super) struct Text(PWSTR);

impl Text {
    /// A null pointer.
    pub(super) fn empty() -> Self {
        Self(null_mut())
    }

    /// The address at which the callee stores null, or a string to free with `CoTaskMemFree`. For one call only.
    pub(super) fn out(&mut self) -> *mut PWSTR {
        &raw mut self.0
    }

    /// `None` if no string was stored.
    pub(super) fn read(&self) -> Option<String> {
        // SAFETY: HNS stored null, or a string that ends with NUL. Only `self` owns it, and frees it when dropped.
        unsafe { read(self.0) }
    }
}

impl Drop for Text {
    fn drop(&mut self) {
        // SAFETY: the pointer is null, which is allowed, or was allocated with CoTaskMemAlloc, as HNS documents. Nothing else frees it.
        unsafe { CoTaskMemFree(self.0.cast()) }
    }
}

/// Copies a string of Windows; `None` for null.
///
/// # Safety
/// `text` is null, or aligned and readable up to and including its first NUL. Nothing writes to it during the call.
pub(super) unsafe fn read(text: PCWSTR) -> Option<String> {
    if text.is_null() {
        return None;
    }
    let mut length = 0;
    loop {
        let unit = text.wrapping_add(length);
        // SAFETY: no unit before this one is NUL, so this one is readable by the contract of this function.
        if unsafe { unit.read() } == 0 {
            break;
        }
        length += 1;
    }
    // SAFETY: the loop has read `length` units of one allocation. Nothing writes to them while the slice lives.
    let units = unsafe { std::slice::from_raw_parts(text, length) };
    Some(decode(units))
}

#[cfg(test)]
mod tests {
    use super::*;
    use windows_sys::Win32::System::Com::CoTaskMemAlloc;

    /// Stores a string as HNS does.
    fn store(units: &[u16], out: *mut PWSTR) {
        // SAFETY: CoTaskMemAlloc has no preconditions.
        let memory = unsafe { CoTaskMemAlloc(size_of_val(units)) }.cast::<u16>();
        assert!(!memory.is_null());
        // SAFETY: the memory was just allocated with the size of `units`, and does not overlap with it.
        unsafe { memory.copy_from_nonoverlapping(units.as_ptr(), units.len()) };
        // SAFETY: `out` comes from `Text::out`, and that `Text` is alive.
        unsafe { out.write(memory) };
    }

    #[test]
    fn a_stored_string_is_read_up_to_its_nul() {
        let mut text = Text::empty();
        store(&[0x7b, 0xd83e, 0x7d, 0, 0x7d, 0], text.out());
        assert_eq!(text.read().as_deref(), Some("{\u{fffd}}"));
        assert_eq!(text.read().as_deref(), Some("{\u{fffd}}"));
    }

    #[test]
    fn null_is_not_a_string_and_an_empty_string_is_one() {
        let mut text = Text::empty();
        assert_eq!(text.read(), None);
        store(&[0], text.out());
        assert_eq!(text.read().as_deref(), Some(""));
    }
}
