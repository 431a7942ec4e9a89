//! Converts arguments and results of the DLL: strings, ids and out parameters.
#![expect(unsafe_code, reason = "arguments are pointers of the caller, and strings are allocated by COM")]

use std::ffi::c_void;
use std::ptr::null_mut;

use hcn::call::Handle;
use hcn::{Guid, Hresult};
use windows_sys::Win32::System::Com::CoTaskMemAlloc;
use windows_sys::core::{GUID, PCWSTR, PWSTR};

/// Reads a string that ends with NUL; empty for a null pointer.
///
/// # Safety
/// The pointer is null, or points to UTF-16 units that end with NUL and do not change during the call.
pub(crate) unsafe fn text(pointer: PCWSTR) -> String {
    if pointer.is_null() {
        return String::new();
    }
    let mut length = 0;
    loop {
        // SAFETY: no unit before this one is NUL, so this unit belongs to the string.
        let unit = unsafe { pointer.add(length) };
        // SAFETY: as above.
        if unsafe { unit.read() } == 0 {
            break;
        }
        length += 1;
    }
    // SAFETY: the loop above has read `length` units.
    let units = unsafe { std::slice::from_raw_parts(pointer, length) };
    String::from_utf16_lossy(units)
}

/// Reads an id.
///
/// # Safety
/// The pointer is null, or points to an id.
pub(crate) unsafe fn id(pointer: *const GUID) -> Result<Guid, Hresult> {
    if pointer.is_null() {
        return Err(Hresult::E_INVALIDARG);
    }
    // SAFETY: not null, so it points to an id by the contract. Some callers keep ids in byte arrays, so it may be unaligned.
    let GUID { data1, data2, data3, data4 } = unsafe { pointer.read_unaligned() };
    Ok(Guid::from_fields(data1, data2, data3, &data4))
}

/// Reads a handle: the number that the service assigned, as a pointer value.
pub(crate) fn handle(pointer: *const c_void) -> Handle {
    Handle(u64::try_from(pointer.addr()).unwrap_or(0))
}

/// An out parameter of the caller, for a pointer. Set to NULL until a result is stored.
#[derive(Debug)]
pub(crate) struct Place<T>(*mut *mut T);

impl<T> Place<T> {
    /// The out parameter at an address; `None` for a null pointer.
    ///
    /// # Safety
    /// The address is null, or is that of a pointer that is writable as long as the result lives.
    pub(crate) unsafe fn new(address: *mut *mut T) -> Option<Self> {
        if address.is_null() {
            return None;
        }
        let mut place = Self(address);
        place.store(null_mut());
        Some(place)
    }

    fn store(&mut self, result: *mut T) {
        // SAFETY: not null, and writable by the contract of `new`.
        unsafe { self.0.write(result) }
    }
}

impl Place<u16> {
    /// Stores a string, which the caller frees.
    pub(crate) fn store_text(&mut self, text: &str) -> Result<(), Hresult> {
        self.store(allocate(text)?);
        Ok(())
    }
}

impl Place<c_void> {
    /// Stores a handle.
    pub(crate) fn store_handle(&mut self, handle: Handle) -> Result<(), Hresult> {
        let number = usize::try_from(handle.0).map_err(|_| Hresult::E_HANDLE)?;
        self.store(std::ptr::without_provenance_mut(number));
        Ok(())
    }
}

/// Allocates a string with a NUL at its end in COM memory.
fn allocate(text: &str) -> Result<PWSTR, Hresult> {
    let units: Vec<u16> = text.encode_utf16().chain([0]).collect();
    // SAFETY: any size is valid; a failure is null.
    let memory = unsafe { CoTaskMemAlloc(size_of_val(units.as_slice())) }.cast::<u16>();
    if memory.is_null() {
        return Err(Hresult::E_OUTOFMEMORY);
    }
    // SAFETY: the memory is new, has this size, and is aligned for any type.
    unsafe { memory.copy_from_nonoverlapping(units.as_ptr(), units.len()) };
    Ok(memory)
}

#[cfg(test)]
mod tests {
    use super::*;
    use windows_sys::Win32::System::Com::CoTaskMemFree;

    #[test]
    fn a_stored_string_is_read_back() {
        for sent in ["", "{}", "aé\u{1f980}"] {
            let mut result = std::ptr::dangling_mut();
            // SAFETY: the variable outlives `place`.
            let mut place = unsafe { Place::<u16>::new(&raw mut result) }.unwrap();
            place.store_text(sent).unwrap();
            // SAFETY: the string ends with NUL and was allocated here.
            assert_eq!(unsafe { text(result) }, sent);
            // SAFETY: the string was allocated above, and is not used again.
            unsafe { CoTaskMemFree(result.cast_const().cast()) };
        }
    }

    #[test]
    fn null_is_an_empty_string_an_invalid_id_and_no_out_parameter() {
        // SAFETY: null is allowed.
        assert_eq!(unsafe { text(std::ptr::null()) }, "");
        // SAFETY: null is allowed.
        assert_eq!(unsafe { id(std::ptr::null()) }, Err(Hresult::E_INVALIDARG));
        // SAFETY: null is allowed.
        assert!(unsafe { Place::<u16>::new(null_mut()) }.is_none());
    }

    #[test]
    fn an_id_has_the_layout_of_windows_and_a_handle_is_its_number() {
        let windows = GUID { data1: 0x0be0_7c06, data2: 0x1234, data3: 0x4abc, data4: [0x8d, 0xef, 0, 0, 0, 0, 0, 1] };
        // SAFETY: points to an id.
        let id = unsafe { id(&raw const windows) }.unwrap();
        assert_eq!(id.to_string(), "0be07c06-1234-4abc-8def-000000000001");
        assert_eq!(handle(std::ptr::without_provenance(7)), Handle(7));
    }
}
