//! Counts and times native calls, around any implementation of [`Hcn`].
//!
//! A native call cannot be cancelled: one that hangs blocks its thread. [`Instrumented::overdue`] shows it to other threads while it is in
//! progress.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use crate::call::{Call, Hcn, Reply};
use crate::notification::{Listener, Subscription};
use crate::{Class, Error};

/// The number of native calls.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// All calls, failed ones included.
    pub calls: u64,
    /// Those that can have changed something.
    pub writes: u64,
}

/// A call that has returned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CompletedCall {
    /// The native function.
    pub function: &'static str,
    /// The class of the error, if it failed.
    pub failed: Option<Class>,
    /// Its duration.
    pub took: Duration,
}

/// A call that exceeds its time budget.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SlowCall {
    /// The native function.
    pub function: &'static str,
    /// Its duration, up to now if it has not returned.
    pub took: Duration,
}

impl fmt::Display for SlowCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} takes {:.1} s", self.function, self.took.as_secs_f64())
    }
}

/// Called after each call, on the thread that made it.
pub type CallObserver = Box<dyn Fn(&CompletedCall) + Send + Sync>;

/// An implementation whose calls are counted and timed.
pub struct Instrumented<H> {
    inner: H,
    budget: Duration,
    calls: AtomicU64,
    writes: AtomicU64,
    observer: OnceLock<CallObserver>,
    timing: Mutex<Timing>,
}

#[derive(Debug, Default)]
struct Timing {
    next: u64,
    /// Several threads can call at the same time.
    in_progress: BTreeMap<u64, (Instant, &'static str)>,
    /// The slowest call over the budget since the last [`Instrumented::take_slowest`].
    slowest: Option<SlowCall>,
}

impl<H> Instrumented<H> {
    /// A call is slow if it takes longer than `budget`.
    pub fn new(inner: H, budget: Duration) -> Self {
        Self {
            inner,
            budget,
            calls: AtomicU64::new(0),
            writes: AtomicU64::new(0),
            observer: OnceLock::new(),
            timing: Mutex::default(),
        }
    }

    /// Sets the observer of all calls from now on. Only the first one counts.
    pub fn observe(&self, observer: CallObserver) {
        let _ = self.observer.set(observer);
    }

    /// The number of calls since the start.
    pub fn counts(&self) -> Counts {
        Counts { calls: self.calls.load(Ordering::Relaxed), writes: self.writes.load(Ordering::Relaxed) }
    }

    /// The oldest call in progress, if it exceeds the budget.
    pub fn overdue(&self) -> Option<SlowCall> {
        let timing = self.timing();
        let (start, function) = timing.in_progress.values().min_by_key(|(start, _)| *start)?;
        Some(SlowCall { function, took: start.elapsed() }).filter(|call| call.took > self.budget)
    }

    /// The slowest call that has returned since the last time, if it exceeded the budget.
    pub fn take_slowest(&self) -> Option<SlowCall> {
        self.timing().slowest.take()
    }

    fn timing(&self) -> MutexGuard<'_, Timing> {
        self.timing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<H: fmt::Debug> fmt::Debug for Instrumented<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Instrumented").field("inner", &self.inner).finish_non_exhaustive()
    }
}

impl<H: Hcn> Hcn for Instrumented<H> {
    fn call(&self, call: &Call) -> Result<Reply, Error> {
        // Closing a handle asks nothing of HNS. It is timed all the same, since it can hang.
        let is_counted = call.is_counted();
        if is_counted {
            self.calls.fetch_add(1, Ordering::Relaxed);
            self.writes.fetch_add(u64::from(call.is_write()), Ordering::Relaxed);
        }
        let (function, start) = (call.function(), Instant::now());
        let number = {
            let mut timing = self.timing();
            timing.next += 1;
            let number = timing.next;
            timing.in_progress.insert(number, (start, function));
            number
        };
        let result = self.inner.call(call);
        let took = start.elapsed();
        {
            let mut timing = self.timing();
            timing.in_progress.remove(&number);
            if took > self.budget && timing.slowest.is_none_or(|slowest| slowest.took < took) {
                timing.slowest = Some(SlowCall { function, took });
            }
        }
        if let Some(observer) = self.observer.get().filter(|_| is_counted) {
            observer(&CompletedCall { function, failed: result.as_ref().err().map(Error::class), took });
        }
        result
    }

    /// Neither counted nor timed: it reads nothing of the state of HNS.
    fn subscribe(&self, listener: Listener) -> Result<Subscription, Error> {
        self.inner.subscribe(listener)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::mpsc::{Receiver, channel};

    use super::*;
    use crate::call::Handle;
    use crate::{Guid, Hresult, Kind};

    const OPEN: Call = Call::Open { kind: Kind::Network, id: Guid::nil() };

    /// Refuses to open.
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
    fn calls_are_counted_and_observed_with_their_result() {
        let observed = Arc::new(Mutex::new(Vec::new()));
        let hcn = Instrumented::new(Refusing, Duration::MAX);
        hcn.call(&OPEN).unwrap_err();
        let calls = observed.clone();
        hcn.observe(Box::new(move |call| calls.lock().unwrap().push((call.function, call.failed))));
        hcn.call(&OPEN).unwrap_err();
        hcn.call(&Call::Delete { kind: Kind::Endpoint, id: Guid::nil() }).unwrap();
        hcn.call(&Call::Close { kind: Kind::Endpoint, handle: Handle(1) }).unwrap();
        assert_eq!(*observed.lock().unwrap(), [("HcnOpenNetwork", Some(Class::Absent)), ("HcnDeleteEndpoint", None)]);
        assert_eq!(hcn.counts(), Counts { calls: 3, writes: 1 });
    }

    /// Answers once it receives something.
    struct Waiting(Mutex<Receiver<()>>);

    impl Hcn for Waiting {
        fn call(&self, _: &Call) -> Result<Reply, Error> {
            self.0.lock().unwrap().recv().unwrap();
            Ok(Reply::Done)
        }
    }

    #[test]
    fn a_slow_call_shows_while_it_is_in_progress_and_after() {
        let (answer, answers) = channel();
        let hcn = Instrumented::new(Waiting(Mutex::new(answers)), Duration::ZERO);
        assert_eq!((hcn.overdue(), hcn.take_slowest()), (None, None));
        std::thread::scope(|scope| {
            scope.spawn(|| hcn.call(&OPEN));
            let overdue = loop {
                if let Some(call) = hcn.overdue() {
                    break call;
                }
                std::thread::yield_now();
            };
            assert_eq!(overdue.function, "HcnOpenNetwork");
            answer.send(()).unwrap();
        });
        assert_eq!(hcn.overdue(), None);
        assert_eq!(hcn.take_slowest().map(|call| call.function), Some("HcnOpenNetwork"));
        assert_eq!(hcn.take_slowest(), None);
    }

    #[test]
    fn a_call_within_the_budget_is_not_slow() {
        let (answer, answers) = channel();
        answer.send(()).unwrap();
        let hcn = Instrumented::new(Waiting(Mutex::new(answers)), Duration::MAX);
        hcn.call(&OPEN).unwrap();
        assert_eq!((hcn.overdue(), hcn.take_slowest()), (None, None));
    }
}
