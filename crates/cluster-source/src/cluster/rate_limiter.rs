//! The client's rate limit: `clientConnection.qps` and `burst`.

use std::time::Duration;

/// A token bucket. Time is an argument: the duration since any fixed moment.
#[derive(Debug)]
pub(super) struct RateLimiter {
    qps: f64,
    burst: f64,
    /// Negative while requests wait.
    tokens: f64,
    at: Duration,
}

impl RateLimiter {
    /// A full bucket. There is no limit if `qps` is not above 0.
    pub(super) fn new(qps: f32, burst: u32) -> Self {
        let burst = f64::from(burst.max(1));
        Self { qps: f64::from(qps), burst, tokens: burst, at: Duration::ZERO }
    }

    /// Takes a token for one request, and returns how long the request has to wait.
    pub(super) fn reserve(&mut self, now: Duration) -> Duration {
        if self.qps <= 0.0 {
            return Duration::ZERO;
        }
        let gained = now.saturating_sub(self.at).as_secs_f64() * self.qps;
        self.at = self.at.max(now);
        self.tokens = (self.tokens + gained).min(self.burst) - 1.0;
        Duration::try_from_secs_f64(-self.tokens / self.qps).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_is_sent_at_once_and_then_the_rate_applies() {
        let mut limiter = RateLimiter::new(5.0, 2);
        let waits: Vec<_> = (0..4).map(|_| limiter.reserve(Duration::ZERO).as_millis()).collect();
        assert_eq!(waits, [0, 0, 200, 400]);
        assert_eq!(limiter.reserve(Duration::from_millis(600)), Duration::ZERO);
        assert_eq!(limiter.reserve(Duration::from_secs(60)), Duration::ZERO);
        assert_eq!(limiter.reserve(Duration::from_secs(60)), Duration::ZERO);
        assert_eq!(limiter.reserve(Duration::from_secs(60)).as_millis(), 200);
    }

    #[test]
    fn a_negative_rate_means_no_limit() {
        let mut limiter = RateLimiter::new(-1.0, 0);
        assert!((0..100).all(|_| limiter.reserve(Duration::ZERO) == Duration::ZERO));
    }
}
