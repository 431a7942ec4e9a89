//! Carries out the jobs of a queue on several threads. No other file of the core uses threads.

use std::num::NonZeroUsize;
use std::sync::{Condvar, Mutex, PoisonError};

use hcn::Client;

use super::{Driver, OneByOne, Queue};

/// The number of threads. Jobs that depend on each other still run one after the other.
#[derive(Debug, Clone, Copy)]
pub struct Workers(pub NonZeroUsize);

impl Driver for Workers {
    fn drive(&self, client: &Client, queue: &mut Queue<'_>) {
        // More threads than jobs would only wait.
        let threads = self.0.get().min(queue.len());
        if threads <= 1 {
            return OneByOne.drive(client, queue);
        }
        let shared = (Mutex::new(queue), Condvar::new());
        std::thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(|| work(client, &shared));
            }
        });
    }
}

fn work(client: &Client, (queue, changed): &(Mutex<&mut Queue<'_>>, Condvar)) {
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
        let answers = job.perform(client);
        guard = queue.lock().unwrap_or_else(PoisonError::into_inner);
        guard.record(job, answers);
        changed.notify_all();
    }
    changed.notify_all();
}
