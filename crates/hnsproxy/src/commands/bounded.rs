//! Runs work that can hang, such as HNS calls and file reads, on separate threads, so that a command waits for each result only for a
//! limited time.

use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::thread;
use std::time::Duration;

use crate::clock::Clock;

/// How often [`Work::wait_while`] checks its condition.
const CHECK_INTERVAL: Duration = Duration::from_millis(100);

/// Work in progress.
pub(super) struct Work<T> {
    result: Receiver<T>,
    begun: Clock,
    limit: Duration,
}

/// Starts work on a detached thread: if the work hangs, the thread ends with the process. The time limit starts now.
pub(super) fn begin<T: Send + 'static>(limit: Duration, work: impl FnOnce() -> T + Send + 'static) -> Work<T> {
    let (sender, result) = sync_channel(1);
    // If the thread cannot start, `wait` returns an error. Sending fails if the caller no longer waits.
    let _ = thread::Builder::new().name("gather".into()).spawn(move || drop(sender.send(work())));
    Work { result, begun: Clock::new(), limit }
}

impl<T> Work<T> {
    /// # Errors
    /// The reason why the result is missing at the time limit.
    pub(super) fn wait(self) -> Result<T, String> {
        self.wait_while(|| None)
    }

    /// Like [`wait`](Self::wait), but returns early if `stuck` returns a reason.
    ///
    /// # Errors
    /// As [`wait`](Self::wait).
    pub(super) fn wait_while(self, stuck: impl Fn() -> Option<String>) -> Result<T, String> {
        loop {
            let left = self.limit.saturating_sub(self.begun.now().elapsed);
            match self.result.recv_timeout(left.min(CHECK_INTERVAL)) {
                Ok(result) => return Ok(result),
                Err(RecvTimeoutError::Disconnected) => return Err("cannot start a thread".to_owned()),
                Err(RecvTimeoutError::Timeout) if left.is_zero() => {
                    return Err(format!("no answer in {} s", self.limit.as_secs()));
                }
                Err(RecvTimeoutError::Timeout) => {
                    if let Some(reason) = stuck() {
                        return Err(reason);
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;

    #[test]
    fn work_that_ends_has_its_result() {
        assert_eq!(begin(Duration::from_secs(30), || 7).wait(), Ok(7));
    }

    #[test]
    fn work_that_hangs_is_given_up() {
        let hang = || {
            let (never, hanging) = channel::<()>();
            (never, move || hanging.recv().is_ok())
        };
        let (_never, work) = hang();
        assert_eq!(begin(Duration::ZERO, work).wait(), Err("no answer in 0 s".into()));
        let (_never, work) = hang();
        assert_eq!(begin(Duration::from_secs(30), work).wait_while(|| Some("stuck".into())), Err("stuck".into()));
    }
}
