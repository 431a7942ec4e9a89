//! Runs work on files for the control loop on a separate thread: if a disk hangs, HNS is still audited and programmed.

use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use crate::mutex::lock;

/// How long the control loop waits for the result of work that it has begun: longer than a disk under load takes. After that, the loop
/// continues, and takes the result in a later tick.
pub const MAX_WAIT: Duration = Duration::from_secs(2);

/// Work with a result. Only one task is in progress at a time, so that a disk that hangs blocks only one thread. Clones share it.
#[derive(Debug)]
pub struct FileWork<T>(Arc<Mutex<Option<Receiver<T>>>>);

impl<T> Default for FileWork<T> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<T> Clone for FileWork<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T: Send + 'static> FileWork<T> {
    /// Whether work was begun, and its result was not taken yet.
    pub fn is_pending(&self) -> bool {
        lock(&self.0).is_some()
    }

    /// Begins work, unless a result is pending.
    pub fn begin(&self, work: impl FnOnce() -> T + Send + 'static) {
        let mut pending = lock(&self.0);
        if pending.is_some() {
            return;
        }
        let (sender, receiver) = sync_channel(1);
        // Nothing joins the thread, so it does not delay the exit of the process. If it cannot start, the work has no result.
        let thread = thread::Builder::new().name("files".into()).spawn(move || drop(sender.send(work())));
        *pending = thread.is_ok().then_some(receiver);
    }

    /// Takes the result, and waits for it at most for `limit`.
    pub fn take(&self, limit: Duration) -> Option<T> {
        let mut pending = lock(&self.0);
        let answer = pending.as_ref()?.recv_timeout(limit);
        if !matches!(answer, Err(RecvTimeoutError::Timeout)) {
            *pending = None;
        }
        answer.ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_that_hangs_is_not_waited_for_and_its_answer_is_taken_later() {
        let work = FileWork::default();
        let (disk, hanging) = sync_channel(0);
        work.begin(move || hanging.recv());
        assert_eq!((work.take(Duration::ZERO), work.is_pending()), (None, true));
        work.begin(|| unreachable!("only one is in progress"));
        disk.send(7).unwrap();
        assert_eq!((work.take(Duration::MAX), work.is_pending()), (Some(Ok(7)), false));
    }

    #[test]
    fn work_without_an_answer_is_not_pending() {
        let work = FileWork::<u8>::default();
        assert_eq!((work.take(Duration::ZERO), work.is_pending()), (None, false));
        work.begin(|| panic!("as a defect would"));
        assert_eq!((work.take(Duration::MAX), work.is_pending()), (None, false));
    }
}
