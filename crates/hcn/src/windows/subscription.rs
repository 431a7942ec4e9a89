//! Notifications of HNS, delivered to a function of ours until the subscription is dropped.
//!
//! Whether unregistering waits for callbacks that run is documented nowhere. So HNS never gets a pointer to anything of ours: its
//! context is a number, and a callback that comes late finds no function under it. Nothing can be used after it was freed.
#![expect(unsafe_code, reason = "callbacks are registered by foreign calls, and called from foreign code")]

use std::collections::HashMap;
use std::ffi::c_void;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::{NonNull, null_mut, without_provenance};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use windows_sys::core::{HRESULT, PCWSTR};

use super::functions::{REGISTER, UNREGISTER};
use super::memory::read;
use super::notification::{Event, Notification};
use crate::{Error, Hresult};

type Listener = dyn Fn(Notification) + Send + Sync;

/// The functions to call, by the number that HNS has as context.
struct Listeners {
    last: usize,
    by_number: Option<HashMap<usize, Arc<Listener>>>,
}

static LISTENERS: Mutex<Listeners> = Mutex::new(Listeners { last: 0, by_number: None });

fn listeners() -> MutexGuard<'static, Listeners> {
    // Nothing that can panic happens between two changes that belong together.
    LISTENERS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Forgets a function when dropped.
#[derive(Debug)]
struct Number(usize);

impl Number {
    fn of(listener: Arc<Listener>) -> Self {
        let mut listeners = listeners();
        listeners.last += 1;
        let number = listeners.last;
        listeners.by_number.get_or_insert_default().insert(number, listener);
        Self(number)
    }
}

impl Drop for Number {
    fn drop(&mut self) {
        let removed = listeners().by_number.as_mut().and_then(|by_number| by_number.remove(&self.0));
        // The lock is free again: what the function owns may do anything when dropped.
        drop(removed);
    }
}

/// A subscription; its end when dropped. From then on no notification is delivered; one that is being delivered may still finish.
#[derive(Debug)]
#[must_use = "dropping it ends the subscription"]
pub struct Subscription {
    registration: Option<NonNull<c_void>>,
    // Forgotten after the registration is taken back, by the order of `drop` and fields.
    _number: Number,
}

// SAFETY: the registration belongs to the process; it is only used to take it back, on whatever thread.
unsafe impl Send for Subscription {}
// SAFETY: nothing can be done with a shared reference.
unsafe impl Sync for Subscription {}

/// Has HNS call a function for each notification, on threads of Windows and possibly several at once.
///
/// The function must return soon: HNS may wait for it. A panic in it ends there. It must not drop the subscription: HNS may wait in
/// turn. HNS ends all subscriptions when it stops ([`Event::ServiceDisconnect`]); then subscribe again.
///
/// # Errors
/// [`Error::Missing`] where this system has no notifications; [`Error::Hns`] where HNS refused.
pub fn subscribe(listener: impl Fn(Notification) + Send + Sync + 'static) -> Result<Subscription, Error> {
    let register = REGISTER.get()?;
    // What can be registered but not taken back is not registered.
    UNREGISTER.get()?;
    let number = Number::of(Arc::new(listener));
    let context = without_provenance::<c_void>(number.0);
    let mut registration = null_mut();
    let registration_out = &raw mut registration;
    // SAFETY: the signature is checked against the metadata. The callback lives as long as the program and follows no pointer but the
    // text it is given; the context is a number; the place holds null and outlives the call.
    let code = unsafe { register(Some(notify), context, registration_out) };
    let code = Hresult(code.cast_unsigned());
    if !code.is_success() {
        return Err(Error::hns("HcnRegisterServiceCallback", code));
    }
    Ok(Subscription { registration: NonNull::new(registration), _number: number })
}

impl Drop for Subscription {
    fn drop(&mut self) {
        let Some(registration) = self.registration else { return };
        let Ok(unregister) = UNREGISTER.get() else { return };
        let registration = registration.as_ptr().cast_const();
        // SAFETY: the signature is checked against the metadata; HNS gave the registration out, and it is taken back only here, once.
        // Should HNS refuse, its callbacks find no function.
        let _ = unsafe { unregister(registration) };
    }
}

/// What HNS calls.
///
/// # Safety
/// `data` is null, or a text with a NUL at its end that nobody writes to during the call, as HNS documents.
unsafe extern "system" fn notify(event: u32, context: *const c_void, status: HRESULT, data: PCWSTR) {
    let number = context.addr();
    let listener = listeners().by_number.as_ref().and_then(|by_number| by_number.get(&number).cloned());
    let Some(listener) = listener else { return };
    // SAFETY: as the caller promises.
    let document = unsafe { read(data) }.unwrap_or_default();
    let notification = Notification { event: Event::from(event), status: Hresult(status.cast_unsigned()), document };
    // Unwinding into foreign code would end the process. The panic hook has told of it.
    let _ = catch_unwind(AssertUnwindSafe(|| listener(notification)));
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
    fn notifications_reach_their_own_function_until_it_is_forgotten() {
        let (sender, receiver) = channel();
        let other = Number::of(Arc::new(|notification| panic!("{notification:?}")));
        let number = Number::of(Arc::new(move |notification| sender.send(notification).unwrap()));
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
    fn a_function_may_subscribe_and_panic() {
        let number = Number::of(Arc::new(|_| {
            drop(Number::of(Arc::new(|_| ())));
            panic!("on purpose");
        }));
        call(number.0, 1, None);
        call(number.0, 1, None);
    }
}
