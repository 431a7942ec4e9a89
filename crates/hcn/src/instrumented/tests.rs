//! Counts, times and observed calls, with a clock that the wrapped implementation advances.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::*;
use crate::call::{Handle, Method};
use crate::{Guid, Hresult, Kind};

const BUDGET: Duration = Duration::from_secs(10);

/// Seconds since the start of a test.
#[derive(Clone, Default)]
struct Seconds(Arc<AtomicU64>);

impl Seconds {
    fn advance(&self, seconds: u64) {
        self.0.fetch_add(seconds, Ordering::Relaxed);
    }

    fn clock(&self) -> Clock {
        #[allow(clippy::disallowed_methods, reason = "a moment to count from")]
        let (start, seconds) = (Instant::now(), self.clone());
        Box::new(move || start + Duration::from_secs(seconds.0.load(Ordering::Relaxed)))
    }
}

/// Runs a function for each call.
struct Script<F>(F);

impl<F: Fn(&Call) -> Result<Reply, Error> + Send + Sync> Hcn for Script<F> {
    fn call(&self, call: &Call) -> Result<Reply, Error> {
        (self.0)(call)
    }
}

/// Each call takes the number of seconds in the first field of its id. `Open` fails.
fn instrumented() -> Instrumented<impl Hcn> {
    let seconds = Seconds::default();
    let clock = seconds.clock();
    let script = move |call: &Call| match call {
        Call::Open { id, .. } => {
            seconds.advance(id.as_fields().0.into());
            Err(Error::hns(call.function(), Hresult::ELEMENT_NOT_FOUND))
        }
        Call::Delete { id, .. } => {
            seconds.advance(id.as_fields().0.into());
            Ok(Reply::Done)
        }
        _ => Ok(Reply::Done),
    };
    Instrumented::with_clock(Script(script), BUDGET, clock)
}

fn seconds(seconds: u32) -> Guid {
    Guid::from_fields(seconds, 0, 0, &[0; 8])
}

fn open(takes: u32) -> Call {
    Call::Open { kind: Kind::Network, id: seconds(takes) }
}

fn delete(takes: u32) -> Call {
    Call::Delete { kind: Kind::Endpoint, id: seconds(takes) }
}

fn close() -> Call {
    Call::Close { kind: Kind::Endpoint, handle: Handle(1) }
}

fn hns(method: Method) -> Call {
    Call::Hns { method, path: "/endpoints/".into(), body: String::new() }
}

#[test]
fn calls_and_writes_are_counted_but_not_closing_a_handle() {
    let hcn = instrumented();
    assert_eq!(hcn.counts(), Counts::default());
    for call in [open(0), delete(0), close(), hns(Method::Get), hns(Method::Post)] {
        let _ = hcn.call(&call);
    }
    assert_eq!(hcn.counts(), Counts { calls: 4, writes: 2 });
}

#[test]
fn the_observer_receives_each_call_that_finishes_after_it_is_set() {
    let hcn = instrumented();
    let _ = hcn.call(&open(1));
    let observed = Arc::new(Mutex::new(Vec::new()));
    let sink = observed.clone();
    hcn.observe(Box::new(move |call| sink.lock().unwrap().push(*call)));
    hcn.observe(Box::new(|call| panic!("only the first observer is kept: {call:?}")));
    for call in [open(2), delete(3), close()] {
        let _ = hcn.call(&call);
    }
    let finished = |function, error, seconds| FinishedCall { function, error, took: Duration::from_secs(seconds) };
    assert_eq!(
        *observed.lock().unwrap(),
        [finished("HcnOpenNetwork", Some(Class::Absent), 2), finished("HcnDeleteEndpoint", None, 3)]
    );
}

#[test]
fn the_slowest_call_over_the_budget_is_kept_until_it_is_taken() {
    let hcn = instrumented();
    for call in [delete(10), delete(9)] {
        hcn.call(&call).unwrap();
    }
    assert_eq!(hcn.take_slowest(), None, "10 s are within the budget");
    for call in [delete(11), open(13), delete(12)] {
        let _ = hcn.call(&call);
    }
    let slowest = SlowCall { function: "HcnOpenNetwork", took: Duration::from_secs(13) };
    assert_eq!(hcn.take_slowest(), Some(slowest));
    assert_eq!(hcn.take_slowest(), None);
    assert_eq!(slowest.to_string(), "HcnOpenNetwork takes 13.0 s");
}

/// The wrapper, for calls that the wrapped implementation makes through it.
type Slot = OnceLock<Arc<Instrumented<Box<dyn Hcn>>>>;

/// Simulates calls of other threads by calls within a call: for the wrapper, two calls are in flight.
#[test]
fn the_oldest_call_in_flight_is_overdue_once_it_is_over_the_budget() {
    let clock = Seconds::default();
    let slot: Arc<Slot> = Arc::default();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let (hcn, seconds, sink) = (slot.clone(), clock.clone(), seen.clone());
    let script = move |call: &Call| {
        let hcn = hcn.get().unwrap();
        let record = || sink.lock().unwrap().push(hcn.overdue());
        seconds.advance(10);
        record();
        if matches!(call, Call::Open { .. }) {
            hcn.call(&delete(0))?;
        }
        seconds.advance(1);
        record();
        Ok(Reply::Done)
    };
    let hcn = Arc::new(Instrumented::with_clock(Box::new(Script(script)) as Box<dyn Hcn>, BUDGET, clock.clock()));
    slot.set(hcn.clone()).unwrap();
    assert_eq!(hcn.overdue(), None);
    hcn.call(&open(0)).unwrap();
    assert_eq!(hcn.overdue(), None, "finished");
    let overdue = |seconds| Some(SlowCall { function: "HcnOpenNetwork", took: Duration::from_secs(seconds) });
    assert_eq!(*seen.lock().unwrap(), [None, overdue(20), overdue(21), overdue(22)]);
}

#[test]
fn after_a_stop_no_read_is_made_and_writes_are() {
    let hcn = instrumented();
    hcn.call(&delete(0)).unwrap();
    hcn.stop();
    assert!(hcn.is_stopped());
    for read in [open(0), hns(Method::Get)] {
        assert_eq!(hcn.call(&read), Err(Error::Stopped { function: read.function() }));
    }
    assert!(matches!(hcn.subscribe(Box::new(|_| {})), Err(Error::Stopped { .. })));
    for other in [delete(0), hns(Method::Post), close()] {
        hcn.call(&other).unwrap();
    }
    assert_eq!(hcn.counts(), Counts { calls: 3, writes: 3 });
}
