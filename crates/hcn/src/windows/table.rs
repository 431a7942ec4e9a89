//! Open objects by the numbers that callers use as handles.
//!
//! Numbers are not reused, so a closed handle stays invalid. An object that one thread uses while another thread closes it lives
//! until that use ends.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::call::Handle;
use crate::{Error, Hresult, Kind};

/// The lock is only held for lookups, never while an object is used or dropped.
#[derive(Debug)]
pub(super) struct Table<T> {
    entries: Mutex<Entries<T>>,
}

#[derive(Debug)]
struct Entries<T> {
    last: u64,
    open: HashMap<u64, (Kind, Arc<T>)>,
}

impl<T> Table<T> {
    pub(super) fn new() -> Self {
        Self { entries: Mutex::new(Entries { last: 0, open: HashMap::new() }) }
    }

    pub(super) fn insert(&self, kind: Kind, object: T) -> Handle {
        let object = Arc::new(object);
        let mut entries = self.lock();
        entries.last += 1;
        let number = entries.last;
        entries.open.insert(number, (kind, object));
        Handle(number)
    }

    /// The object with a number, for a call of `function`.
    ///
    /// # Errors
    /// [`Hresult::E_HANDLE`] if no object of this kind is open under this number.
    pub(super) fn get(&self, function: &'static str, kind: Kind, handle: Handle) -> Result<Arc<T>, Error> {
        match self.lock().open.get(&handle.0) {
            Some((of, object)) if *of == kind => Ok(Arc::clone(object)),
            _ => Err(Error::hns(function, Hresult::E_HANDLE)),
        }
    }

    /// Removes a number. Returns its object, or `None` while another thread uses the object; that thread drops it.
    ///
    /// # Errors
    /// As [`Table::get`].
    pub(super) fn remove(&self, function: &'static str, kind: Kind, handle: Handle) -> Result<Option<T>, Error> {
        let mut entries = self.lock();
        if entries.open.get(&handle.0).is_none_or(|(of, _)| *of != kind) {
            return Err(Error::hns(function, Hresult::E_HANDLE));
        }
        let removed = entries.open.remove(&handle.0);
        drop(entries);
        Ok(removed.and_then(|(_, object)| Arc::into_inner(object)))
    }

    fn lock(&self) -> MutexGuard<'_, Entries<T>> {
        // No panic can leave the entries inconsistent, so a poisoned lock is usable.
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const F: &str = "HcnQueryEndpointProperties";

    #[test]
    fn a_closed_number_stays_unknown() {
        let table = Table::new();
        let first = table.insert(Kind::Endpoint, "first");
        assert_eq!(table.remove(F, Kind::Endpoint, first), Ok(Some("first")));
        let second = table.insert(Kind::Endpoint, "second");
        assert_ne!(first, second);
        let error = Err(Error::hns(F, Hresult::E_HANDLE));
        assert_eq!(table.get(F, Kind::Endpoint, first), error);
        assert_eq!(table.remove(F, Kind::Endpoint, first).unwrap_err(), Error::hns(F, Hresult::E_HANDLE));
    }

    #[test]
    fn a_number_of_another_kind_or_one_never_returned_is_unknown() {
        let table = Table::new();
        let handle = table.insert(Kind::Network, ());
        assert!(table.get(F, Kind::Endpoint, handle).is_err());
        assert!(table.remove(F, Kind::Endpoint, handle).is_err());
        assert!(table.get(F, Kind::Network, Handle(0)).is_err());
        assert!(table.get(F, Kind::Network, Handle(u64::MAX)).is_err());
        assert!(table.get(F, Kind::Network, handle).is_ok());
    }

    #[test]
    fn an_object_that_is_closed_while_in_use_lives_until_the_use_ends() {
        let table = Table::new();
        let handle = table.insert(Kind::Endpoint, Arc::new(()));
        let used = table.get(F, Kind::Endpoint, handle).unwrap();
        let watch = Arc::downgrade(&used);
        assert_eq!(table.remove(F, Kind::Endpoint, handle), Ok(None));
        assert!(watch.upgrade().is_some());
        drop(used);
        assert!(watch.upgrade().is_none());
    }

    #[test]
    fn threads_do_not_disturb_each_other() {
        let table = Table::new();
        std::thread::scope(|scope| {
            for thread in 0..8 {
                let table = &table;
                scope.spawn(move || {
                    for round in 0..500 {
                        let handle = table.insert(Kind::Endpoint, (thread, round));
                        assert_eq!(*table.get(F, Kind::Endpoint, handle).unwrap(), (thread, round));
                        assert_eq!(table.remove(F, Kind::Endpoint, handle), Ok(Some((thread, round))));
                    }
                });
            }
        });
        assert!(table.lock().open.is_empty());
    }
}
