//! Delivers notifications of HNS to a listener until the registration is dropped.
//!
//! Whether unregistering waits for running callbacks is not documented. HNS therefore gets no pointer: its context is a number, and a late
//! callback finds no listener under it, so that nothing is used after it is freed.
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

/// Listeners by the number that HNS has as context.
struct Listeners {
    last: usize,
    by_number: Option<HashMap<usize, Arc<Gate>>>,
}

static LISTENERS: Mutex<Listeners> = Mutex::new(Listeners { last: 0, by_number: None });

fn listeners() -> MutexGuard<'static, Listeners> {
    // Nothing that can panic happens between two changes that belong together.
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

/// A registration, removed when dropped. HNS cannot reach the listener afterwards.
#[derive(Debug)]
pub(super) struct Registration {
    registration: Option<NonNull<c_void>>,
    // Dropped after the registration is removed, by the order of `drop` and fields.
    _number: Number,
}

// SAFETY: the registration belongs to the process; it is only used to take it back, on whatever thread.
unsafe impl Send for Registration {}
// SAFETY: nothing can be done with a shared reference.
unsafe impl Sync for Registration {}

/// Registers a listener, which HNS calls on its own threads.
///
/// The listener should not drop the registration: HNS may wait for the listener in turn.
///
/// # Errors
/// [`Error::Missing`] if this system has no notifications; [`Error::Hns`] if HNS rejected the registration.
pub(super) fn subscribe(listener: Listener) -> Result<Registration, Error> {
    let register = REGISTER.get()?;
    // Do not register without a way to unregister.
    UNREGISTER.get()?;
    let number = Number::of(listener);
    let context = without_provenance::<c_void>(number.0);
    let mut registration = null_mut();
    let registration_out = &raw mut registration;
    // SAFETY: the signature is checked against the metadata. The callback lives as long as the program and follows no pointer but the
    // text it is given; the context is a number; the out parameter holds null and outlives the call.
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
        // SAFETY: the signature is checked against the metadata; HNS gave the registration out, and it is taken back only here, once.
        // Should HNS refuse, its callbacks find no listener.
        let _ = unsafe { unregister(registration) };
    }
}

/// The callback that HNS calls.
///
/// # Safety
/// `data` is null, or a text with a NUL at its end that nobody writes to during the call, as HNS documents.
unsafe extern "system" fn notify(event: u32, context: *const c_void, status: HRESULT, data: PCWSTR) {
    let number = context.addr();
    let gate = listeners().by_number.as_ref().and_then(|by_number| by_number.get(&number).cloned());
    let Some(gate) = gate else { return };
    // SAFETY: as the caller promises.
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
        // SAFETY: null, or a text that outlives the call.
        unsafe { notify(event, without_provenance(number), 0, pointer) }
    }

    #[test]
    fn notifications_reach_their_own_listener_until_it_is_forgotten() {
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
