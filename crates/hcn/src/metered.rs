//! Tells of each native call, for any implementation of the trait: which function, how long it took, and how it ended.

use std::sync::OnceLock;
use std::time::{Duration, Instant};

use crate::call::{Call, Hcn, Reply};
use crate::notification::{Listener, Subscription};
use crate::{Class, Error};

/// Who is told of calls, by the thread that made them.
pub type Meter = Box<dyn Fn(&MeteredCall) + Send + Sync>;

/// A call that has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MeteredCall {
    /// The native function.
    pub function: &'static str,
    /// The class of the error, if it failed.
    pub failed: Option<Class>,
    /// How long it took.
    pub took: Duration,
}

/// An implementation that tells of its calls.
pub struct Metered<H> {
    inner: H,
    meter: OnceLock<Meter>,
}

impl<H> Metered<H> {
    /// Tells nobody yet.
    pub fn new(inner: H) -> Self {
        Self { inner, meter: OnceLock::new() }
    }

    /// Tells of all calls from now on. The first who asks for it is told, others are not.
    pub fn tell(&self, meter: Meter) {
        let _ = self.meter.set(meter);
    }

    /// What is metered.
    pub fn inner(&self) -> &H {
        &self.inner
    }
}

impl<H: std::fmt::Debug> std::fmt::Debug for Metered<H> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Metered").field("inner", &self.inner).finish_non_exhaustive()
    }
}

impl<H: Hcn> Hcn for Metered<H> {
    fn call(&self, call: &Call) -> Result<Reply, Error> {
        let Some(meter) = self.meter.get().filter(|_| call.is_counted()) else { return self.inner.call(call) };
        let begun = Instant::now();
        let result = self.inner.call(call);
        meter(&MeteredCall {
            function: call.function(),
            failed: result.as_ref().err().map(Error::class),
            took: begun.elapsed(),
        });
        result
    }

    /// Not told: it asks HNS nothing about what it holds.
    fn subscribe(&self, listener: Listener) -> Result<Subscription, Error> {
        self.inner.subscribe(listener)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;
    use crate::{Guid, Hresult, Kind};

    struct Refusing;

    impl Hcn for Refusing {
        fn call(&self, call: &Call) -> Result<Reply, Error> {
            match call {
                Call::Open { .. } => Err(Error::hns(call.function(), Hresult::ELEMENT_NOT_FOUND)),
                _ => Ok(Reply::Done),
            }
        }
    }

    #[test]
    fn each_call_is_told_with_its_end() {
        let told = Arc::new(Mutex::new(Vec::new()));
        let metered = Metered::new(Refusing);
        let open = Call::Open { kind: Kind::Network, id: Guid::nil() };
        metered.call(&open).unwrap_err();
        let calls = told.clone();
        metered.tell(Box::new(move |call| calls.lock().unwrap().push((call.function, call.failed))));
        metered.call(&open).unwrap_err();
        metered.call(&Call::Delete { kind: Kind::Endpoint, id: Guid::nil() }).unwrap();
        metered.call(&Call::Close { kind: Kind::Endpoint, handle: crate::call::Handle(1) }).unwrap();
        assert_eq!(*told.lock().unwrap(), [("HcnOpenNetwork", Some(Class::Absent)), ("HcnDeleteEndpoint", None)]);
    }
}
