//! Carries out the jobs of a queue on several threads. The only file of the core that knows of threads; it decides nothing.

use std::num::NonZeroUsize;
use std::sync::{Condvar, Mutex, PoisonError};

use hcn::Client;

use super::{Driver, OneByOne, Queue};

/// So many jobs at once. What depends on each other still follows each other.
#[derive(Debug, Clone, Copy)]
pub struct Workers(pub NonZeroUsize);

impl Driver for Workers {
    fn drive(&self, client: &Client, queue: &mut Queue<'_>) {
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
    let mut held = queue.lock().unwrap_or_else(PoisonError::into_inner);
    loop {
        let Some(job) = held.take() else {
            if held.is_idle() {
                break;
            }
            // Others are at work on what the next job needs.
            held = changed.wait(held).unwrap_or_else(PoisonError::into_inner);
            continue;
        };
        drop(held);
        let answers = job.perform(client);
        held = queue.lock().unwrap_or_else(PoisonError::into_inner);
        held.note(job, answers);
        changed.notify_all();
    }
    changed.notify_all();
}
