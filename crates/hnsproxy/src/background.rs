//! One thread for all that waits for the network: what is asked of the API server, and what is answered over HTTP. It never calls HNS, so
//! it goes on while HNS does not answer.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio::sync::oneshot;
use tokio::task::{LocalSet, spawn_local};

/// How long a thread that read a file, or resolved a name, waits for the next to do.
const IDLE: Duration = Duration::from_millis(100);

type Job = Box<dyn FnOnce() -> Pin<Box<dyn Future<Output = ()>>> + Send>;

/// The thread. Clones are one and the same; it ends after the last of them, and the last of its tasks.
#[derive(Debug, Clone)]
pub struct Background(UnboundedSender<Job>);

impl Background {
    /// Starts it.
    ///
    /// # Errors
    /// Where the system has no thread for it.
    pub fn start() -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().thread_keep_alive(IDLE).build()?;
        let (jobs, mut received) = unbounded_channel::<Job>();
        let run = move || {
            LocalSet::new().block_on(&runtime, async {
                while let Some(job) = received.recv().await {
                    drop(spawn_local(job()));
                }
            });
            // What still reads a file is not waited for.
            runtime.shutdown_background();
        };
        std::thread::Builder::new().name("background".into()).spawn(run)?;
        Ok(Self(jobs))
    }

    /// Has a task done. It is told when it is to end, by an error of what it is given.
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
                task.await;
            }) as Pin<Box<dyn Future<Output = ()>>>
        };
        // The thread lives as long as this does; if it has panicked, that was said, and the task has ended.
        let _ = self.0.send(Box::new(job));
        Task { stop: Some(stop), end, _background: self.clone() }
    }
}

/// Something that the thread does. Dropped, it is told to end, and waited for: not to be dropped by what the thread does.
#[derive(Debug)]
pub struct Task {
    stop: Option<oneshot::Sender<()>>,
    /// Closed at its end.
    end: Receiver<()>,
    _background: Background,
}

impl Drop for Task {
    fn drop(&mut self) {
        drop(self.stop.take());
        // Nothing is ever sent: the error is the message.
        let _ = self.end.recv();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_task_that_is_dropped_says_its_last_words_before_that_returns() {
        let background = Background::start().unwrap();
        let (sender, words) = channel();
        let other = sender.clone();
        let speaks = background.spawn(move |stopped| async move {
            sender.send("first").unwrap();
            let _ = stopped.await;
            sender.send("last").unwrap();
        });
        let goes_on = background.spawn(move |stopped| async move {
            let _ = stopped.await;
            other.send("other").unwrap();
        });
        assert_eq!(words.recv(), Ok("first"));
        drop(speaks);
        assert_eq!(words.try_recv(), Ok("last"));
        assert!(words.try_recv().is_err());
        // The thread outlives what started it, for as long as there is something to do.
        drop(background);
        drop(goes_on);
        assert_eq!(words.iter().collect::<Vec<_>>(), ["other"]);
    }

    #[test]
    fn a_task_that_fails_takes_no_other_with_it() {
        let background = Background::start().unwrap();
        drop(background.spawn(|_| async { panic!("on purpose") }));
        let (sender, words) = channel();
        let _other = background.spawn(move |_| async move { sender.send("well").unwrap() });
        assert_eq!(words.recv(), Ok("well"));
    }
}
