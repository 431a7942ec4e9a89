//! hnsproxy as a Windows service: the protocol with the service control manager (SCM), and the installation.
//!
//! [`run`] answers each control of the SCM in order, reports progress while the process shuts down, and reports *stopped* with its exit code
//! at the end. [`install`] and [`uninstall`] print each change that they make.

pub mod event_log;
mod lifecycle;
#[cfg(windows)]
mod manager;
#[cfg(windows)]
mod service;

#[cfg(windows)]
pub use manager::{install, uninstall};
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
    /// hnsproxy never deletes the service of another program.
    #[error(
        "service {name} runs {command_line}, not this program; nothing was deleted (delete it with sc.exe delete {name})"
    )]
    Foreign { name: String, command_line: String },
    #[error("service {name} did not stop within {seconds} s; it was not deleted")]
    StopTimeout { name: String, seconds: u64 },
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
pub fn uninstall(_name: &str) -> Result<(), ServiceError> {
    Err(ServiceError::NotWindows)
}
