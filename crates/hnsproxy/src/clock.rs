//! The clock of the status: the time since the start of the process, and the wall-clock time.
//!
//! Rules are pure functions of [`Now`]. They use the time since the start, since the wall clock can be set.

use std::time::{Duration, Instant};

use jiff::Timestamp;

#[derive(Debug, Clone, Copy)]
pub struct Clock {
    start: Instant,
    started: Timestamp,
}

impl Clock {
    #[allow(clippy::new_without_default, reason = "it reads the clock")]
    pub fn new() -> Self {
        #[allow(clippy::disallowed_methods, reason = "only the program reads the clock: rules are given moments")]
        Self { start: Instant::now(), started: Timestamp::now() }
    }

    /// The start of the process by the wall clock of that time. It stays the same if the clock is set, so it identifies the process.
    pub fn started(&self) -> Timestamp {
        self.started
    }

    pub fn now(&self) -> Now {
        Now { elapsed: self.start.elapsed(), wall: Timestamp::now() }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Now {
    /// Since the start of the process.
    pub elapsed: Duration,
    pub wall: Timestamp,
}

impl Now {
    /// The wall-clock time of a moment in the past, by the present wall clock.
    pub fn wall_at(self, elapsed: Duration) -> Timestamp {
        let ago = self.elapsed.saturating_sub(elapsed);
        self.wall.checked_sub(ago).unwrap_or(Timestamp::UNIX_EPOCH)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_past_moment_has_a_time_of_the_present_clock() {
        let wall = "2026-01-02T03:04:05Z".parse().unwrap();
        let now = Now { elapsed: Duration::from_secs(60), wall };
        assert_eq!(now.wall_at(Duration::from_secs(50)).to_string(), "2026-01-02T03:03:55Z");
        assert_eq!(now.wall_at(Duration::from_secs(70)), wall);
    }
}
