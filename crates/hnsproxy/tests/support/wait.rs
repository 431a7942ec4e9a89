//! Bounded waits on state.

use std::fmt::Debug;
use std::time::{Duration, Instant};

/// Longer than any wait takes, on a busy machine too.
pub(crate) const BOUND: Duration = Duration::from_secs(30);

/// The program under test needs the processor more than the test that polls it.
const POLL_INTERVAL: Duration = Duration::from_millis(5);

/// Polls a state until it is accepted, and returns it. A wait that exceeds the bound ends the test with the last state.
#[track_caller]
pub(crate) fn wait_until<T: Debug>(what: &str, mut state: impl FnMut() -> T, accept: impl Fn(&T) -> bool) -> T {
    #[allow(clippy::disallowed_methods, reason = "bounds a wait")]
    let start = Instant::now();
    loop {
        let last = state();
        if accept(&last) {
            return last;
        }
        assert!(start.elapsed() < BOUND, "waited {BOUND:?} for {what}; last state: {last:#?}");
        std::thread::park_timeout(POLL_INTERVAL);
    }
}
