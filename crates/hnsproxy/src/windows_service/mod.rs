//! hnsproxy as a service of Windows: what the service control manager (SCM) is told, and how the service is installed.
//!
//! [`run`] does some work as a service. It promises the SCM an answer to each control, in order, a sign of life while the work ends,
//! and in the end the state *stopped* with the code of the work. [`install`] and [`uninstall`] say each thing that they do.

mod lifecycle;
#[cfg(windows)]
mod manager;
#[cfg(windows)]
mod service;

#[cfg(windows)]
pub use manager::{install, uninstall};
#[cfg(windows)]
pub use service::run;

/// Why something did not work out with the SCM.
#[derive(Debug, thiserror::Error)]
pub enum ServiceError {
    /// Other systems have no SCM.
    #[error("services of Windows exist on Windows only; here, let systemd or the like run hnsproxy")]
    NotWindows,
    /// The process was started by somebody else.
    #[error(
        "--windows-service is for processes that the service control manager starts, and it did not start this one; \
        leave the flag out, or install a service: hnsproxy service install -- FLAGS"
    )]
    NotStartedAsService(#[source] std::io::Error),
    /// A service of that name is there.
    #[error(
        "there is a service {name} already, which runs {command_line}; take it away first (sc.exe delete {name}), \
        or choose another --name"
    )]
    Exists {
        /// Its name.
        name: String,
        /// What it runs.
        command_line: String,
    },
    /// No service has that name.
    #[error("there is no service {0}")]
    Absent(String),
    /// The service is another program's.
    #[error(
        "the service {name} runs {command_line}, not this program; it was left alone (sc.exe delete {name} takes it away)"
    )]
    Foreign {
        /// Its name.
        name: String,
        /// What it runs.
        command_line: String,
    },
    /// The service does not stop.
    #[error("the service {name} did not stop within {seconds} s; it was not taken away")]
    DoesNotStop {
        /// Its name.
        name: String,
        /// How long that was awaited.
        seconds: u64,
    },
    /// Some step failed.
    #[error("{doing} failed")]
    Failed {
        /// What was to be done.
        doing: String,
        /// What the system says.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// What is done can't be said.
    #[error("the result can't be written")]
    Output(#[from] std::io::Error),
}

/// A service to be installed.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// Its name for the SCM.
    pub name: String,
    /// Its name for people.
    pub display_name: String,
    /// The arguments that this program is to be started with.
    pub arguments: Vec<std::ffi::OsString>,
}

/// Does some work as a service.
///
/// # Errors
/// Always, on this system.
#[cfg(not(windows))]
pub fn run<T>(_work: impl FnOnce(&crate::shutdown::Shutdown) -> (T, u8)) -> Result<T, ServiceError> {
    Err(ServiceError::NotWindows)
}

/// Installs a service.
///
/// # Errors
/// Always, on this system.
#[cfg(not(windows))]
pub fn install(_wanted: &Wanted) -> Result<(), ServiceError> {
    Err(ServiceError::NotWindows)
}

/// Takes a service away.
///
/// # Errors
/// Always, on this system.
#[cfg(not(windows))]
pub fn uninstall(_name: &str) -> Result<(), ServiceError> {
    Err(ServiceError::NotWindows)
}
