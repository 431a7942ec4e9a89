//! The word to end: from a signal, or from the service control manager. Whoever waits for something else too is told by a function
//! of its own.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The word to end. Clones are one and the same.
#[derive(Clone, Default)]
pub struct End(Arc<Mutex<State>>);

enum State {
    Awaited(Vec<Box<dyn FnOnce() + Send>>),
    Told,
}

impl Default for State {
    fn default() -> Self {
        Self::Awaited(Vec::new())
    }
}

impl End {
    /// The word as it comes to a program of a terminal: by Ctrl-C, or a request to terminate. Once in a process.
    ///
    /// # Errors
    /// If signals can't be caught.
    pub fn by_signals() -> Result<Self, ctrlc::Error> {
        let end = Self::default();
        let told = end.clone();
        ctrlc::set_handler(move || told.tell())?;
        Ok(end)
    }

    /// Gives the word. Only the first time counts.
    pub fn tell(&self) {
        let before = std::mem::replace(&mut *self.state(), State::Told);
        if let State::Awaited(functions) = before {
            functions.into_iter().for_each(|function| function());
        }
    }

    /// Has a function called when the word comes, on the thread that gives it; at once if it has come already.
    pub fn when_told(&self, function: impl FnOnce() + Send + 'static) {
        if let State::Awaited(functions) = &mut *self.state() {
            functions.push(Box::new(function));
            return;
        }
        function();
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
    fn everybody_is_told_once_the_late_ones_at_once() {
        let (sender, receiver) = channel();
        let end = End::default();
        for name in ["first", "second"] {
            let sender = sender.clone();
            end.when_told(move || sender.send(name).unwrap());
        }
        assert!(receiver.try_recv().is_err());
        end.tell();
        end.clone().tell();
        end.when_told(move || sender.send("late").unwrap());
        assert_eq!(receiver.iter().collect::<Vec<_>>(), ["first", "second", "late"]);
    }
}
