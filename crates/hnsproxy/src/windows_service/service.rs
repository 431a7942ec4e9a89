//! The process as the SCM runs it: the dispatcher of controls, and the reported states.

use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use windows_service::service::{
    ServiceControl, ServiceControlAccept, ServiceExitCode, ServiceState, ServiceStatus, ServiceType,
};
use windows_service::service_control_handler::{self, ServiceControlHandlerResult};
use windows_service::service_dispatcher;

use super::ServiceError;
use super::event_log::{self, Level};
use super::lifecycle::{CHECKPOINT_INTERVAL, Message, State, run_lifecycle};
use crate::panic_hook;
use crate::shutdown::Shutdown;

/// `ERROR_FAILED_SERVICE_CONTROLLER_CONNECT`.
const NOT_STARTED_BY_SCM: i32 = 1063;

/// Any name works: the SCM ignores the name that a process gives if the process has only one service (`OWN_PROCESS`).
const NAME: &str = "kube-proxy";

/// The arguments of the main function of the service. Windows calls that function, so they are passed through [`HANDOVER`].
struct Handover {
    started: Sender<Result<(), windows_service::Error>>,
    messages: Receiver<Message>,
    sender: Sender<Message>,
    shutdown: Shutdown,
    /// Dropped once *stopped* is reported.
    reported: Sender<()>,
}

/// How long the process waits for the report of *stopped* before it ends without a call that hangs.
const REPORT_TIMEOUT: Duration = Duration::from_millis(500);

static HANDOVER: Mutex<Option<Handover>> = Mutex::new(None);

/// Runs `work` as a service, on this thread. The second part of its result is the exit code.
///
/// # Errors
/// If the SCM cannot be reached, for example because it did not start this process. `work` did not run in that case.
pub fn run<T>(work: impl FnOnce(&Shutdown) -> (T, u8)) -> Result<T, ServiceError> {
    panic_hook::also_report(|message| event_log::report(Level::Error, message));
    let shutdown = Shutdown::limited();
    let (sender, messages) = mpsc::channel();
    let (started, starts) = mpsc::channel();
    let (reported, report) = mpsc::channel();
    let abandoned = sender.clone();
    shutdown.before_exit(move || {
        // The stop was requested, and what hangs is not a failure of the service: a recovery action would start it again.
        let _ = abandoned.send(Message::Done(0));
        // Nothing is sent: it returns with an error once *stopped* is reported.
        let _ = report.recv_timeout(REPORT_TIMEOUT);
    });
    let handover =
        Handover { started: started.clone(), messages, sender: sender.clone(), shutdown: shutdown.clone(), reported };
    *HANDOVER.lock().unwrap_or_else(PoisonError::into_inner) = Some(handover);
    let dispatch = move || {
        if let Err(error) = service_dispatcher::start(NAME, main) {
            let _ = started.send(Err(error));
        }
    };
    let failed = |source: windows_service::Error| match source {
        windows_service::Error::Winapi(source) if source.raw_os_error() == Some(NOT_STARTED_BY_SCM) => {
            ServiceError::NotStartedAsService(source)
        }
        source => {
            ServiceError::Failed { action: "connect to the service control manager".into(), source: Box::new(source) }
        }
    };
    let dispatcher = thread::Builder::new().name("service-dispatcher".into()).spawn(dispatch)?;
    // The sender always sends a result before it is dropped.
    if let Ok(result) = starts.recv() {
        result.map_err(failed)?;
    }
    let (result, code) = work(&shutdown);
    let _ = sender.send(Message::Done(code));
    // The dispatcher returns once *stopped* is reported.
    let _ = dispatcher.join();
    Ok(result)
}

/// The main function of the service. It does not need the name and the start parameters: the process has one service.
extern "system" fn main(_count: u32, _arguments: *mut *mut u16) {
    let handover = HANDOVER.lock().unwrap_or_else(PoisonError::into_inner).take();
    if let Some(handover) = handover {
        serve(handover);
    }
}

fn serve(Handover { started, messages, sender, shutdown, reported: _reported }: Handover) {
    let handler = move |control| {
        let message = match control {
            ServiceControl::Stop => Message::Stop,
            ServiceControl::Shutdown => Message::Shutdown,
            ServiceControl::ParamChange => Message::ParamChange,
            ServiceControl::Interrogate => Message::Interrogate,
            _ => return ServiceControlHandlerResult::NotImplemented,
        };
        // Fails after *stopped* was reported: the receiver no longer exists.
        let _ = sender.send(message);
        ServiceControlHandlerResult::NoError
    };
    let handle = match service_control_handler::register(NAME, handler) {
        Ok(handle) => handle,
        Err(error) => {
            let _ = started.send(Err(error));
            return;
        }
    };
    let report = |state| {
        if let Err(error) = handle.set_service_status(status(state)) {
            tracing::error!(?state, %error, "cannot report the state to the service control manager");
        }
    };
    report(State::StartPending);
    let _ = started.send(Ok(()));
    run_lifecycle(&messages, &shutdown, CHECKPOINT_INTERVAL, report);
}

fn status(state: State) -> ServiceStatus {
    let accepted = ServiceControlAccept::STOP | ServiceControlAccept::SHUTDOWN | ServiceControlAccept::PARAM_CHANGE;
    let status = ServiceStatus {
        service_type: ServiceType::OWN_PROCESS,
        current_state: ServiceState::Running,
        controls_accepted: ServiceControlAccept::empty(),
        exit_code: ServiceExitCode::Win32(0),
        checkpoint: 0,
        wait_hint: Duration::ZERO,
        process_id: None,
    };
    let wait_hint = CHECKPOINT_INTERVAL * 5;
    match state {
        State::StartPending => {
            ServiceStatus { current_state: ServiceState::StartPending, checkpoint: 1, wait_hint, ..status }
        }
        State::Running => ServiceStatus { controls_accepted: accepted, ..status },
        State::StopPending(checkpoint) => {
            ServiceStatus { current_state: ServiceState::StopPending, checkpoint, wait_hint, ..status }
        }
        State::Stopped(0) => ServiceStatus { current_state: ServiceState::Stopped, ..status },
        State::Stopped(code) => ServiceStatus {
            current_state: ServiceState::Stopped,
            exit_code: ServiceExitCode::ServiceSpecific(u32::from(code)),
            ..status
        },
    }
}
