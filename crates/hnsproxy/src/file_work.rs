//! Work on files that the control loop needs, on a thread of its own: a disk can hang, and HNS is audited and programmed all the same.

use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use crate::mutex::lock;

/// How long the control loop waits for work that it has begun. A disk under load answers within this time. After it, the loop continues, and takes
/// the answer when it has come.
pub const MAX_WAIT: Duration = Duration::from_secs(2);

/// Work with an answer. At most one is in progress, so that a disk that hangs costs one thread. Clones share it.
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
    /// Whether an answer was not taken yet.
    pub fn is_pending(&self) -> bool {
        lock(&self.0).is_some()
    }

    /// Begins work, unless an answer is pending.
    pub fn begin(&self, work: impl FnOnce() -> T + Send + 'static) {
        let mut pending = lock(&self.0);
        if pending.is_some() {
            return;
        }
        let (sender, receiver) = sync_channel(1);
        // It does not keep the process from its end. Without a thread, there is no answer.
        let thread = thread::Builder::new().name("files".into()).spawn(move || drop(sender.send(work())));
        *pending = thread.is_ok().then_some(receiver);
    }

    /// Takes the answer, and waits for it at most this long.
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
