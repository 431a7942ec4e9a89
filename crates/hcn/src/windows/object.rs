//! Open objects of HNS, closed when dropped.
#![expect(unsafe_code, reason = "handles of HNS are closed by a foreign call and used from any thread")]

use std::ffi::c_void;
use std::mem::ManuallyDrop;
use std::ptr::NonNull;

use super::functions::family;
use crate::kind::Kind;
use crate::{Error, Hresult};

/// An open object. Owns its handle.
#[derive(Debug)]
pub(super) struct Object {
    kind: Kind,
    handle: NonNull<c_void>,
}

// SAFETY: a handle of HNS belongs to the process, not to a thread: it may be used and closed on any. Go clients, whose calls wander
// between threads of the system, rely on that.
unsafe impl Send for Object {}
// SAFETY: the handle is only ever passed to HNS, which takes calls on many threads; closing needs the only reference.
unsafe impl Sync for Object {}

impl Object {
    /// Takes ownership of what HNS stored as a handle; `None` for null.
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

    /// Closes the object, to learn how that went. Afterwards the handle is gone in any case.
    ///
    /// # Errors
    /// As HNS says; [`Error::Missing`] where this system has no function to close it.
    pub(super) fn close(self, function: &'static str) -> Result<(), Error> {
        // The drop would close it a second time.
        let this = ManuallyDrop::new(self);
        let code = this.close_once()?;
        if code.is_success() { Ok(()) } else { Err(Error::hns(function, code)) }
    }

    /// To be called once, and last.
    fn close_once(&self) -> Result<Hresult, Error> {
        let close = family(self.kind).close.get()?;
        let handle = self.raw();
        // SAFETY: the function is the one that closes handles of this kind; the handle is open and ours alone, since both callers
        // own the object and use it no more.
        let code = unsafe { close(handle) };
        Ok(Hresult(code.cast_unsigned()))
    }
}

impl Drop for Object {
    fn drop(&mut self) {
        // Whoever wants to know how it went calls `close`. There is nothing else to do about a handle that HNS does not take back.
        let _ = self.close_once();
    }
}
