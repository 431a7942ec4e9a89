//! How long to wait before a request is retried.

use std::time::Duration;

const FIRST: Duration = Duration::from_millis(100);
/// HNS has to be in sync within 2 s after the end of an outage, so client-go's 30 s would be too long.
const MAX: Duration = Duration::from_secs(1);
/// The limit for a server's `Retry-After`, for the same reason.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(5);

/// Exponential backoff with jitter, so that the proxies of all nodes do not retry at the same moment.
#[derive(Debug, Default)]
pub(super) struct Backoff {
    failures: u32,
}

impl Backoff {
    pub(super) fn reset(&mut self) {
        self.failures = 0;
    }

    pub(super) fn has_at_most_one_failure(&self) -> bool {
        self.failures < 2
    }

    /// Counts a failure, and returns how long to wait. `jitter` is from 0 to 1, `retry_after` is in seconds.
    pub(super) fn next(&mut self, jitter: f64, retry_after: Option<u64>) -> Duration {
        let whole = FIRST.saturating_mul(1 << self.failures.min(10)).min(MAX);
        self.failures = self.failures.saturating_add(1);
        let spread = whole.mul_f64(0.5 + jitter.clamp(0.0, 1.0) / 2.0);
        spread.max(Duration::from_secs(retry_after.unwrap_or_default()).min(MAX_RETRY_AFTER))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn backoff_doubles_up_to_a_limit_and_can_be_reset() {
        let mut backoff = Backoff::default();
        let next: Vec<_> = (0..7).map(|_| backoff.next(1.0, None).as_millis()).collect();
        assert_eq!(next, [100, 200, 400, 800, 1000, 1000, 1000]);
        assert_eq!(backoff.next(0.0, None).as_millis(), 500);
        backoff.reset();
        assert_eq!(backoff.next(0.0, None).as_millis(), 50);
    }

    #[test]
    fn retry_after_is_honoured_up_to_a_limit() {
        let mut backoff = Backoff::default();
        assert_eq!(backoff.next(1.0, Some(2)).as_secs(), 2);
        assert_eq!(backoff.next(1.0, Some(3600)).as_secs(), 5);
        backoff.failures = u32::MAX;
        assert_eq!(backoff.next(1.0, Some(0)).as_secs(), 1);
    }
}
