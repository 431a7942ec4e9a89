//! The lifecycle of the service as the SCM sees it: it turns messages into reported states, in order. It does not need the SCM, so it is
//! tested on every system.
#![cfg_attr(not(windows), allow(dead_code, reason = "only Windows has services"))]

use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use crate::shutdown::Shutdown;

/// How often progress is reported during the shutdown. The SCM takes a service for hung after the wait hint, which is a multiple of this.
pub(super) const CHECKPOINT_INTERVAL: Duration = Duration::from_secs(2);

/// A control of the SCM, or the end of the work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Message {
    /// Requested by a person.
    Stop,
    /// The system shuts down.
    Shutdown,
    /// The parameters of the service may have changed.
    ParamChange,
    /// Report the state.
    Interrogate,
    /// With the exit code.
    Done(u8),
}

/// A state to report to the SCM.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    StartPending,
    Running,
    /// With the checkpoint, which grows with each report.
    StopPending(u32),
    /// With the exit code.
    Stopped(u8),
}

/// Reports the states from *running* to *stopped*. The work ends some time after `shutdown` is requested, and then sends [`Message::Done`]; so does the
/// limit of the shutdown, if the work hangs.
pub(super) fn run_lifecycle(
    messages: &Receiver<Message>,
    shutdown: &Shutdown,
    checkpoint_interval: Duration,
    mut report: impl FnMut(State),
) {
    let mut state = State::Running;
    report(state);
    loop {
        let message = match state {
            State::StopPending(_) => messages.recv_timeout(checkpoint_interval),
            _ => messages.recv().map_err(|_| RecvTimeoutError::Disconnected),
        };
        match (message, state) {
            (Ok(Message::Done(code)), _) => return report(State::Stopped(code)),
            // The work panicked: its sender was dropped without a result.
            (Err(RecvTimeoutError::Disconnected), _) => return report(State::Stopped(1)),
            (Ok(Message::Stop | Message::Shutdown), State::Running) => {
                tracing::info!("stop requested by the service control manager");
                state = State::StopPending(1);
                // Reported before the work can end, so that *stopped* comes after it.
                report(state);
                shutdown.request();
                continue;
            }
            (Ok(Message::ParamChange), _) => {
                tracing::info!("service parameters changed; they take effect at the next start");
            }
            (Err(RecvTimeoutError::Timeout), State::StopPending(checkpoint)) => {
                state = State::StopPending(checkpoint.saturating_add(1));
            }
            _ => {}
        }
        report(state);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::channel;

    const NEVER: Duration = Duration::from_secs(600);

    fn states(messages: &[Message]) -> (Vec<State>, bool) {
        let (sender, receiver) = channel();
        messages.iter().for_each(|message| sender.send(*message).unwrap());
        drop(sender);
        let (shutdown, requested) =
            (Shutdown::default(), std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false)));
        let seen = requested.clone();
        shutdown.on_request(move || seen.store(true, std::sync::atomic::Ordering::SeqCst));
        let mut states = Vec::new();
        run_lifecycle(&receiver, &shutdown, NEVER, |state| states.push(state));
        (states, requested.load(std::sync::atomic::Ordering::SeqCst))
    }

    #[test]
    fn a_stop_ends_the_work_and_then_the_service() {
        use State::{Running, StopPending, Stopped};
        for stop in [Message::Stop, Message::Shutdown] {
            let (states, requested) = states(&[stop, Message::Interrogate, stop, Message::Done(0)]);
            assert_eq!(states, [Running, StopPending(1), StopPending(1), StopPending(1), Stopped(0)]);
            assert!(requested);
        }
    }

    #[test]
    fn a_running_service_answers_each_control() {
        let (states, requested) = states(&[Message::Interrogate, Message::ParamChange, Message::Done(1)]);
        assert_eq!(states, [State::Running, State::Running, State::Running, State::Stopped(1)]);
        assert!(!requested);
    }

    #[test]
    fn work_that_ends_without_a_result_has_failed() {
        assert_eq!(states(&[]).0, [State::Running, State::Stopped(1)]);
    }

    #[test]
    fn progress_is_reported_while_the_work_shuts_down() {
        let (sender, receiver) = channel();
        sender.send(Message::Stop).unwrap();
        let mut states = Vec::new();
        run_lifecycle(&receiver, &Shutdown::default(), Duration::from_millis(1), |state| {
            states.push(state);
            if state == State::StopPending(3) {
                sender.send(Message::Done(0)).unwrap();
            }
        });
        let expected = [1, 2, 3].map(State::StopPending);
        assert_eq!(states, [&[State::Running], &expected[..], &[State::Stopped(0)]].concat());
    }
}
