//! Delivers notifications of HNS to a listener until the registration is dropped.
//!
//! Whether unregistering waits for running callbacks is not documented. The context of a callback is therefore a number and not a
//! pointer: a late callback finds no listener for the number, and nothing is used after it is freed.
#![expect(unsafe_code, reason = "callbacks are registered by foreign calls, and called from foreign code")]

use std::collections::HashMap;
use std::ffi::c_void;
use std::ptr::{NonNull, null_mut, without_provenance};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use windows_sys::core::{HRESULT, PCWSTR};

use super::functions::{REGISTER, UNREGISTER};
use super::memory::read;
use crate::notification::{Event, Gate, Listener, Notification};
use crate::{Error, Hresult};

/// Listeners by the number that HNS passes to the callback as context.
struct Listeners {
    last: usize,
    by_number: Option<HashMap<usize, Arc<Gate>>>,
}

static LISTENERS: Mutex<Listeners> = Mutex::new(Listeners { last: 0, by_number: None });

fn listeners() -> MutexGuard<'static, Listeners> {
    // No panic can leave the listeners inconsistent, so a poisoned lock is usable.
    LISTENERS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Closes and removes the gate of a listener when dropped.
#[derive(Debug)]
struct Number(usize);

impl Number {
    fn of(listener: Listener) -> Self {
        let gate = Gate::new(listener);
        let mut listeners = listeners();
        listeners.last += 1;
        let number = listeners.last;
        listeners.by_number.get_or_insert_default().insert(number, gate);
        Self(number)
    }
}

impl Drop for Number {
    fn drop(&mut self) {
        let removed = listeners().by_number.as_mut().and_then(|by_number| by_number.remove(&self.0));
        if let Some(gate) = removed {
            gate.close();
        }
    }
}

/// A registration with HNS. Dropping it unregisters; the listener is not called afterwards.
#[derive(Debug)]
pub(super) struct Registration {
    registration: Option<NonNull<c_void>>,
    // Dropped after `Drop::drop` has unregistered.
    _number: Number,
}

// SAFETY: the registration belongs to the process. Any thread may unregister it, which is its only use.
unsafe impl Send for Registration {}
// SAFETY: a shared reference gives access to nothing.
unsafe impl Sync for Registration {}

/// Registers a listener. HNS calls it on threads of its own.
///
/// The listener should not drop the registration: unregistering may wait for the listener, a deadlock.
///
/// # Errors
/// [`Error::Missing`] if this system has no notifications; [`Error::Hns`] if HNS rejects the registration.
pub(super) fn subscribe(listener: Listener) -> Result<Registration, Error> {
    let register = REGISTER.get()?;
    // Do not register without a way to unregister.
    UNREGISTER.get()?;
    let number = Number::of(listener);
    let context = without_provenance::<c_void>(number.0);
    let mut registration = null_mut();
    let registration_out = &raw mut registration;
    // SAFETY: the signature is checked against the metadata. The callback is a static function, and reads no pointer except the
    // string that HNS passes to it. The context is a number. The out parameter is null and outlives the call.
    let code = unsafe { register(Some(notify), context, registration_out) };
    let code = Hresult(code.cast_unsigned());
    if !code.is_success() {
        return Err(Error::hns("HcnRegisterServiceCallback", code));
    }
    Ok(Registration { registration: NonNull::new(registration), _number: number })
}

impl Drop for Registration {
    fn drop(&mut self) {
        let Some(registration) = self.registration else { return };
        let Ok(unregister) = UNREGISTER.get() else { return };
        let registration = registration.as_ptr().cast_const();
        // SAFETY: the signature is checked against the metadata. The registration comes from HNS, and is unregistered only here, once.
        // If HNS rejects that, later callbacks find no listener.
        let _ = unsafe { unregister(registration) };
    }
}

/// The callback for HNS.
///
/// # Safety
/// `data` is null, or a string that ends with NUL and that nothing writes to during the call. HNS documents that.
unsafe extern "system" fn notify(event: u32, context: *const c_void, status: HRESULT, data: PCWSTR) {
    let number = context.addr();
    let gate = listeners().by_number.as_ref().and_then(|by_number| by_number.get(&number).cloned());
    let Some(gate) = gate else { return };
    // SAFETY: by the contract of this function.
    let document = unsafe { read(data) }.unwrap_or_default();
    gate.deliver(Notification { event: Event::from(event), status: Hresult(status.cast_unsigned()), document });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::windows::text::Wide;
    use std::sync::mpsc::channel;

    fn call(number: usize, event: u32, data: Option<&str>) {
        let text = data.map(|data| Wide::new("F", data).unwrap());
        let pointer = text.as_ref().map_or(std::ptr::null(), Wide::pointer);
        // SAFETY: the pointer is null, or a string that outlives the call.
        unsafe { notify(event, without_provenance(number), 0, pointer) }
    }

    #[test]
    fn notifications_reach_their_own_listener_until_it_is_removed() {
        let (sender, receiver) = channel();
        let other = Number::of(Box::new(|notification| panic!("{notification:?}")));
        let number = Number::of(Box::new(move |notification| sender.send(notification).unwrap()));
        let raw = number.0;
        call(raw, 4, Some(r#"{"ID":"x"}"#));
        call(raw, 0x0100_0000, None);
        drop(number);
        call(raw, 4, Some("late"));
        call(0, 4, None);
        let status = Hresult::S_OK;
        let expected = [
            Notification { event: Event::NetworkDelete, status, document: r#"{"ID":"x"}"#.into() },
            Notification { event: Event::ServiceDisconnect, status, document: String::new() },
        ];
        assert_eq!(receiver.iter().collect::<Vec<_>>(), expected);
        drop(other);
    }

    #[test]
    fn a_listener_may_subscribe_and_panic() {
        let number = Number::of(Box::new(|_| {
            drop(Number::of(Box::new(|_| ())));
            panic!("on purpose");
        }));
        call(number.0, 1, None);
        call(number.0, 1, None);
    }
}
