//! Installs, updates and uninstalls the service.

use std::io;
use std::path::Path;
use std::time::Duration;

use cluster_source::error_chain;
use windows_service::service::{
    Service, ServiceAccess, ServiceAction, ServiceActionType, ServiceErrorControl, ServiceFailureActions,
    ServiceFailureResetPeriod, ServiceInfo, ServiceStartType, ServiceState, ServiceType,
};
use windows_service::service_manager::ServiceManagerAccess;

use super::event_log::SOURCE;
use super::program::{self, Own, ProgramKind};
use super::replacement::Files;
use super::scm::{
    code, command_line, configuration, connect, failed, is_used_elsewhere, open, start_and_wait, state, stop,
};
use super::search::{self, Local};
use super::{ServiceDefinition, ServiceError};
use crate::output;

/// `ERROR_SERVICE_EXISTS`.
const EXISTS: i32 = 1073;

const DESCRIPTION: &str =
    "Programs the Host Networking Service for Kubernetes Services (hnsproxy, which replaces kube-proxy).";
/// The seconds until the SCM restarts the service after its first, second, and any further failure.
const RESTARTS: [u64; 3] = [5, 10, 60];
/// After this time without a failure, the next failure counts as the first again: one day.
const FAILURE_RESET: Duration = Duration::from_secs(24 * 60 * 60);

/// Installs a service that runs this program. Prints only once it is configured, so that a standard output that cannot be written
/// leaves no service without its settings.
///
/// # Errors
/// If a service with this name exists, if the SCM returns an error, or if the output cannot be written.
pub fn install(definition: &ServiceDefinition) -> Result<(), ServiceError> {
    let ServiceDefinition { name, display_name, .. } = definition;
    let service = create(definition)?;
    let mut lines = vec![
        format!("created service {name} ({display_name}): starts with the system, as LocalSystem"),
        format!("  command line: {}", command_line(&service)),
    ];
    lines.extend(configure(&service));
    lines.push(format!("start it with: sc.exe start {name}"));
    lines.push("the working directory of a service is System32: use absolute paths in its arguments".to_owned());
    print(&lines)
}

fn create(definition: &ServiceDefinition) -> Result<Service, ServiceError> {
    let ServiceDefinition { name, display_name, arguments } = definition;
    let manager = connect(ServiceManagerAccess::CONNECT | ServiceManagerAccess::CREATE_SERVICE)?;
    let info = ServiceInfo {
        name: name.into(),
        display_name: display_name.into(),
        service_type: ServiceType::OWN_PROCESS,
        start_type: ServiceStartType::AutoStart,
        error_control: ServiceErrorControl::Normal,
        executable_path: std::env::current_exe()?,
        launch_arguments: arguments.clone(),
        // hnsproxy waits for HNS by itself. With a dependency, each restart of HNS would stop this service.
        dependencies: Vec::new(),
        account_name: None,
        account_password: None,
    };
    let access = ServiceAccess::QUERY_CONFIG | ServiceAccess::CHANGE_CONFIG | ServiceAccess::START;
    manager.create_service(&info, access).map_err(|error| match code(&error) {
        Some(EXISTS) => match manager.open_service(name, ServiceAccess::QUERY_CONFIG) {
            Ok(existing) => ServiceError::Exists { name: name.clone(), command_line: command_line(&existing) },
            Err(error) => failed(format!("query service {name}, which exists"), error),
        },
        _ => failed(format!("create service {name}"), error),
    })
}

/// Makes the optional settings. Returns a line for each.
fn configure(service: &Service) -> Vec<String> {
    let restart =
        |seconds| ServiceAction { action_type: ServiceActionType::Restart, delay: Duration::from_secs(seconds) };
    let actions = ServiceFailureActions {
        reset_period: ServiceFailureResetPeriod::After(FAILURE_RESET),
        reboot_msg: None,
        command: None,
        actions: Some(RESTARTS.map(restart).into()),
    };
    let [first, second, further] = RESTARTS;
    vec![
        optional("description", service.set_description(DESCRIPTION)),
        optional(
            &format!("restart after failures: after {first} s, {second} s, then {further} s each time"),
            service.update_failure_actions(actions),
        ),
        optional("the same after an exit with an error", service.set_failure_actions_on_non_crash_failures(true)),
        register_events(),
    ]
}

/// Registers the source of events. Returns a line for the output.
pub(super) fn register_events() -> String {
    optional(&format!("the source {SOURCE} of events in the Application log"), windows_event_log::register(SOURCE))
}

