//! The request to shut down: from a signal, or from the service control manager of Windows. And its time limit: a native call cannot be
//! cancelled, so a process that waits for one that hangs ends without it.

use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use cluster_source::cluster::kill_plugins;
use hcn::SlowCall;
use tracing::error;

use crate::log;
use crate::mutex::lock;

/// Exit code: shutdown was requested, and the process ended before it was complete, because it took too long or was requested a second time. An
/// HNS call may have been left behind: HNS may still carry it out. The next start finds what HNS has.
pub const ABANDONED: u8 = 3;

/// How long a shutdown may take. A process ends within 5 s of the request; the rest is for the last message, and for the system to end it.
const LIMIT: Duration = Duration::from_secs(4);
/// How long the last message may take: what reads the log may hang, too.
const LAST_MESSAGE: Duration = Duration::from_millis(250);

/// A shutdown that can be requested once. Clones share it.
#[derive(Clone, Default)]
pub struct Shutdown(Arc<Shared>);

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    /// Reads the oldest HNS call in flight.
    call: Mutex<Option<ReadCall>>,
    /// Reads what the process would leave behind.
    remains: Mutex<Option<ReadRemains>>,
    before_exit: Mutex<Option<Callback>>,
}

type Callback = Box<dyn FnOnce() + Send>;
type ReadCall = Box<dyn Fn() -> Option<SlowCall> + Send>;
type ReadRemains = Box<dyn Fn() -> Option<String> + Send>;

enum State {
    Running(Vec<Callback>),
    Requested,
}

impl Default for State {
    fn default() -> Self {
        Self::Running(Vec::new())
    }
}

impl Shutdown {
    /// Requested by Ctrl-C, SIGTERM or SIGHUP, and limited in time. The second signal ends the process at once. May be called once in a process.
    ///
    /// # Errors
    /// If the signals cannot be caught.
    pub fn on_signals() -> Result<Self, ctrlc::Error> {
        Self::limited().requested_by_signals()
    }

    /// As [`on_signals`](Self::on_signals), without the limit.
    ///
    /// # Errors
    /// If the signals cannot be caught.
    pub fn on_signals_unlimited() -> Result<Self, ctrlc::Error> {
        Self::default().requested_by_signals()
    }

    fn requested_by_signals(self) -> Result<Self, ctrlc::Error> {
        let requested = self.clone();
        ctrlc::set_handler(move || {
            if !requested.request() {
                requested.abandon("shutdown requested a second time".to_owned());
            }
        })?;
        Ok(self)
    }

    /// A shutdown that ends the process with [`ABANDONED`] if it is not complete 4 s after the request.
    pub fn limited() -> Self {
        let shutdown = Self::default();
        let limited = shutdown.clone();
        let wait = move || {
            #[allow(
                clippy::disallowed_methods,
                reason = "nothing ends the wait: a shutdown that is complete ends the process"
            )]
            thread::sleep(LIMIT);
            limited.abandon(format!("shutdown not complete after {} s", LIMIT.as_secs()));
        };
        shutdown.on_request(move || {
            if let Err(error) = thread::Builder::new().name("shutdown-limit".into()).spawn(wait) {
                error!(%error, "cannot limit the time of the shutdown");
            }
        });
        shutdown
    }

    /// Requests the shutdown. Only the first request counts. Returns whether this was it.
    pub fn request(&self) -> bool {
        let before = std::mem::replace(&mut *lock(&self.0.state), State::Requested);
        // The lock is free again here: a callback may register another.
        let State::Running(callbacks) = before else { return false };
        callbacks.into_iter().for_each(|callback| callback());
        true
    }

    /// Calls back when the shutdown is requested, on the thread that requests it; at once if it was requested before.
    pub fn on_request(&self, callback: impl FnOnce() + Send + 'static) {
        if let State::Running(callbacks) = &mut *lock(&self.0.state) {
            callbacks.push(Box::new(callback));
            return;
        }
        callback();
    }

    /// A function that waits for a time. It returns false, at once, if the shutdown is requested.
    pub fn timer(&self) -> impl Fn(Duration) -> bool + use<> {
        let (sender, requested) = mpsc::channel();
        self.on_request(move || {
            // Nobody listens once the function is dropped.
            let _ = sender.send(());
        });
        move |time| requested.recv_timeout(time) == Err(RecvTimeoutError::Timeout)
    }

    /// Reads the HNS call that the shutdown waits for with this function, for the last message.
    pub fn waits_for(&self, call: impl Fn() -> Option<SlowCall> + Send + 'static) {
        *lock(&self.0.call) = Some(Box::new(call));
    }

    /// Reads what the process would leave behind with this function, for the last message.
    pub fn leaves(&self, remains: impl Fn() -> Option<String> + Send + 'static) {
        *lock(&self.0.remains) = Some(Box::new(remains));
    }

    /// Calls back before the process ends with [`ABANDONED`].
    pub fn before_exit(&self, callback: impl FnOnce() + Send + 'static) {
        *lock(&self.0.before_exit) = Some(Box::new(callback));
    }

    /// Ends the process. The reason is logged with the HNS call that is left behind, if there is one.
    fn abandon(&self, mut message: String) {
        if let Some(call) = lock(&self.0.call).as_ref().and_then(|call| call()) {
            message += &format!(": {call}");
        }
        if let Some(remains) = lock(&self.0.remains).as_ref().and_then(|remains| remains()) {
            message += &format!("; {remains}");
        }
        let (sender, logged) = mpsc::channel();
        let report = move || {
            error!("{message}; ending the process");
            log::end();
            let _ = sender.send(());
        };
        if thread::Builder::new().spawn(report).is_ok() {
            let _ = logged.recv_timeout(LAST_MESSAGE);
        }
        if let Some(callback) = lock(&self.0.before_exit).take() {
            callback();
        }
        kill_plugins();
        std::process::exit(i32::from(ABANDONED));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::channel;

    #[test]
    fn each_callback_is_called_once_and_a_late_one_at_once() {
        let (sender, receiver) = channel();
        let shutdown = Shutdown::default();
        for name in ["first", "second"] {
            let sender = sender.clone();
            shutdown.on_request(move || sender.send(name).unwrap());
        }
        assert!(receiver.try_recv().is_err());
        assert!(shutdown.request());
        assert!(!shutdown.clone().request(), "only the first counts");
        shutdown.on_request(move || sender.send("late").unwrap());
        assert_eq!(receiver.iter().collect::<Vec<_>>(), ["first", "second", "late"]);
    }
}
