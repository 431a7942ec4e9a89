//! Installs and uninstalls the service.

use std::path::Path;
use std::thread;
use std::time::Duration;

use cluster_source::error_chain;
use windows_service::service::{
    Service, ServiceAccess, ServiceAction, ServiceActionType, ServiceErrorControl, ServiceFailureActions,
    ServiceFailureResetPeriod, ServiceInfo, ServiceStartType, ServiceState, ServiceType,
};
use windows_service::service_manager::{ServiceManager, ServiceManagerAccess};

use super::event_log::SOURCE;
use super::{ServiceDefinition, ServiceError};
use crate::output;

/// `ERROR_SERVICE_DOES_NOT_EXIST`.
const DOES_NOT_EXIST: i32 = 1060;
/// `ERROR_SERVICE_EXISTS`.
const EXISTS: i32 = 1073;
/// `ERROR_SERVICE_NOT_ACTIVE`.
const NOT_ACTIVE: i32 = 1062;

const DESCRIPTION: &str =
    "Programs the Host Networking Service for Kubernetes Services (hnsproxy, which replaces kube-proxy).";
/// The seconds until the SCM restarts the service after its first, second, and any further failure.
const RESTARTS: [u64; 3] = [5, 10, 60];
/// After this time without a failure, the next failure counts as the first again: one day.
const FAILURE_RESET: Duration = Duration::from_secs(24 * 60 * 60);
/// In seconds. A shutdown completes the HNS call in progress and sends the last Events.
const STOP_TIMEOUT: u64 = 60;
const POLLS_PER_SECOND: u64 = 10;

/// Installs a service that runs this program.
///
/// # Errors
/// If a service with this name exists, if the SCM returns an error, or if the output cannot be written.
pub fn install(definition: &ServiceDefinition) -> Result<(), ServiceError> {
    let ServiceDefinition { name, display_name, arguments } = definition;
    let manager = connect(ServiceManagerAccess::CONNECT | ServiceManagerAccess::CREATE_SERVICE)?;
    let program = std::env::current_exe()?;
    let info = ServiceInfo {
        name: name.into(),
        display_name: display_name.into(),
        service_type: ServiceType::OWN_PROCESS,
        start_type: ServiceStartType::AutoStart,
        error_control: ServiceErrorControl::Normal,
        executable_path: program,
        launch_arguments: arguments.clone(),
        // hnsproxy waits for HNS by itself. With a dependency, each restart of HNS would stop this service.
        dependencies: Vec::new(),
        account_name: None,
        account_password: None,
    };
    let access = ServiceAccess::QUERY_CONFIG | ServiceAccess::CHANGE_CONFIG | ServiceAccess::START;
    let service = manager.create_service(&info, access).map_err(|error| match code(&error) {
        Some(EXISTS) => match manager.open_service(name, ServiceAccess::QUERY_CONFIG) {
            Ok(existing) => ServiceError::Exists { name: name.clone(), command_line: command_line(&existing) },
            Err(error) => failed(format!("query service {name}, which exists"), error),
        },
        _ => failed(format!("create service {name}"), error),
    })?;
    print(&format!("created service {name} ({display_name}): starts with the system, as LocalSystem"))?;
    print(&format!("  command line: {}", command_line(&service)))?;
    optional("description", service.set_description(DESCRIPTION))?;
    let restart =
        |seconds| ServiceAction { action_type: ServiceActionType::Restart, delay: Duration::from_secs(seconds) };
    let actions = ServiceFailureActions {
        reset_period: ServiceFailureResetPeriod::After(FAILURE_RESET),
        reboot_msg: None,
        command: None,
        actions: Some(RESTARTS.map(restart).into()),
    };
    let [first, second, further] = RESTARTS;
    optional(
        &format!("restart after failures: after {first} s, {second} s, then {further} s each time"),
        service.update_failure_actions(actions),
    )?;
    optional("the same after an exit with an error", service.set_failure_actions_on_non_crash_failures(true))?;
    optional(
        &format!("the source {SOURCE} of events in the Application log"),
        windows_event_log::register(SOURCE),
    )?;
    print(&format!("start it with: sc.exe start {name}"))?;
    print("the working directory of a service is System32: use absolute paths in its arguments")
}

