//! Loads DLLs and looks up their functions, each at its first use.
//!
//! Only System32 is searched, so that a DLL of the same name beside the program or in the current directory is never loaded. A loaded DLL
//! stays loaded. A missing DLL is looked up again at the next use, so that a Windows feature that is installed later is found.
#![expect(unsafe_code, reason = "DLLs are loaded and their functions looked up by foreign calls")]

use std::ffi::CStr;
use std::io;
use std::mem::transmute_copy;
use std::ptr::null_mut;
use std::sync::OnceLock;

use windows_sys::Win32::Foundation::{FARPROC, HMODULE};
use windows_sys::Win32::System::LibraryLoader::{GetProcAddress, LOAD_LIBRARY_SEARCH_SYSTEM32, LoadLibraryExW};

use super::text::Wide;
use crate::Error;

/// A type of function pointer.
///
/// # Safety
/// Implement it only for `unsafe extern "system" fn` types: [`Function`] converts addresses to this type.
pub(super) unsafe trait Signature: Copy + Send + Sync + 'static {}

/// A DLL of Windows.
#[derive(Debug)]
pub(super) struct Dll {
    name: &'static str,
    module: OnceLock<Module>,
}

#[derive(Debug, Clone, Copy)]
struct Module(HMODULE);

// SAFETY: a module handle is valid in the whole process, and the module is never unloaded.
unsafe impl Send for Module {}
// SAFETY: as above. The handle is only passed to GetProcAddress, which may be called from any thread.
unsafe impl Sync for Module {}

impl Dll {
    /// Does not load the DLL yet.
    pub(super) const fn new(name: &'static str) -> Self {
        Self { name, module: OnceLock::new() }
    }

    fn module(&self) -> Result<Module, Error> {
        if let Some(module) = self.module.get() {
            return Ok(*module);
        }
        let name = Wide::new("LoadLibraryExW", self.name)?;
        // SAFETY: the name ends with NUL and outlives the call. The reserved file handle must be null, and is. Only System32 is
        // searched, so only the entry point of a system DLL runs.
        let module = unsafe { LoadLibraryExW(name.pointer(), null_mut(), LOAD_LIBRARY_SEARCH_SYSTEM32) };
        if module.is_null() {
            return Err(Error::Missing { what: self.name.to_owned(), reason: io::Error::last_os_error().to_string() });
        }
        // Two threads that load it at the same time get the same module. Nothing decrements its reference count.
        Ok(*self.module.get_or_init(|| Module(module)))
    }

    fn address(&self, name: &CStr) -> Result<FARPROC, Error> {
        let module = self.module()?;
        // SAFETY: the module is loaded and never unloaded. The name ends with NUL and outlives the call.
        let address = unsafe { GetProcAddress(module.0, name.as_ptr().cast()) };
        if address.is_none() {
            let reason = io::Error::last_os_error().to_string();
            return Err(Error::Missing { what: format!("{} of {}", name.to_string_lossy(), self.name), reason });
        }
        Ok(address)
    }
}

/// A function of a DLL.
#[derive(Debug)]
pub(super) struct Function<F> {
    dll: &'static Dll,
    name: &'static CStr,
    found: OnceLock<F>,
}

impl<F: Signature> Function<F> {
    /// Does not look up the function yet. `F` must be the signature of the export: callers rely on that.
    pub(super) const fn new(dll: &'static Dll, name: &'static CStr) -> Self {
        Self { dll, name, found: OnceLock::new() }
    }

    #[cfg(test)]
    pub(super) fn name(&self) -> &'static CStr {
        self.name
    }

    /// Looks up the function.
    ///
    /// # Errors
    /// [`Error::Missing`] if this system lacks the DLL or the function.
    pub(super) fn get(&self) -> Result<F, Error> {
        const { assert!(size_of::<F>() == size_of::<FARPROC>()) };
        if let Some(function) = self.found.get() {
            return Ok(*function);
        }
        let address = self.dll.address(self.name)?;
        // SAFETY: the sizes are equal, as asserted above. By the contract of `Signature`, `F` is a type of function pointer, which is
        // valid for any address except null, and `address` is not null. Whether the signature is right matters at the call.
        let function = unsafe { transmute_copy::<FARPROC, F>(&address) };
        Ok(*self.found.get_or_init(|| function))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Class;

    type NoArguments = unsafe extern "system" fn() -> u32;
    // SAFETY: a type of function pointer.
    unsafe impl Signature for NoArguments {}

    #[test]
    fn an_existing_function_is_found() {
        static KERNEL: Dll = Dll::new("kernel32.dll");
        static PROCESS: Function<NoArguments> = Function::new(&KERNEL, c"GetCurrentProcessId");
        for _ in 0..2 {
            let function = PROCESS.get().unwrap();
            // SAFETY: GetCurrentProcessId has no parameters and no preconditions, and returns a u32.
            assert_eq!(unsafe { function() }, std::process::id());
        }
    }

    #[test]
    fn an_absent_dll_is_missing() {
        static NONE: Dll = Dll::new("hcn-no-such.dll");
        static FUNCTION: Function<NoArguments> = Function::new(&NONE, c"Any");
        let error = FUNCTION.get().unwrap_err();
        assert_eq!(error.class(), Class::Unsupported);
        let Error::Missing { what, reason } = error else { panic!("{error}") };
        assert_eq!(what, "hcn-no-such.dll");
        assert!(reason.contains("os error 126"), "{reason}");
    }

    #[test]
    fn an_absent_function_is_missing() {
        static KERNEL: Dll = Dll::new("kernel32.dll");
        static FUNCTION: Function<NoArguments> = Function::new(&KERNEL, c"HcnNoSuchFunction");
        let Err(Error::Missing { what, reason }) = FUNCTION.get() else { panic!() };
        assert_eq!(what, "HcnNoSuchFunction of kernel32.dll");
        assert!(reason.contains("os error 127"), "{reason}");
    }

    #[test]
    fn a_dll_beside_the_program_is_not_loaded() {
        let mut path = std::env::current_exe().unwrap();
        path.set_file_name("hcn-beside.dll");
        let system = std::env::var_os("SystemRoot").unwrap();
        std::fs::copy(std::path::Path::new(&system).join("system32/kernel32.dll"), &path).unwrap();
        static BESIDE: Dll = Dll::new("hcn-beside.dll");
        static FUNCTION: Function<NoArguments> = Function::new(&BESIDE, c"GetCurrentProcessId");
        let found = FUNCTION.get();
        std::fs::remove_file(&path).unwrap();
        assert!(matches!(found, Err(Error::Missing { what, .. }) if what == "hcn-beside.dll"));
    }
}
