//! A wrapper around any [`Hcn`] that counts native calls, measures them, and reports each finished call to an observer.
//!
//! A native call cannot be cancelled: one that hangs blocks its thread, so [`Instrumented::in_flight`] and [`Instrumented::overdue`] can be
//! called from any thread meanwhile. [`Instrumented::stop`] prevents further reads.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use crate::call::{Call, Hcn, Reply};
use crate::notification::{Listener, Subscription};
use crate::{Class, Error};

/// Numbers of native calls, failed ones included.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// All native calls.
    pub calls: u64,
    /// The calls that may have changed something in HNS.
    pub writes: u64,
}

/// A native call that has returned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FinishedCall {
    /// The name of the native function.
    pub function: &'static str,
    /// The class of the error, if the call failed.
    pub error: Option<Class>,
    /// The time from the start of the call to its return.
    pub took: Duration,
}

/// The function that registers for notifications. It is no [`Call`], but can hang like one.
const SUBSCRIBE: &str = "HcnRegisterServiceCallback";

/// A native call that has not returned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CallInFlight {
    /// Identifies the call. Later calls have greater numbers.
    pub number: u64,
    /// The name of the native function.
    pub function: &'static str,
    /// The time since the start of the call.
    pub took: Duration,
}

/// A native call over the budget, either still in flight or finished.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SlowCall {
    /// The name of the native function.
    pub function: &'static str,
    /// The time since the start of the call, up to its return or up to now.
    pub took: Duration,
}

impl fmt::Display for SlowCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} takes {:.1} s", self.function, self.took.as_secs_f64())
    }
}

/// Receives each finished call, on the thread that made the call.
pub type Observer = Box<dyn Fn(&FinishedCall) + Send + Sync>;

/// Reads the clock.
pub type Clock = Box<dyn Fn() -> Instant + Send + Sync>;

/// An [`Hcn`] whose calls are counted, measured and observed.
///
/// [`Call::Close`] is local to the process: it is measured, but neither counted nor observed. So is the start of a subscription.
pub struct Instrumented<H> {
    inner: H,
    budget: Duration,
    clock: Clock,
    observer: OnceLock<Observer>,
    stopped: AtomicBool,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    counts: Counts,
    /// The key of the next entry of `in_flight`. It only grows, so the first entry is the oldest call.
    next: u64,
    in_flight: BTreeMap<u64, InFlight>,
    /// The slowest call over the budget since `take_slowest` was last called.
    slowest: Option<SlowCall>,
}

#[derive(Debug, Clone, Copy)]
struct InFlight {
    function: &'static str,
    since: Instant,
}

impl<H> Instrumented<H> {
    /// Wraps `inner`. A call that takes longer than `budget` is slow.
    pub fn new(inner: H, budget: Duration) -> Self {
        #[allow(clippy::disallowed_methods, reason = "the default clock; tests inject their own")]
        Self::with_clock(inner, budget, Box::new(Instant::now))
    }

    /// As [`new`](Self::new), with a clock of the caller's.
    pub fn with_clock(inner: H, budget: Duration, clock: Clock) -> Self {
        Self {
            inner,
            budget,
            clock,
            observer: OnceLock::new(),
            stopped: AtomicBool::new(false),
            state: Mutex::default(),
        }
    }

    /// Reports all calls that finish from now on to `observer`. Only the first observer is kept.
    pub fn observe(&self, observer: Observer) {
        let _ = self.observer.set(observer);
    }

    /// The numbers of calls since the wrapper was made.
    pub fn counts(&self) -> Counts {
        self.state().counts
    }

    /// The budget of a call.
    pub fn budget(&self) -> Duration {
        self.budget
    }

    /// The calls in flight, oldest first.
    pub fn in_flight(&self) -> Vec<CallInFlight> {
        let state = self.state();
        let now = (self.clock)();
        let took = |since| now.saturating_duration_since(since);
        let call = |(number, call): (&u64, &InFlight)| CallInFlight {
            number: *number,
            function: call.function,
            took: took(call.since),
        };
        state.in_flight.iter().map(call).collect()
    }

    /// The oldest call in flight, if it is over the budget.
    pub fn overdue(&self) -> Option<SlowCall> {
        let InFlight { function, since } = *self.state().in_flight.values().next()?;
        let took = (self.clock)().saturating_duration_since(since);
        (took > self.budget).then_some(SlowCall { function, took })
    }

    /// Makes no further reads: they fail with [`Error::Stopped`]. Writes are still made, so that a caller can complete what it has begun, such as a
    /// deletion that a creation has to follow.
    pub fn stop(&self) {
        self.stopped.store(true, Ordering::SeqCst);
    }

    /// Whether [`stop`](Self::stop) was called.
    pub fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::SeqCst)
    }

    /// The slowest finished call over the budget since this method was last called.
    pub fn take_slowest(&self) -> Option<SlowCall> {
        self.state().slowest.take()
    }

    /// `is_write` is `None` for what is not counted.
    fn start(&self, function: &'static str, is_write: Option<bool>) -> (u64, InFlight) {
        let mut state = self.state();
        if let Some(is_write) = is_write {
            state.counts.calls += 1;
            state.counts.writes += u64::from(is_write);
        }
        let key = state.next;
        state.next += 1;
        // The clock is read under the lock, so that the order of keys is the order of starts.
        let entry = InFlight { function, since: (self.clock)() };
        state.in_flight.insert(key, entry);
        (key, entry)
    }

    fn finish(&self, key: u64, InFlight { function, since }: InFlight) -> Duration {
        let took = (self.clock)().saturating_duration_since(since);
        let mut state = self.state();
        state.in_flight.remove(&key);
        if took > self.budget && state.slowest.is_none_or(|slowest| slowest.took < took) {
            state.slowest = Some(SlowCall { function, took });
        }
        took
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Each change of the state is complete in itself, so a panic of another thread leaves nothing half done.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<H> fmt::Debug for Instrumented<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Instrumented").field("budget", &self.budget).field("state", &self.state).finish_non_exhaustive()
    }
}

impl<H: Hcn> Hcn for Instrumented<H> {
    fn call(&self, call: &Call) -> Result<Reply, Error> {
        let function = call.function();
        if call.is_counted() && !call.is_write() && self.is_stopped() {
            return Err(Error::Stopped { function });
        }
        let (key, entry) = self.start(function, call.is_counted().then(|| call.is_write()));
        let result = self.inner.call(call);
        let took = self.finish(key, entry);
        if let Some(observer) = self.observer.get().filter(|_| call.is_counted()) {
            observer(&FinishedCall { function: entry.function, error: result.as_ref().err().map(Error::class), took });
        }
        result
    }

    fn subscribe(&self, listener: Listener) -> Result<Subscription, Error> {
        if self.is_stopped() {
            return Err(Error::Stopped { function: SUBSCRIBE });
        }
        let (key, entry) = self.start(SUBSCRIBE, None);
        let result = self.inner.subscribe(listener);
        self.finish(key, entry);
        result
    }
}
