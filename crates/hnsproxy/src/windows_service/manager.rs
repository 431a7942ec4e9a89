//! Installs services and takes them away.

use std::path::Path;
use std::thread;
use std::time::Duration;

use cluster_source::error_chain;
use windows_service::service::{
    Service, ServiceAccess, ServiceAction, ServiceActionType, ServiceErrorControl, ServiceFailureActions,
    ServiceFailureResetPeriod, ServiceInfo, ServiceStartType, ServiceState, ServiceType,
};
use windows_service::service_manager::{ServiceManager, ServiceManagerAccess};

use super::{ServiceError, Wanted};
use crate::output;

/// `ERROR_SERVICE_DOES_NOT_EXIST`.
const DOES_NOT_EXIST: i32 = 1060;
/// `ERROR_SERVICE_EXISTS`.
const EXISTS: i32 = 1073;
/// `ERROR_SERVICE_NOT_ACTIVE`.
const NOT_ACTIVE: i32 = 1062;

const DESCRIPTION: &str = "Has the Host Networking Service hold the load balancers of Kubernetes Services (hnsproxy, in the place of kube-proxy).";
/// After so many seconds the service is started again when it failed the first, the second, and any further time.
const RESTARTS: [u64; 3] = [5, 10, 60];
/// A failure counts as the first again after a day without one.
const FORGIVEN: Duration = Duration::from_secs(24 * 60 * 60);
/// How long a service is awaited that was told to stop, and how often it is looked at.
const STOP_BOUND: u64 = 60;
const LOOKS_PER_SECOND: u64 = 10;

/// Installs a service that runs this program.
///
/// # Errors
/// Where there is such a service, the SCM refuses, or this can't be said.
pub fn install(wanted: &Wanted) -> Result<(), ServiceError> {
    let Wanted { name, display_name, arguments } = wanted;
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
        // HNS is waited for by the program itself. As a dependency it would take this service down with it.
        dependencies: Vec::new(),
        account_name: None,
        account_password: None,
    };
    let access = ServiceAccess::QUERY_CONFIG | ServiceAccess::CHANGE_CONFIG | ServiceAccess::START;
    let service = manager.create_service(&info, access).map_err(|error| match code(&error) {
        Some(EXISTS) => match manager.open_service(name, ServiceAccess::QUERY_CONFIG) {
            Ok(there) => ServiceError::Exists { name: name.clone(), command_line: command_line(&there) },
            Err(error) => failed(format!("looking at the service {name} that is there"), error),
        },
        _ => failed(format!("creating the service {name}"), error),
    })?;
    say(&format!("created the service {name} ({display_name}), started with the system, as LocalSystem"))?;
    say(&format!("  it runs: {}", command_line(&service)))?;
    optional("its description", service.set_description(DESCRIPTION))?;
    let restart =
        |seconds| ServiceAction { action_type: ServiceActionType::Restart, delay: Duration::from_secs(seconds) };
    let actions = ServiceFailureActions {
        reset_period: ServiceFailureResetPeriod::After(FORGIVEN),
        reboot_msg: None,
        command: None,
        actions: Some(RESTARTS.map(restart).into()),
    };
    let [first, second, further] = RESTARTS;
    optional(
        &format!("restarts after failures: after {first} s, {second} s, then each time {further} s"),
        service.update_failure_actions(actions),
    )?;
    optional("the same where it ends with an error", service.set_failure_actions_on_non_crash_failures(true))?;
    say(&format!("start it with: sc.exe start {name}"))?;
    say("a service starts in System32: paths among its arguments should be absolute")
}

/// Stops a service that runs this program, and takes it away.
///
/// # Errors
/// Where there is none, it runs another program or does not stop, the SCM refuses, or this can't be said.
pub fn uninstall(name: &str) -> Result<(), ServiceError> {
    let manager = connect(ServiceManagerAccess::CONNECT)?;
    let access =
        ServiceAccess::QUERY_CONFIG | ServiceAccess::QUERY_STATUS | ServiceAccess::STOP | ServiceAccess::DELETE;
    let service = manager.open_service(name, access).map_err(|error| match code(&error) {
        Some(DOES_NOT_EXIST) => ServiceError::Absent(name.to_owned()),
        _ => failed(format!("opening the service {name}"), error),
    })?;
    let command_line = command_line(&service);
    if !runs(&command_line, &std::env::current_exe()?) {
        return Err(ServiceError::Foreign { name: name.to_owned(), command_line });
    }
    stop(name, &service)?;
    service.delete().map_err(|error| failed(format!("taking the service {name} away"), error))?;
    say(&format!("took the service {name} away, which ran {command_line}; what HNS holds stays"))
}

fn stop(name: &str, service: &Service) -> Result<(), ServiceError> {
    let state = || {
        let status = service.query_status().map_err(|error| failed(format!("asking for the state of {name}"), error));
        status.map(|status| status.current_state)
    };
    if state()? == ServiceState::Stopped {
        return Ok(());
    }
    say(&format!("stopping the service {name}"))?;
    match service.stop() {
        Err(error) if code(&error) != Some(NOT_ACTIVE) => {
            return Err(failed(format!("stopping the service {name}"), error));
        }
        _ => {}
    }
    for _ in 0..STOP_BOUND * LOOKS_PER_SECOND {
        if state()? == ServiceState::Stopped {
            return say("it has stopped");
        }
        // The SCM sends no word of it to those who ask this way.
        thread::sleep(Duration::from_secs(1) / u32::try_from(LOOKS_PER_SECOND).unwrap_or(1));
    }
    Err(ServiceError::DoesNotStop { name: name.to_owned(), seconds: STOP_BOUND })
}

fn connect(access: ServiceManagerAccess) -> Result<ServiceManager, ServiceError> {
    ServiceManager::local_computer(None::<&str>, access).map_err(|error| {
        failed("opening the service control manager, for which one has to be an administrator,".into(), error)
    })
}

/// The whole line that a service runs.
fn command_line(service: &Service) -> String {
    service.query_config().map(|config| config.executable_path.display().to_string()).unwrap_or_default()
}

/// Whether a command line starts a program of this name, wherever it is.
fn runs(command_line: &str, program: &Path) -> bool {
    let name = program.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
    !name.is_empty() && command_line.to_lowercase().contains(&name)
}

/// Says that something was set, or why not: a service works without it.
fn optional(what: &str, result: Result<(), windows_service::Error>) -> Result<(), ServiceError> {
    match result {
        Ok(()) => say(&format!("  set {what}")),
        Err(error) => say(&format!("  NOT set, {what}: {}", error_chain(&error))),
    }
}

fn say(line: &str) -> Result<(), ServiceError> {
    Ok(output::text(&format!("{line}\n"))?)
}

fn code(error: &windows_service::Error) -> Option<i32> {
    match error {
        windows_service::Error::Winapi(error) => error.raw_os_error(),
        _ => None,
    }
}

fn failed(doing: String, source: windows_service::Error) -> ServiceError {
    ServiceError::Failed { doing, source: Box::new(source) }
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
