//! Counts native calls, for any implementation of the trait.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::Error;
use crate::call::{Call, Hcn, Reply};
use crate::notification::{Listener, Subscription};

/// How many native calls were made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// All.
    pub calls: u64,
    /// Those that can have changed something.
    pub writes: u64,
}

/// An implementation, with its calls counted.
#[derive(Debug, Default)]
pub struct Counting<H> {
    inner: H,
    calls: AtomicU64,
    writes: AtomicU64,
}

impl<H> Counting<H> {
    /// Counts from now on.
    pub fn new(inner: H) -> Self {
        Self { inner, calls: AtomicU64::new(0), writes: AtomicU64::new(0) }
    }

    /// What is counted.
    pub fn inner(&self) -> &H {
        &self.inner
    }

    /// How many calls there were, failed ones included.
    pub fn counts(&self) -> Counts {
        Counts { calls: self.calls.load(Ordering::Relaxed), writes: self.writes.load(Ordering::Relaxed) }
    }
}

impl<H: Hcn> Hcn for Counting<H> {
    fn call(&self, call: &Call) -> Result<Reply, Error> {
        if call.is_counted() {
            self.calls.fetch_add(1, Ordering::Relaxed);
            self.writes.fetch_add(u64::from(call.is_write()), Ordering::Relaxed);
        }
        self.inner.call(call)
    }

    /// Not counted: it asks HNS nothing about what it holds.
    fn subscribe(&self, listener: Listener) -> Result<Subscription, Error> {
        self.inner.subscribe(listener)
    }
}
