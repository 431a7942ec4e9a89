//! How often the API server is asked: `clientConnection.qps` and `burst`.

use std::time::Duration;

/// A bucket that fills at a rate. Time is an argument: the duration since any fixed moment.
#[derive(Debug)]
pub(super) struct Limiter {
    qps: f64,
    burst: f64,
    /// What is in the bucket; less than nothing where requests wait.
    level: f64,
    at: Duration,
}

impl Limiter {
    /// A full bucket. A rate that is not above zero is no limit.
    pub(super) fn new(qps: f32, burst: u32) -> Self {
        let burst = f64::from(burst.max(1));
        Self { qps: f64::from(qps), burst, level: burst, at: Duration::ZERO }
    }

    /// Takes one request out, and answers how long it has to wait.
    pub(super) fn take(&mut self, now: Duration) -> Duration {
        if self.qps <= 0.0 {
            return Duration::ZERO;
        }
        let gained = now.saturating_sub(self.at).as_secs_f64() * self.qps;
        self.at = self.at.max(now);
        self.level = (self.level + gained).min(self.burst) - 1.0;
        Duration::try_from_secs_f64(-self.level / self.qps).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_goes_at_once_and_then_the_rate_counts() {
        let mut limiter = Limiter::new(5.0, 2);
        let waits: Vec<_> = (0..4).map(|_| limiter.take(Duration::ZERO).as_millis()).collect();
        assert_eq!(waits, [0, 0, 200, 400]);
        assert_eq!(limiter.take(Duration::from_millis(600)), Duration::ZERO);
        assert_eq!(limiter.take(Duration::from_secs(60)), Duration::ZERO);
        assert_eq!(limiter.take(Duration::from_secs(60)), Duration::ZERO);
        assert_eq!(limiter.take(Duration::from_secs(60)).as_millis(), 200);
    }

    #[test]
    fn a_negative_rate_is_no_limit() {
        let mut limiter = Limiter::new(-1.0, 0);
        assert!((0..100).all(|_| limiter.take(Duration::ZERO) == Duration::ZERO));
    }
}
