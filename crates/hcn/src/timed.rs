//! Measures native calls against a time budget, for any implementation of the trait.
//!
//! A call can't be taken back: one that hangs blocks its thread. So what is late is known to others too: [`Timed::overdue`] answers
//! from any thread, while the call is still under way.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::Error;
use crate::call::{Call, Hcn, Reply};
use crate::notification::{Listener, Subscription};

/// A call that took, or has taken so far, longer than it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SlowCall {
    /// The native function.
    pub function: &'static str,
    /// How long it took so far.
    pub took: Duration,
}

impl std::fmt::Display for SlowCall {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} takes {:.1} s", self.function, self.took.as_secs_f64())
    }
}

/// An implementation, with its calls measured.
#[derive(Debug)]
pub struct Timed<H> {
    inner: H,
    budget: Duration,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    next: u64,
    under_way: BTreeMap<u64, (Instant, &'static str)>,
    /// The slowest call beyond the budget since it was last asked for.
    slowest: Option<SlowCall>,
}

impl<H> Timed<H> {
    /// Measures calls, each of which may take `budget`.
    pub fn new(inner: H, budget: Duration) -> Self {
        Self { inner, budget, state: Mutex::default() }
    }

    /// What is measured.
    pub fn inner(&self) -> &H {
        &self.inner
    }

    /// How long a call may take.
    pub fn budget(&self) -> Duration {
        self.budget
    }

    /// The call under way that has taken longest, if that is longer than it may.
    pub fn overdue(&self) -> Option<SlowCall> {
        let calls = self.state();
        let (begun, function) = calls.under_way.values().min_by_key(|(begun, _)| *begun)?;
        Some(SlowCall { function, took: begun.elapsed() }).filter(|call| call.took > self.budget)
    }

    /// The slowest call that has ended since this was last asked, if it took longer than it may.
    pub fn take_slowest(&self) -> Option<SlowCall> {
        self.state().slowest.take()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<H: Hcn> Hcn for Timed<H> {
    fn call(&self, call: &Call) -> Result<Reply, Error> {
        let begun = Instant::now();
        let number = {
            let mut state = self.state();
            state.next += 1;
            let number = state.next;
            state.under_way.insert(number, (begun, call.function()));
            number
        };
        let result = self.inner.call(call);
        let mut state = self.state();
        state.under_way.remove(&number);
        let took = begun.elapsed();
        if took > self.budget && state.slowest.is_none_or(|slowest| slowest.took < took) {
            state.slowest = Some(SlowCall { function: call.function(), took });
        }
        result
    }

    /// Not measured: it asks HNS nothing about what it holds.
    fn subscribe(&self, listener: Listener) -> Result<Subscription, Error> {
        self.inner.subscribe(listener)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, channel};

    use super::*;
    use crate::Kind;

    /// Answers when it is told to.
    struct Patient(Mutex<Receiver<()>>);

    impl Hcn for Patient {
        fn call(&self, _: &Call) -> Result<Reply, Error> {
            self.0.lock().unwrap().recv().unwrap();
            Ok(Reply::Done)
        }
    }

    #[test]
    fn a_call_that_takes_longer_than_it_may_is_known_while_it_lasts_and_after() {
        let (answer, answers) = channel();
        let timed = Timed::new(Patient(Mutex::new(answers)), Duration::ZERO);
        assert_eq!((timed.overdue(), timed.take_slowest()), (None, None));
        std::thread::scope(|scope| {
            scope.spawn(|| timed.call(&Call::Open { kind: Kind::Network, id: crate::Guid::nil() }));
            let overdue = loop {
                if let Some(call) = timed.overdue() {
                    break call;
                }
                std::thread::yield_now();
            };
            assert_eq!(overdue.function, "HcnOpenNetwork");
            answer.send(()).unwrap();
        });
        assert_eq!(timed.overdue(), None);
        assert_eq!(timed.take_slowest().map(|call| call.function), Some("HcnOpenNetwork"));
        assert_eq!(timed.take_slowest(), None);
    }

    #[test]
    fn a_call_within_its_time_is_not_slow() {
        let (answer, answers) = channel();
        answer.send(()).unwrap();
        let timed = Timed::new(Patient(Mutex::new(answers)), Duration::MAX);
        timed.call(&Call::Open { kind: Kind::Network, id: crate::Guid::nil() }).unwrap();
        assert_eq!((timed.overdue(), timed.take_slowest()), (None, None));
    }
}
