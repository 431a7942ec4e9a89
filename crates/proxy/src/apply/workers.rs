//! Carries out the jobs of a queue on several threads. No other file of the core uses threads.

use std::num::NonZeroUsize;
use std::sync::{Condvar, Mutex, PoisonError};

use hcn::Client;

use super::{Clock, Driver, NO_CLOCK, Queue, one_by_one};

/// A number of threads. Jobs that depend on each other still run one after the other.
#[derive(Clone, Copy)]
pub struct Workers<'a> {
    threads: NonZeroUsize,
    clock: Clock<'a>,
}

impl<'a> Workers<'a> {
    /// Measures the steps by a clock.
    pub fn timed(threads: NonZeroUsize, clock: Clock<'a>) -> Self {
        Self { threads, clock }
    }

    /// All steps have a duration of zero.
    pub fn untimed(threads: NonZeroUsize) -> Self {
        Self { threads, clock: NO_CLOCK }
    }
}

impl Driver for Workers<'_> {
    fn drive(&self, client: &Client, queue: &mut Queue<'_>) {
        // More threads than jobs would only wait.
        let threads = self.threads.get().min(queue.len());
        let clock = self.clock;
        if threads <= 1 {
            return one_by_one(client, queue, clock);
        }
        let shared = (Mutex::new(queue), Condvar::new());
        std::thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(|| work(client, &shared, clock));
            }
        });
    }
}

fn work(client: &Client, (queue, changed): &(Mutex<&mut Queue<'_>>, Condvar), clock: Clock<'_>) {
    // A poisoned lock is used on: another thread has panicked, and the scope raises its panic when all threads have
    // ended.
    let mut guard = queue.lock().unwrap_or_else(PoisonError::into_inner);
    loop {
        let Some(job) = guard.take() else {
            if guard.is_idle() {
                break;
            }
            // Another thread is still working on a job that the next one depends on.
            guard = changed.wait(guard).unwrap_or_else(PoisonError::into_inner);
            continue;
        };
        // HNS calls take milliseconds to seconds, so none is made under the lock.
        drop(guard);
        let answers = job.perform(client, clock);
        guard = queue.lock().unwrap_or_else(PoisonError::into_inner);
        guard.record(job, answers);
        changed.notify_all();
    }
    changed.notify_all();
}
