//! Time: the caller passes it, so that the switch needs no clock.

use std::ops::{Add, Sub};

/// A point in time, in microseconds since a start that the caller chooses. It must not decrease from call to call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Instant(pub u64);

impl Instant {
    /// A point in time in milliseconds.
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis * 1000)
    }

    /// A point in time in seconds.
    pub const fn from_secs(secs: u64) -> Self {
        Self(secs * 1_000_000)
    }
}

impl Add<u64> for Instant {
    type Output = Self;

    fn add(self, micros: u64) -> Self {
        Self(self.0.saturating_add(micros))
    }
}

impl Sub for Instant {
    /// Microseconds; 0 if `earlier` is later.
    type Output = u64;

    fn sub(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}
