//! What the commands need of the service control manager (SCM): to open, query, start and stop a service.

use std::thread;
use std::time::Duration;

use windows_service::service::{Service, ServiceAccess, ServiceState, ServiceStatus};
use windows_service::service_manager::{ServiceManager, ServiceManagerAccess};

use super::ServiceError;
use super::command_line::same_path;
use super::search::{self, Configuration, Hosted, Local};

/// The names that installers give the service: that of the Windows guides, and that of AKS.
pub(super) const NAMES: [&str; 2] = ["kube-proxy", "kubeproxy"];
/// The registry key of the services.
const SERVICES: &str = r"SYSTEM\CurrentControlSet\Services";
/// `ERROR_SERVICE_ALREADY_RUNNING`.
const ALREADY_RUNNING: i32 = 1056;
/// `ERROR_SERVICE_DOES_NOT_EXIST`.
const DOES_NOT_EXIST: i32 = 1060;
/// `ERROR_SERVICE_NOT_ACTIVE`.
const NOT_ACTIVE: i32 = 1062;
/// In seconds. A shutdown completes the HNS call in progress and sends the last Events.
const STOP_TIMEOUT: u64 = 60;
/// In seconds. The SCM itself waits for 30 s.
const START_TIMEOUT: u64 = 60;
const POLLS_PER_SECOND: u64 = 10;

pub(super) fn connect(access: ServiceManagerAccess) -> Result<ServiceManager, ServiceError> {
    ServiceManager::local_computer(None::<&str>, access)
        .map_err(|error| failed("open the service control manager (run as administrator)".into(), error))
}

/// # Errors
/// If the service does not exist, or the SCM denies the access.
pub(super) fn open(name: &str, access: ServiceAccess) -> Result<Service, ServiceError> {
    let manager = connect(ServiceManagerAccess::CONNECT)?;
    manager.open_service(name, access).map_err(|error| match code(&error) {
        Some(DOES_NOT_EXIST) => ServiceError::NotFound(name.to_owned()),
        _ => failed(format!("open service {name}"), error),
    })
}

pub(super) fn command_line(service: &Service) -> String {
    service.query_config().map(|config| config.executable_path.display().to_string()).unwrap_or_default()
}

/// How a service is registered, without a right to ask the SCM.
pub(super) fn registered(name: &str) -> Option<Configuration> {
    let key = winreg::HKLM.open_subkey(format!(r"{SERVICES}\{name}")).ok()?;
    Some(Configuration { image_path: key.get_value("ImagePath").ok()?, hosted: hosted(name) })
}

/// The names of all services and drivers.
pub(super) fn services() -> Vec<String> {
    let services = winreg::HKLM.open_subkey(SERVICES);
    services.map(|services| services.enum_keys().flatten().collect()).unwrap_or_default()
}

/// How the SCM starts a service, and what a service host has in its parameters.
pub(super) fn configuration(name: &str, service: &Service) -> Configuration {
    Configuration { image_path: command_line(service), hosted: hosted(name) }
}

/// Whether another service runs this program.
pub(super) fn is_used_elsewhere(program: &str, name: &str) -> bool {
    let others = services().into_iter().filter(|other| !other.eq_ignore_ascii_case(name));
    let mut configurations = others.filter_map(|other| registered(&other));
    configurations.any(|configuration| same_path(&search::program(&configuration, &Local).program, program))
}

/// NSSM and srvany have the program in the key `Parameters` of the service.
fn hosted(name: &str) -> Option<Hosted> {
    let path = format!(r"{SERVICES}\{name}\Parameters");
    let key = winreg::HKLM.open_subkey(path).ok()?;
    let value = |name| key.get_value::<String, _>(name);
    Some(Hosted {
        application: value("Application").ok()?,
        parameters: value("AppParameters").unwrap_or_default(),
        directory: value("AppDirectory").unwrap_or_default(),
    })
}

pub(super) fn status(name: &str, service: &Service) -> Result<ServiceStatus, ServiceError> {
    service.query_status().map_err(|error| failed(format!("query the state of service {name}"), error))
}

pub(super) fn state(name: &str, service: &Service) -> Result<ServiceState, ServiceError> {
    Ok(status(name, service)?.current_state)
}

pub(super) fn start(name: &str, service: &Service) -> Result<(), ServiceError> {
    match service.start::<&str>(&[]) {
        Err(error) if code(&error) != Some(ALREADY_RUNNING) => Err(failed(format!("start service {name}"), error)),
        _ => Ok(()),
    }
}

/// Starts a service, and waits until it runs. Its process reports that once it has its configuration.
pub(super) fn start_and_wait(name: &str, service: &Service) -> Result<(), ServiceError> {
    start(name, service)?;
    for _ in 0..START_TIMEOUT * POLLS_PER_SECOND {
        match state(name, service)? {
            ServiceState::Running => return Ok(()),
            ServiceState::Stopped => return Err(ServiceError::StoppedAfterStart(name.to_owned())),
            _ => pause(),
        }
    }
    Err(ServiceError::StartTimeout { name: name.to_owned(), seconds: START_TIMEOUT })
}

/// Stops a service, and waits until it has stopped.
pub(super) fn stop(name: &str, service: &Service) -> Result<(), ServiceError> {
    match state(name, service)? {
        ServiceState::Stopped => return Ok(()),
        // It accepts no further control.
        ServiceState::StopPending => {}
        _ => match service.stop() {
            Err(error) if code(&error) != Some(NOT_ACTIVE) => {
                return Err(failed(format!("stop service {name}"), error));
            }
            _ => {}
        },
    }
    for _ in 0..STOP_TIMEOUT * POLLS_PER_SECOND {
        if state(name, service)? == ServiceState::Stopped {
            return Ok(());
        }
        pause();
    }
    Err(ServiceError::StopTimeout { name: name.to_owned(), seconds: STOP_TIMEOUT })
}

/// Waits between two queries of a state.
pub(super) fn pause() {
    #[allow(clippy::disallowed_methods, reason = "this interface of the SCM does not notify of state changes")]
    thread::sleep(Duration::from_secs(1) / u32::try_from(POLLS_PER_SECOND).unwrap_or(1));
}

pub(super) fn code(error: &windows_service::Error) -> Option<i32> {
    match error {
        windows_service::Error::Winapi(error) => error.raw_os_error(),
        _ => None,
    }
}

pub(super) fn failed(action: String, source: windows_service::Error) -> ServiceError {
    ServiceError::Failed { action, source: Box::new(source) }
}
