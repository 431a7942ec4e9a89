//! The native calls of the last ten minutes by function: their number, their errors and the quantiles of their durations.
//!
//! The durations are counted in buckets, so that memory does not grow with the number of calls.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use hcn::FinishedCall;

use crate::clock::Clock;
use crate::mutex::lock;

/// The time that is summarized, in minutes. The present one is not complete.
pub const MINUTES: u64 = 10;
/// Buckets for each doubling of the duration: a quantile is at most 19 % too high.
const PER_DOUBLING: f64 = 4.0;
/// Up to 2^28 us, 268 s. The last bucket has all that took longer.
const BUCKETS: usize = 28 * 4 + 1;

/// May be used from any thread.
#[derive(Debug)]
pub struct CallStatistics {
    clock: Clock,
    total: AtomicU64,
    functions: Mutex<BTreeMap<&'static str, Window>>,
}

/// The calls of one function.
#[derive(Debug, Clone, PartialEq)]
pub struct CallSummary {
    pub function: &'static str,
    pub count: u64,
    pub errors: u64,
    pub p50: Duration,
    pub p90: Duration,
    pub p99: Duration,
    pub max: Duration,
}

#[derive(Debug, Default)]
struct Window(VecDeque<Minute>);

#[derive(Debug)]
struct Minute {
    /// Since the start of the process.
    number: u64,
    errors: u64,
    max: Duration,
    buckets: Box<[u32; BUCKETS]>,
}

impl CallStatistics {
    pub fn new(clock: Clock) -> Self {
        Self { clock, total: AtomicU64::new(0), functions: Mutex::default() }
    }

    pub fn record(&self, call: &FinishedCall) {
        self.total.fetch_add(1, Ordering::Relaxed);
        let minute = self.minute();
        lock(&self.functions).entry(call.function).or_default().record(minute, call.took, call.error.is_some());
    }

    /// The number of calls since the start of the process.
    pub fn total(&self) -> u64 {
        self.total.load(Ordering::Relaxed)
    }

    /// The functions that were called, by name.
    pub fn summaries(&self) -> Vec<CallSummary> {
        let minute = self.minute();
        let functions = lock(&self.functions);
        functions.iter().filter_map(|(function, window)| window.summary(function, minute)).collect()
    }

    fn minute(&self) -> u64 {
        self.clock.now().elapsed.as_secs() / 60
    }
}

impl Window {
    fn record(&mut self, number: u64, took: Duration, failed: bool) {
        if self.0.back().is_none_or(|last| last.number < number) {
            self.0.retain(|minute| is_recent(minute, number));
            self.0.push_back(Minute { number, errors: 0, max: Duration::ZERO, buckets: Box::new([0; BUCKETS]) });
        }
        let Some(minute) = self.0.back_mut() else { return };
        minute.errors += u64::from(failed);
        minute.max = minute.max.max(took);
        if let Some(bucket) = minute.buckets.get_mut(bucket_of(took)) {
            *bucket = bucket.saturating_add(1);
        }
    }

    /// None if there was no call.
    fn summary(&self, function: &'static str, now: u64) -> Option<CallSummary> {
        let mut counts = [0_u64; BUCKETS];
        let (mut errors, mut max) = (0, Duration::ZERO);
        for minute in self.0.iter().filter(|minute| is_recent(minute, now)) {
            counts.iter_mut().zip(minute.buckets.iter()).for_each(|(sum, count)| *sum += u64::from(*count));
            errors += minute.errors;
            max = max.max(minute.max);
        }
        let count: u64 = counts.iter().sum();
        let quantile = |percent: u64| {
            let mut left = (count * percent).div_ceil(100);
            let bucket = counts.iter().position(|count| {
                left = left.saturating_sub(*count);
                left == 0
            });
            bucket.map_or(max, upper_bound).min(max)
        };
        let (p50, p90, p99) = (quantile(50), quantile(90), quantile(99));
        (count > 0).then_some(CallSummary { function, count, errors, p50, p90, p99, max })
    }
}

fn is_recent(minute: &Minute, now: u64) -> bool {
    minute.number + MINUTES > now
}

#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the value is between 0 and the number of buckets"
)]
fn bucket_of(took: Duration) -> usize {
    let micros = (took.as_secs_f64() * 1e6).max(1.0);
    ((micros.log2() * PER_DOUBLING).ceil() as usize).min(BUCKETS - 1)
}

#[allow(clippy::cast_precision_loss, reason = "the number of a bucket is small")]
fn upper_bound(bucket: usize) -> Duration {
    Duration::from_secs_f64((bucket as f64 / PER_DOUBLING).exp2() / 1e6)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(found: Duration, expected: Duration) -> bool {
        found >= expected && found.as_secs_f64() <= expected.as_secs_f64() * 1.2
    }

    #[test]
    fn quantiles_are_those_of_the_durations() {
        let mut window = Window::default();
        (1..=100).for_each(|number| window.record(0, Duration::from_millis(number), number > 98));
        let summary = window.summary("HNSCall", 0).unwrap();
        assert_eq!((summary.count, summary.errors, summary.max), (100, 2, Duration::from_millis(100)));
        for (found, expected) in [(summary.p50, 50), (summary.p90, 90), (summary.p99, 99)] {
            assert!(near(found, Duration::from_millis(expected)), "{summary:?}");
        }
    }

    #[test]
    fn any_duration_has_a_bucket() {
        for took in [Duration::ZERO, Duration::from_nanos(1), Duration::from_secs(1000), Duration::MAX] {
            let mut window = Window::default();
            window.record(0, took, false);
            assert_eq!(window.summary("HNSCall", 0).unwrap().p50, took.min(upper_bound(bucket_of(took))));
        }
    }

    #[test]
    fn calls_of_more_than_ten_minutes_ago_do_not_count() {
        let mut window = Window::default();
        window.record(5, Duration::from_secs(9), true);
        window.record(6, Duration::from_secs(1), false);
        let count = |minute| window.summary("HNSCall", minute).map(|summary| (summary.count, summary.errors));
        assert_eq!([count(14), count(15), count(16)], [Some((2, 1)), Some((1, 0)), None]);
        (7..100).for_each(|minute| window.record(minute, Duration::ZERO, false));
        assert_eq!(window.0.len(), 10);
    }
}
