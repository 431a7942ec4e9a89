//! One thread with an async runtime for everything that waits for the network: requests to the API server, and the HTTP servers. It never
//! calls HNS, so an HNS call that blocks does not block it.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio::sync::oneshot;
use tokio::task::{LocalSet, spawn_local};

use crate::panic_hook;

/// How long a thread that has read a file or resolved a name is kept. Credentials are read every few minutes: keeping it longer only costs
/// memory.
const BLOCKING_KEEP_ALIVE: Duration = Duration::from_millis(100);

type Job = Box<dyn FnOnce() -> Pin<Box<dyn Future<Output = ()>>> + Send>;

/// The thread. It ends once the last clone and the last task are gone.
#[derive(Debug, Clone)]
pub struct Background(UnboundedSender<Job>);

impl Background {
    /// # Errors
    /// If the system cannot start a thread.
    pub fn start() -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .thread_name(panic_hook::CONTAINING_THREADS)
            .thread_keep_alive(BLOCKING_KEEP_ALIVE)
            .build()?;
        let (jobs, mut received) = unbounded_channel::<Job>();
        let run = move || {
            LocalSet::new().block_on(&runtime, async {
                while let Some(job) = received.recv().await {
                    drop(spawn_local(job()));
                }
            });
            // Does not wait for blocking tasks, such as a file read that hangs.
            runtime.shutdown_background();
        };
        std::thread::Builder::new().name(panic_hook::CONTAINING_THREADS.into()).spawn(run)?;
        Ok(Self(jobs))
    }

    /// Spawns a task. It must end when its receiver resolves, which is with an error: the sender is only dropped. A panic of the task ends the
    /// process, since nobody would notice that it is gone; a panic of what the task spawns does not.
    pub fn spawn<F: Future<Output = ()> + 'static>(
        &self,
        task: impl FnOnce(oneshot::Receiver<()>) -> F + Send + 'static,
    ) -> Task {
        let (stop, stopped) = oneshot::channel();
        let (ended, end) = channel();
        let job = move || {
            let task = task(stopped);
            Box::pin(async move {
                let _ended = ended;
                if spawn_local(task).await.is_err_and(|error| error.is_panic()) {
                    panic_hook::end_process();
                }
            }) as Pin<Box<dyn Future<Output = ()>>>
        };
        // The thread is there as long as `self` is.
        let _ = self.0.send(Box::new(job));
        Task { stop: Some(stop), end, _background: self.clone() }
    }
}

/// A task of the thread. Dropping it stops it and waits for its end, so it must not be dropped on that thread.
#[derive(Debug)]
pub struct Task {
    stop: Option<oneshot::Sender<()>>,
    /// Closed when the task has ended.
    end: Receiver<()>,
    _background: Background,
}

impl Drop for Task {
    fn drop(&mut self) {
        drop(self.stop.take());
        // Nothing is ever sent: it returns with an error once the task has ended.
        let _ = self.end.recv();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dropping_a_task_waits_for_its_end() {
        let background = Background::start().unwrap();
        let (sender, messages) = channel();
        let other = sender.clone();
        let first = background.spawn(move |stopped| async move {
            sender.send("first").unwrap();
            let _ = stopped.await;
            sender.send("last").unwrap();
        });
        let second = background.spawn(move |stopped| async move {
            let _ = stopped.await;
            other.send("other").unwrap();
        });
        assert_eq!(messages.recv(), Ok("first"));
        drop(first);
        assert_eq!(messages.try_recv(), Ok("last"));
        assert!(messages.try_recv().is_err());
        // The thread runs as long as there is a task.
        drop(background);
        drop(second);
        assert_eq!(messages.iter().collect::<Vec<_>>(), ["other"]);
    }
}
