//! Counts allocations.

use std::ops::{AddAssign, Sub};

use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<std::alloc::System> = &INSTRUMENTED_SYSTEM;

/// The allocations in a period. Resizing an allocation counts as another one.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Allocations {
    pub(crate) count: i64,
    /// The number of allocated bytes minus the number of freed bytes.
    pub(crate) bytes: i64,
}

impl Allocations {
    /// The allocations since the start of the process.
    pub(crate) fn now() -> Self {
        let stats = ALLOCATOR.stats();
        let number = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        Self {
            count: number(stats.allocations + stats.reallocations),
            bytes: number(stats.bytes_allocated) - number(stats.bytes_deallocated),
        }
    }
}

impl Sub for Allocations {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        Self { count: self.count - other.count, bytes: self.bytes - other.bytes }
    }
}

impl AddAssign for Allocations {
    fn add_assign(&mut self, other: Self) {
        self.count += other.count;
        self.bytes += other.bytes;
    }
}