/// Removes the source of events, unless another service that runs this program writes events, too.
pub(super) fn unregister_events(program: &str, name: &str) -> io::Result<()> {
    if is_used_elsewhere(program, name) { Ok(()) } else { windows_event_log::unregister(SOURCE) }
}

/// Which optional setting was made, or why it could not be made. The service works without it.
fn optional(what: &str, result: Result<(), impl std::error::Error + 'static>) -> String {
    match result {
        Ok(()) => format!("  set {what}"),
        Err(error) => format!("  cannot set {what}: {}", error_chain(&error)),
    }
}

/// Gives a service that runs hnsproxy this program and other arguments, and restarts it if it runs. Its other settings stay.
///
/// # Errors
/// If the service does not exist, runs another program, or does not run after the restart, if the SCM returns an error, or if the output cannot be
/// written.
pub fn update(definition: &ServiceDefinition) -> Result<(), ServiceError> {
    let ServiceDefinition { name, arguments, .. } = definition;
    let access = ServiceAccess::QUERY_CONFIG | ServiceAccess::QUERY_STATUS;
    let service = open(name, access | ServiceAccess::CHANGE_CONFIG | ServiceAccess::START | ServiceAccess::STOP)?;
    owned(name, &service)?;
    let present = service.query_config().map_err(|error| failed(format!("query service {name}"), error))?;
    let info = ServiceInfo {
        name: name.into(),
        display_name: present.display_name,
        service_type: present.service_type,
        start_type: present.start_type,
        error_control: present.error_control,
        executable_path: std::env::current_exe()?,
        launch_arguments: arguments.clone(),
        // What is missing stays as it is.
        dependencies: Vec::new(),
        account_name: None,
        account_password: None,
    };
    service.change_config(&info).map_err(|error| failed(format!("change service {name}"), error))?;
    let mut lines = vec![format!("changed service {name}"), format!("  command line: {}", command_line(&service))];
    if state(name, &service)? != ServiceState::Stopped {
        stop(name, &service)?;
        start_and_wait(name, &service)?;
        lines.push(format!("restarted service {name}; HNS kept its state"));
    }
    print(&lines)
}

/// A service of this program.
struct Owned {
    program: String,
    command_line: String,
}

/// # Errors
/// If the service runs another program, or replaces kube-proxy.
fn owned(name: &str, service: &Service) -> Result<Owned, ServiceError> {
    let command_line = command_line(service);
    let program = search::program(&configuration(name, service), &Local).program;
    let evidence = program::inspect(Path::new(&program)).ok();
    if !matches!(program::kind(&program, evidence.as_ref(), &own()?), ProgramKind::Hnsproxy { .. }) {
        return Err(ServiceError::Foreign { name: name.to_owned(), command_line });
    }
    let record = Files::beside(Path::new(&program)).read_record().ok().flatten();
    if record.is_some_and(|record| record.original.is_kube_proxy) {
        return Err(ServiceError::Replaced(name.to_owned()));
    }
    Ok(Owned { program, command_line })
}

/// Stops and deletes a service that runs this program.
///
/// # Errors
/// If the service does not exist, runs another program or does not stop, if the SCM returns an error, or if the output cannot be
/// written.
pub fn uninstall(name: &str) -> Result<(), ServiceError> {
    let access =
        ServiceAccess::QUERY_CONFIG | ServiceAccess::QUERY_STATUS | ServiceAccess::STOP | ServiceAccess::DELETE;
    let service = open(name, access)?;
    let Owned { program, command_line } = owned(name, &service)?;
    let mut lines = Vec::new();
    if state(name, &service)? != ServiceState::Stopped {
        stop(name, &service)?;
        lines.push(format!("stopped service {name}"));
    }
    service.delete().map_err(|error| failed(format!("delete service {name}"), error))?;
    if let Err(error) = unregister_events(&program, name) {
        lines.push(format!("cannot remove the source {SOURCE} of events: {error}"));
    }
    lines.push(format!("deleted service {name}, which ran {command_line}; HNS keeps its state"));
    print(&lines)
}

/// This program.
pub(super) fn own() -> Result<Own, ServiceError> {
    let path = std::env::current_exe()?;
    let sha256 = program::sha256(&std::fs::read(&path)?);
    Ok(Own { path: path.display().to_string(), sha256 })
}

fn print(lines: &[String]) -> Result<(), ServiceError> {
    Ok(output::text(&format!("{}\n", lines.join("\n")))?)
}
