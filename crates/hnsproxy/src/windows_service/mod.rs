//! hnsproxy as a Windows service: the protocol with the service control manager (SCM), and the installation.
//!
//! [`run`] answers each control of the SCM in order, reports progress while the process shuts down, and reports *stopped* with its exit code
//! at the end. [`install`], [`update`] and [`uninstall`] print each change that they make. [`replace`] replaces the program of kube-proxy with this one,
//! [`restore`] restores it, and [`status`] shows which of them runs. [`installed`] finds the service that runs hnsproxy.

mod command_line;
pub mod event_log;
mod installed;
#[cfg(windows)]
mod installed_search;
mod lifecycle;
#[cfg(windows)]
mod manager;
mod program;
mod readyz_server;
#[cfg(windows)]
mod replace;
mod replacement;
#[cfg(windows)]
mod scm;
mod search;
#[cfg(windows)]
mod service;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

pub use command_line::is_relative;
pub use installed::Installed;
#[cfg(not(windows))]
pub use installed::installed;
#[cfg(windows)]
pub use installed_search::installed;
#[cfg(windows)]
pub use manager::{install, uninstall, update};
#[cfg(windows)]
pub use replace::{replace, restore, status};
pub use replacement::ReplaceError;
#[cfg(windows)]
pub use service::run;

#[derive(Debug, thiserror::Error)]
pub enum ServiceError {
    #[error("Windows services exist only on Windows; use systemd or a container here")]
    NotWindows,
    #[error(
        "--windows-service is only for a process that the service control manager has started; \
        omit the flag, or install the service: hnsproxy service install -- FLAGS"
    )]
    NotStartedAsService(#[source] std::io::Error),
    #[error(
        "service {name} exists and runs {command_line}; delete it first (sc.exe delete {name}), or choose another --name"
    )]
    Exists { name: String, command_line: String },
    #[error("service {0} not found")]
    NotFound(String),
    /// hnsproxy never changes or deletes the service of another program.
    #[error(
        "service {name} runs {command_line}, not this program; nothing was changed (delete it with sc.exe delete {name})"
    )]
    Foreign { name: String, command_line: String },
    #[error("cannot change service {0}: the original kube-proxy is kept; run `hnsproxy service restore` instead")]
    Replaced(String),
    #[error(
        "service {name} runs {command_line}, which is neither kube-proxy nor hnsproxy; nothing was changed; \
        if a script starts kube-proxy, name it with --program"
    )]
    NotKubeProxy { name: String, command_line: String },
    #[error("service {name} may run several programs: {programs}; choose one with --program")]
    SeveralPrograms { name: String, programs: String },
    #[error("several services exist: {0}; choose one with --name")]
    SeveralServices(String),
    #[error("nothing to restore for service {name}: it runs {runs}, and no original program is kept")]
    NothingToRestore { name: String, runs: String },
    #[error(transparent)]
    Replace(#[from] ReplaceError),
    #[error("service {name} did not stop within {seconds} s")]
    StopTimeout { name: String, seconds: u64 },
    #[error("service {name} did not run within {seconds} s after its start")]
    StartTimeout { name: String, seconds: u64 },
    #[error("service {0} stopped after its start; its log and the Application log have the reason")]
    StoppedAfterStart(String),
    #[error("cannot {action}")]
    Failed {
        /// An infinitive, such as `create service kube-proxy`.
        action: String,
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    #[error("cannot write the result")]
    Output(#[from] std::io::Error),
}

#[derive(Debug, Clone)]
pub struct ServiceDefinition {
    /// The name for the SCM.
    pub name: String,
    pub display_name: String,
    /// The arguments with which the SCM starts this program.
    pub arguments: Vec<std::ffi::OsString>,
}

/// The service of a command.
#[derive(Debug, Clone)]
pub struct Target {
    /// None for the names that installers give the service of kube-proxy.
    pub name: Option<String>,
    /// None to find it from the configuration of the service.
    pub program: Option<PathBuf>,
}

#[derive(Debug, Clone)]
pub struct ReplaceOptions {
    pub target: Target,
    /// How long `/readyz` may take after the start.
    pub timeout: Duration,
    /// None to find it from the arguments of the service.
    pub readyz_address: Option<SocketAddr>,
    pub dry_run: bool,
}

/// # Errors
/// Always: this is not Windows.
#[cfg(not(windows))]
pub fn replace(_options: &ReplaceOptions) -> Result<(), ServiceError> {
    Err(ServiceError::NotWindows)
}

/// # Errors
/// Always: this is not Windows.
#[cfg(not(windows))]
pub fn restore(_target: &Target) -> Result<(), ServiceError> {
    Err(ServiceError::NotWindows)
}

/// # Errors
/// Always: this is not Windows.
#[cfg(not(windows))]
pub fn status(_target: &Target) -> Result<(), ServiceError> {
    Err(ServiceError::NotWindows)
}

/// # Errors
/// Always: this is not Windows.
#[cfg(not(windows))]
pub fn run<T>(_work: impl FnOnce(&crate::shutdown::Shutdown) -> (T, u8)) -> Result<T, ServiceError> {
    Err(ServiceError::NotWindows)
}

/// # Errors
/// Always: this is not Windows.
#[cfg(not(windows))]
pub fn install(_definition: &ServiceDefinition) -> Result<(), ServiceError> {
    Err(ServiceError::NotWindows)
}

/// # Errors
/// Always: this is not Windows.
#[cfg(not(windows))]
pub fn update(_definition: &ServiceDefinition) -> Result<(), ServiceError> {
    Err(ServiceError::NotWindows)
}

/// # Errors
/// Always: this is not Windows.
#[cfg(not(windows))]
pub fn uninstall(_name: &str) -> Result<(), ServiceError> {
    Err(ServiceError::NotWindows)
}
