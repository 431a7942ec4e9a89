//! Who wants notifications.
//!
//! Registrations are taken and kept; the emulator sends no notifications, so nobody is ever called.

use std::collections::HashSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use hcn::Hresult;
use hcn::call::Handle;

struct Registrations {
    numbers: Option<HashSet<u64>>,
    last: u64,
}

static REGISTRATIONS: Mutex<Registrations> = Mutex::new(Registrations { numbers: None, last: 0 });

fn registrations() -> MutexGuard<'static, Registrations> {
    REGISTRATIONS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Takes a registration.
pub(crate) fn add() -> Handle {
    let mut registrations = registrations();
    registrations.last += 1;
    let number = registrations.last;
    registrations.numbers.get_or_insert_default().insert(number);
    Handle(number)
}

/// Forgets a registration.
pub(crate) fn remove(registration: Handle) -> Result<(), Hresult> {
    let known = registrations().numbers.as_mut().is_some_and(|numbers| numbers.remove(&registration.0));
    if known { Ok(()) } else { Err(Hresult::E_HANDLE) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_registration_is_taken_back_once() {
        let (first, second) = (add(), add());
        assert_ne!(first, second);
        assert_eq!(remove(first), Ok(()));
        assert_eq!(remove(first), Err(Hresult::E_HANDLE));
        assert_eq!(remove(second), Ok(()));
    }
}
