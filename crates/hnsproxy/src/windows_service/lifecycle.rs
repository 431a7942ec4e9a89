//! The life of a service as the SCM sees it, without the SCM: messages in, states out, in order.
#![cfg_attr(not(windows), allow(dead_code, reason = "only Windows has services; the order is tested everywhere"))]

use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use crate::shutdown::Shutdown;

/// While the work ends, the SCM gets a sign of life so often.
pub(super) const SIGN_OF_LIFE: Duration = Duration::from_secs(2);

/// What a service is asked, or told by its own work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Message {
    /// Stop, said by a person.
    Stop,
    /// Stop, since the system goes down.
    Shutdown,
    /// The parameters of the service may have changed.
    ParamChange,
    /// Say how you are.
    Interrogate,
    /// The work has ended, with this exit code.
    Done(u8),
}

/// What the SCM is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// About to run.
    StartPending,
    /// At work.
    Running,
    /// The work is about to end; the number grows with each sign of life.
    StopPending(u32),
    /// The work has ended, with this exit code.
    Stopped(u8),
}

/// Lives a service from its start to its end. The work ends when `shutdown` is requested, and then says so by [`Message::Done`].
pub(super) fn live(
    messages: &Receiver<Message>,
    shutdown: &Shutdown,
    sign_of_life: Duration,
    mut report: impl FnMut(State),
) {
    let mut state = State::Running;
    report(state);
    loop {
        let message = match state {
            State::StopPending(_) => messages.recv_timeout(sign_of_life),
            _ => messages.recv().map_err(|_| RecvTimeoutError::Disconnected),
        };
        match (message, state) {
            (Ok(Message::Done(code)), _) => return report(State::Stopped(code)),
            // Its sender went without a word: the work has failed.
            (Err(RecvTimeoutError::Disconnected), _) => return report(State::Stopped(1)),
            (Ok(Message::Stop | Message::Shutdown), State::Running) => {
                tracing::info!("the service control manager wants the service to stop");
                state = State::StopPending(1);
                // Told before the work is, so that *stopped* can't come first.
                report(state);
                shutdown.request();
                continue;
            }
            (Ok(Message::ParamChange), _) => {
                tracing::info!("parameters of the service changed; they are read when it starts the next time");
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
        let (shutdown, told) = (Shutdown::default(), std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false)));
        let seen = told.clone();
        shutdown.on_request(move || seen.store(true, std::sync::atomic::Ordering::SeqCst));
        let mut states = Vec::new();
        live(&receiver, &shutdown, NEVER, |state| states.push(state));
        (states, told.load(std::sync::atomic::Ordering::SeqCst))
    }

    #[test]
    fn a_stop_ends_the_work_and_then_the_service() {
        use State::{Running, StopPending, Stopped};
        for stop in [Message::Stop, Message::Shutdown] {
            let (states, told) = states(&[stop, Message::Interrogate, stop, Message::Done(0)]);
            assert_eq!(states, [Running, StopPending(1), StopPending(1), StopPending(1), Stopped(0)]);
            assert!(told);
        }
    }

    #[test]
    fn a_running_service_answers_and_goes_on() {
        let (states, told) = states(&[Message::Interrogate, Message::ParamChange, Message::Done(1)]);
        assert_eq!(states, [State::Running, State::Running, State::Running, State::Stopped(1)]);
        assert!(!told);
    }

    #[test]
    fn work_that_ends_without_a_word_has_failed() {
        assert_eq!(states(&[]).0, [State::Running, State::Stopped(1)]);
    }

    #[test]
    fn while_the_work_takes_its_time_to_end_there_are_signs_of_life() {
        let (sender, receiver) = channel();
        sender.send(Message::Stop).unwrap();
        let mut states = Vec::new();
        live(&receiver, &Shutdown::default(), Duration::from_millis(1), |state| {
            states.push(state);
            if state == State::StopPending(3) {
                sender.send(Message::Done(0)).unwrap();
            }
        });
        let expected = [1, 2, 3].map(State::StopPending);
        assert_eq!(states, [&[State::Running], &expected[..], &[State::Stopped(0)]].concat());
    }
}
