//! Owns open objects of HNS, and closes them when dropped.
#![expect(unsafe_code, reason = "handles of HNS are closed by a foreign call and used from any thread")]

use std::ffi::c_void;
use std::mem::ManuallyDrop;
use std::ptr::NonNull;

use super::functions::family;
use crate::kind::Kind;
use crate::{Error, Hresult};

/// Owns the handle of an open object.
#[derive(Debug)]
pub(super) struct Object {
    kind: Kind,
    handle: NonNull<c_void>,
}

// SAFETY: a handle of HNS belongs to the process, so any thread may use and close it. Go clients rely on that: their goroutines move
// between threads.
unsafe impl Send for Object {}
// SAFETY: the handle is only passed to HNS, which accepts concurrent calls. Closing requires ownership.
unsafe impl Sync for Object {}

impl Object {
    /// Takes ownership of a handle that HNS stored; `None` for null.
    ///
    /// # Safety
    /// `handle` is null, or an open handle of this kind that nothing else closes.
    pub(super) unsafe fn from_raw(kind: Kind, handle: *mut c_void) -> Option<Self> {
        NonNull::new(handle).map(|handle| Self { kind, handle })
    }

    /// The handle, open as long as `self` lives.
    pub(super) fn raw(&self) -> *const c_void {
        self.handle.as_ptr()
    }

    /// Closes the object and reports the result. The handle is invalid afterwards in any case.
    ///
    /// # Errors
    /// [`Error::Hns`] with the code of HNS; [`Error::Missing`] if this system lacks the function.
    pub(super) fn close(self, function: &'static str) -> Result<(), Error> {
        // Dropping the object would close the handle a second time.
        let this = ManuallyDrop::new(self);
        let code = this.close_once()?;
        if code.is_success() { Ok(()) } else { Err(Error::hns(function, code)) }
    }

    /// Must be called once, as the last use of the object.
    fn close_once(&self) -> Result<Hresult, Error> {
        let close = family(self.kind).close.get()?;
        let handle = self.raw();
        // SAFETY: the function closes handles of this kind. The handle is open, and nothing else uses it: both callers own the
        // object and do not use it again.
        let code = unsafe { close(handle) };
        Ok(Hresult(code.cast_unsigned()))
    }
}

impl Drop for Object {
    fn drop(&mut self) {
        // A caller that needs the result calls `close`. A handle that HNS does not close stays open: nothing can be done about it.
        let _ = self.close_once();
    }
}
