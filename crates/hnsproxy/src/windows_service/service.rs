//! A process of the SCM: its dispatcher, and the states that it is told.

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
use super::lifecycle::{Message, SIGN_OF_LIFE, State, live};
use crate::shutdown::Shutdown;

/// `ERROR_FAILED_SERVICE_CONTROLLER_CONNECT`.
const NOT_STARTED_BY_SCM: i32 = 1063;

/// The SCM does not check the name that a process gives if its service has the process to itself, so any name of the service works.
const NAME: &str = "kube-proxy";

/// What the service's main function needs, which Windows calls without any argument of ours.
struct Handover {
    started: Sender<Result<(), windows_service::Error>>,
    messages: Receiver<Message>,
    sender: Sender<Message>,
    shutdown: Shutdown,
}

static HANDOVER: Mutex<Option<Handover>> = Mutex::new(None);

/// Does some work as a service, on this thread. The work is told when it has to end; the second part of its result is the exit code.
///
/// # Errors
/// Where the SCM can't be reached, because it did not start this process for instance. Then there was no work.
pub fn run<T>(work: impl FnOnce(&Shutdown) -> (T, u8)) -> Result<T, ServiceError> {
    let shutdown = Shutdown::default();
    let (sender, messages) = mpsc::channel();
    let (started, starts) = mpsc::channel();
    let handover = Handover { started: started.clone(), messages, sender: sender.clone(), shutdown: shutdown.clone() };
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
            ServiceError::Failed { doing: "speaking to the service control manager".into(), source: Box::new(source) }
        }
    };
    let dispatcher = thread::Builder::new().name("service-dispatcher".into()).spawn(dispatch)?;
    // Whoever has the other end says something before it goes.
    if let Ok(result) = starts.recv() {
        result.map_err(failed)?;
    }
    let (result, code) = work(&shutdown);
    let _ = sender.send(Message::Done(code));
    // It ends when the SCM was told of the end.
    let _ = dispatcher.join();
    Ok(result)
}

/// The service's main function. Its name and start parameters are not needed: there is one service in this process.
extern "system" fn main(_count: u32, _arguments: *mut *mut u16) {
    let handover = HANDOVER.lock().unwrap_or_else(PoisonError::into_inner).take();
    if let Some(handover) = handover {
        serve(handover);
    }
}

fn serve(Handover { started, messages, sender, shutdown }: Handover) {
    let handler = move |control| {
        let message = match control {
            ServiceControl::Stop => Message::Stop,
            ServiceControl::Shutdown => Message::Shutdown,
            ServiceControl::ParamChange => Message::ParamChange,
            ServiceControl::Interrogate => Message::Interrogate,
            _ => return ServiceControlHandlerResult::NotImplemented,
        };
        // Nobody there means that the service has stopped, which was reported.
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
            tracing::error!(?state, %error, "the service control manager could not be told the state of the service");
        }
    };
    report(State::StartPending);
    let _ = started.send(Ok(()));
    live(&messages, &shutdown, SIGN_OF_LIFE, report);
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
    let patience = SIGN_OF_LIFE * 5;
    match state {
        State::StartPending => {
            ServiceStatus { current_state: ServiceState::StartPending, checkpoint: 1, wait_hint: patience, ..status }
        }
        State::Running => ServiceStatus { controls_accepted: accepted, ..status },
        State::StopPending(checkpoint) => {
            ServiceStatus { current_state: ServiceState::StopPending, checkpoint, wait_hint: patience, ..status }
        }
        State::Stopped(0) => ServiceStatus { current_state: ServiceState::Stopped, ..status },
        State::Stopped(code) => ServiceStatus {
            current_state: ServiceState::Stopped,
            exit_code: ServiceExitCode::ServiceSpecific(u32::from(code)),
            ..status
        },
    }
}
