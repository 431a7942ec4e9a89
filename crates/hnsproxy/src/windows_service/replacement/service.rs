//! A service as a replacement sees it.

use std::time::Duration;

use crate::windows_service::ServiceError;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum State {
    Stopped,
    StopPending,
    /// Also of a service that NSSM has paused, since its program has ended and is started again later.
    StartPending,
    Running,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) struct Status {
    pub(in super::super) state: State,
    pub(in super::super) process_id: Option<u32>,
}

/// The service whose program is replaced.
pub(in super::super) trait Service {
    /// # Errors
    /// If the SCM returns an error.
    fn status(&self) -> Result<Status, ServiceError>;

    /// Whether it runs, or is about to.
    ///
    /// # Errors
    /// If the SCM returns an error.
    fn is_running(&self) -> Result<bool, ServiceError> {
        Ok(!matches!(self.status()?.state, State::Stopped | State::StopPending))
    }

    /// Stops it, and waits until it has stopped. A stopped service is not an error.
    ///
    /// # Errors
    /// If the SCM returns an error, or the service does not stop.
    fn stop(&self) -> Result<(), ServiceError>;

    /// # Errors
    /// If the SCM returns an error.
    fn start(&self) -> Result<(), ServiceError>;

    /// Whether `/readyz` of hnsproxy answers 200.
    fn is_ready(&self) -> bool;

    /// The time since any moment.
    fn now(&self) -> Duration;

    /// Waits for a moment.
    fn pause(&self);

    /// Tells the user what is done.
    fn print_line(&self, text: &str);
}
