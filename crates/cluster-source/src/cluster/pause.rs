//! How long to wait before the API server is asked again.

use std::time::Duration;

/// The first pause after a failure.
const FIRST: Duration = Duration::from_millis(100);
/// The longest pause: once the server is back, the state is to be right within two seconds.
const LONGEST: Duration = Duration::from_secs(1);
/// The longest pause that a server can ask for.
const LONGEST_ASKED_FOR: Duration = Duration::from_secs(5);

/// Pauses that double, up to a limit, and are spread out, so that the proxies of all nodes do not ask at the same moment.
#[derive(Debug, Default)]
pub(super) struct Pause {
    failures: u32,
}

impl Pause {
    /// All was well for a while: the next failure is the first again.
    pub(super) fn reset(&mut self) {
        self.failures = 0;
    }

    /// Whether little has failed since.
    pub(super) fn is_calm(&self) -> bool {
        self.failures < 2
    }

    /// The pause after a failure. `chance` is anything from 0 to 1, `asked_for` is what the server wants, in seconds.
    pub(super) fn next(&mut self, chance: f64, asked_for: Option<u64>) -> Duration {
        let whole = FIRST.saturating_mul(1 << self.failures.min(10)).min(LONGEST);
        self.failures = self.failures.saturating_add(1);
        let spread = whole.mul_f64(0.5 + chance.clamp(0.0, 1.0) / 2.0);
        spread.max(Duration::from_secs(asked_for.unwrap_or_default()).min(LONGEST_ASKED_FOR))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_a_limit_and_begin_anew() {
        let mut pause = Pause::default();
        let next: Vec<_> = (0..7).map(|_| pause.next(1.0, None).as_millis()).collect();
        assert_eq!(next, [100, 200, 400, 800, 1000, 1000, 1000]);
        assert_eq!(pause.next(0.0, None).as_millis(), 500);
        pause.reset();
        assert_eq!(pause.next(0.0, None).as_millis(), 50);
    }

    #[test]
    fn what_the_server_asks_for_counts_within_limits() {
        let mut pause = Pause::default();
        assert_eq!(pause.next(1.0, Some(2)).as_secs(), 2);
        assert_eq!(pause.next(1.0, Some(3600)).as_secs(), 5);
        pause.failures = u32::MAX;
        assert_eq!(pause.next(1.0, Some(0)).as_secs(), 1);
    }
}
