//! Registered callbacks. Each is a subscription to the service, with a thread and a connection of its own.
#![expect(unsafe_code, reason = "callbacks are functions of the caller")]

use std::collections::HashMap;
use std::ffi::c_void;
use std::ptr::null_mut;
use std::sync::{Mutex, MutexGuard, Once, PoisonError};

use hcn::Hresult;
use hcn::call::Handle;
use hcn::notification::{Listener, Notification, Subscription};
use windows_sys::Win32::System::LibraryLoader::{
    GET_MODULE_HANDLE_EX_FLAG_FROM_ADDRESS, GET_MODULE_HANDLE_EX_FLAG_PIN, GetModuleHandleExW,
};
use windows_sys::core::{HRESULT, PCWSTR};

use crate::carry;

pub(crate) type Callback = unsafe extern "system" fn(u32, *const c_void, HRESULT, PCWSTR);

struct Registrations {
    by_number: Option<HashMap<u64, Subscription>>,
    last: u64,
}

static REGISTRATIONS: Mutex<Registrations> = Mutex::new(Registrations { by_number: None, last: 0 });

fn registrations() -> MutexGuard<'static, Registrations> {
    REGISTRATIONS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The context of the caller, passed back with each notification.
struct Context(*const c_void);

// SAFETY: the pointer is only passed back, never dereferenced here.
unsafe impl Send for Context {}
// SAFETY: as above.
unsafe impl Sync for Context {}

impl Context {
    fn get(&self) -> *const c_void {
        self.0
    }
}

/// A listener that calls a callback.
///
/// # Safety
/// The callback may be called with this context, on any thread, as long as the listener lives.
pub(crate) unsafe fn listener(callback: Callback, context: *const c_void) -> Listener {
    let context = Context(context);
    Box::new(move |Notification { event, status, document }| {
        let units: Vec<u16> = document.encode_utf16().chain([0]).collect();
        // The disconnection has no document.
        let data = if document.is_empty() { std::ptr::null() } else { units.as_ptr() };
        // SAFETY: by the contract of `listener`; the document ends with NUL and outlives the call.
        unsafe { callback(event.into(), context.get(), status.0.cast_signed(), data) }
    })
}

/// Registers a listener.
pub(crate) fn add(listener: Listener) -> Result<Handle, Hresult> {
    pin_module();
    // Without the lock, since this calls the service.
    let subscription = carry::subscribe(listener)?;
    let mut registrations = registrations();
    registrations.last += 1;
    let number = registrations.last;
    registrations.by_number.get_or_insert_default().insert(number, subscription);
    Ok(Handle(number))
}

/// Removes a registration.
pub(crate) fn remove(registration: Handle) -> Result<(), Hresult> {
    let subscription = registrations().by_number.as_mut().and_then(|by_number| by_number.remove(&registration.0));
    // Without the lock: the drop waits for a call in progress, which may register or unregister.
    subscription.map(drop).ok_or(Hresult::E_HANDLE)
}

/// Keeps this DLL loaded until the process ends, since its threads run its code.
fn pin_module() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let here: fn() = pin_module;
        let mut module = null_mut();
        let flags = GET_MODULE_HANDLE_EX_FLAG_PIN | GET_MODULE_HANDLE_EX_FLAG_FROM_ADDRESS;
        // SAFETY: with FROM_ADDRESS, the second argument is any address inside the module; the variable outlives the call. A failure
        // only leaves the DLL unpinned.
        let _ = unsafe { GetModuleHandleExW(flags, here as *const u16, &raw mut module) };
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_service_nothing_is_registered() {
        assert_eq!(add(Box::new(|_| ())), Err(Hresult::RPC_S_SERVER_UNAVAILABLE));
        assert_eq!(remove(Handle(1)), Err(Hresult::E_HANDLE));
    }
}
