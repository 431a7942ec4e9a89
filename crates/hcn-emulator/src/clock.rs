//! The clock of an emulator: that of the system, or a virtual one, on which a delay takes no time.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

#[derive(Debug)]
pub(crate) enum Clock {
    /// Since this moment.
    System(Instant),
    /// In microseconds.
    Virtual(AtomicU64),
}

impl Clock {
    pub(crate) fn system() -> Self {
        Self::System(Instant::now())
    }

    pub(crate) fn fixed() -> Self {
        Self::Virtual(AtomicU64::new(0))
    }

    /// The time since the start of the emulator.
    pub(crate) fn now(&self) -> Duration {
        match self {
            Self::System(start) => start.elapsed(),
            Self::Virtual(now) => Duration::from_micros(now.load(Ordering::SeqCst)),
        }
    }

    /// Lets time pass.
    pub(crate) fn wait(&self, time: Duration) {
        match self {
            Self::System(_) => std::thread::sleep(time),
            Self::Virtual(now) => {
                let micros = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
                let add = |now: u64| Some(now.saturating_add(micros));
                let _ = now.fetch_update(Ordering::SeqCst, Ordering::SeqCst, add);
            }
        }
    }
}