/// Stops and deletes a service that runs this program.
///
/// # Errors
/// If the service does not exist, runs another program or does not stop, if the SCM returns an error, or if the output cannot be
/// written.
pub fn uninstall(name: &str) -> Result<(), ServiceError> {
    let manager = connect(ServiceManagerAccess::CONNECT)?;
    let access =
        ServiceAccess::QUERY_CONFIG | ServiceAccess::QUERY_STATUS | ServiceAccess::STOP | ServiceAccess::DELETE;
    let service = manager.open_service(name, access).map_err(|error| match code(&error) {
        Some(DOES_NOT_EXIST) => ServiceError::NotFound(name.to_owned()),
        _ => failed(format!("open service {name}"), error),
    })?;
    let command_line = command_line(&service);
    if !runs(&command_line, &std::env::current_exe()?) {
        return Err(ServiceError::Foreign { name: name.to_owned(), command_line });
    }
    stop(name, &service)?;
    service.delete().map_err(|error| failed(format!("delete service {name}"), error))?;
    if let Err(error) = windows_event_log::unregister(SOURCE) {
        print(&format!("cannot remove the source {SOURCE} of events: {error}"))?;
    }
    print(&format!("deleted service {name}, which ran {command_line}; HNS keeps its state"))
}

fn stop(name: &str, service: &Service) -> Result<(), ServiceError> {
    let state = || {
        let status =
            service.query_status().map_err(|error| failed(format!("query the state of service {name}"), error));
        status.map(|status| status.current_state)
    };
    if state()? == ServiceState::Stopped {
        return Ok(());
    }
    print(&format!("stopping service {name}"))?;
    match service.stop() {
        Err(error) if code(&error) != Some(NOT_ACTIVE) => {
            return Err(failed(format!("stop service {name}"), error));
        }
        _ => {}
    }
    for _ in 0..STOP_TIMEOUT * POLLS_PER_SECOND {
        if state()? == ServiceState::Stopped {
            return print("stopped");
        }
        #[allow(clippy::disallowed_methods, reason = "this interface of the SCM does not notify of state changes")]
        thread::sleep(Duration::from_secs(1) / u32::try_from(POLLS_PER_SECOND).unwrap_or(1));
    }
    Err(ServiceError::StopTimeout { name: name.to_owned(), seconds: STOP_TIMEOUT })
}

fn connect(access: ServiceManagerAccess) -> Result<ServiceManager, ServiceError> {
    ServiceManager::local_computer(None::<&str>, access)
        .map_err(|error| failed("open the service control manager (run as administrator)".into(), error))
}

fn command_line(service: &Service) -> String {
    service.query_config().map(|config| config.executable_path.display().to_string()).unwrap_or_default()
}

/// Whether a command line starts a program with this file name, in any directory.
fn runs(command_line: &str, program: &Path) -> bool {
    let name = program.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
    !name.is_empty() && command_line.to_lowercase().contains(&name)
}

/// Prints which optional setting was made, or why it could not be made. The service works without it.
fn optional(what: &str, result: Result<(), impl std::error::Error + 'static>) -> Result<(), ServiceError> {
    match result {
        Ok(()) => print(&format!("  set {what}")),
        Err(error) => print(&format!("  cannot set {what}: {}", error_chain(&error))),
    }
}

fn print(line: &str) -> Result<(), ServiceError> {
    Ok(output::text(&format!("{line}\n"))?)
}

fn code(error: &windows_service::Error) -> Option<i32> {
    match error {
        windows_service::Error::Winapi(error) => error.raw_os_error(),
        _ => None,
    }
}

fn failed(action: String, source: windows_service::Error) -> ServiceError {
    ServiceError::Failed { action, source: Box::new(source) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_line_runs_a_program_by_its_name() {
        let program = Path::new(r"Z:\build\HnsProxy.exe");
        assert!(runs(r#""C:\k\hnsproxy.exe" --config=c.yaml"#, program));
        assert!(!runs(r"C:\k\kube-proxy.exe --windows-service", program));
        assert!(!runs("anything", Path::new("..")));
    }
}
