//! The request to shut down: from a signal, or from the service control manager of Windows.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A shutdown that can be requested once. Clones share it.
#[derive(Clone, Default)]
pub struct Shutdown(Arc<Mutex<State>>);

enum State {
    Running(Vec<Box<dyn FnOnce() + Send>>),
    Requested,
}

impl Default for State {
    fn default() -> Self {
        Self::Running(Vec::new())
    }
}

impl Shutdown {
    /// Requested by Ctrl-C, SIGTERM or SIGHUP. May be called once in a process.
    ///
    /// # Errors
    /// If the signals cannot be caught.
    pub fn on_signals() -> Result<Self, ctrlc::Error> {
        let shutdown = Self::default();
        let requested = shutdown.clone();
        ctrlc::set_handler(move || requested.request())?;
        Ok(shutdown)
    }

    /// Requests the shutdown. Only the first request counts.
    pub fn request(&self) {
        let before = std::mem::replace(&mut *self.state(), State::Requested);
        // The lock is free again here: a callback may register another.
        if let State::Running(callbacks) = before {
            callbacks.into_iter().for_each(|callback| callback());
        }
    }

    /// Calls back when the shutdown is requested, on the thread that requests it; at once if it was requested before.
    pub fn on_request(&self, callback: impl FnOnce() + Send + 'static) {
        if let State::Running(callbacks) = &mut *self.state() {
            callbacks.push(Box::new(callback));
            return;
        }
        callback();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
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
        shutdown.request();
        shutdown.clone().request();
        shutdown.on_request(move || sender.send("late").unwrap());
        assert_eq!(receiver.iter().collect::<Vec<_>>(), ["first", "second", "late"]);
    }
}
