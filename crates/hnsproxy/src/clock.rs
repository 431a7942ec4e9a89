//! The clock of what other programs are told: how long the process has run, and what time that is for people.
//!
//! Rules are pure functions of [`Now`]. They reckon with the time since the start, which a clock that is set can't disturb.

use std::time::{Duration, Instant};

use jiff::Timestamp;

/// The moment from which the process counts.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    start: Instant,
}

impl Clock {
    /// Counts from now on.
    #[allow(clippy::new_without_default, reason = "it reads the clock")]
    pub fn new() -> Self {
        #[allow(clippy::disallowed_methods, reason = "the edge: rules are given moments")]
        Self { start: Instant::now() }
    }

    /// The moment that it is.
    pub fn now(&self) -> Now {
        Now { elapsed: self.start.elapsed(), wall: Timestamp::now() }
    }
}

/// A moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Now {
    /// The time since the start.
    pub elapsed: Duration,
    /// What clocks say.
    pub wall: Timestamp,
}

impl Now {
    /// What clocks would have said then, if nobody had set them since.
    pub fn wall_at(self, elapsed: Duration) -> Timestamp {
        let ago = self.elapsed.saturating_sub(elapsed);
        self.wall.checked_sub(ago).unwrap_or(Timestamp::UNIX_EPOCH)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_is_told_by_todays_clock() {
        let wall = "2026-01-02T03:04:05Z".parse().unwrap();
        let now = Now { elapsed: Duration::from_secs(60), wall };
        assert_eq!(now.wall_at(Duration::from_secs(50)).to_string(), "2026-01-02T03:03:55Z");
        assert_eq!(now.wall_at(Duration::from_secs(70)), wall);
    }
}
