//! Measures native calls by their kind.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hcn::FinishedCall;
use hcn_survey::Timing;

use crate::hns::Hns;

#[derive(Clone, Default)]
pub(super) struct Stopwatch(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    /// What an `HNSCall` does in the present measurement: all operations of the v1 API are one function. `None` outside measurements.
    v1_name: Option<&'static str>,
    samples: BTreeMap<String, Vec<Duration>>,
}

impl Stopwatch {
    /// Observes the calls to an HNS.
    pub(super) fn on(hns: &Hns) -> Self {
        let stopwatch = Self::default();
        let observer = stopwatch.clone();
        hns.observe_calls(move |call| observer.add(call));
        stopwatch
    }

    /// Measures the calls of an operation. `v1_name` names it if it is an `HNSCall`.
    pub(super) fn measure<T>(&self, v1_name: &'static str, operation: impl FnOnce() -> T) -> T {
        self.state().v1_name = Some(v1_name);
        let result = operation();
        self.state().v1_name = None;
        result
    }

    /// Forgets what was measured.
    pub(super) fn reset(&self) {
        self.state().samples.clear();
    }

    /// The time of all measured calls.
    pub(super) fn total(&self) -> Duration {
        self.state().samples.values().flatten().sum()
    }

    pub(super) fn timings(&self) -> Vec<Timing> {
        self.state().samples.iter().map(|(call, samples)| Timing::of(call, samples)).collect()
    }

    fn add(&self, call: &FinishedCall) {
        let mut state = self.state();
        let Some(v1_name) = state.v1_name else { return };
        let name = if call.function == "HNSCall" { format!("HNSCall {v1_name}") } else { call.function.to_owned() };
        state.samples.entry(name).or_default().push(call.took);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_calls_inside_a_measurement_count() {
        let stopwatch = Stopwatch::default();
        let call =
            |function, milliseconds| FinishedCall { function, error: None, took: Duration::from_millis(milliseconds) };
        stopwatch.add(&call("HNSCall", 100));
        stopwatch.measure("GET /endpoints/", || {
            [9, 1, 5].into_iter().for_each(|time| stopwatch.add(&call("HNSCall", time)));
            stopwatch.add(&call("HcnOpenEndpoint", 2));
        });
        let timing = |call: &str, count, p50_ms, max_ms| Timing { call: call.to_owned(), count, p50_ms, max_ms };
        assert_eq!(
            stopwatch.timings(),
            [timing("HNSCall GET /endpoints/", 3, 5.0, 9.0), timing("HcnOpenEndpoint", 1, 2.0, 2.0)]
        );
        assert_eq!(stopwatch.total(), Duration::from_millis(17));
    }
}
