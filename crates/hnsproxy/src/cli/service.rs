//! The arguments of `service`.

use std::ffi::OsString;

use clap::{Args, Subcommand};

/// The name that the Windows guides give the service of kube-proxy, so that scripts find hnsproxy in its place.
const DEFAULT_NAME: &str = "kube-proxy";

const EXAMPLES: &str = "\
Examples:
  Start hnsproxy with the system, as replacement of kube-proxy:
    hnsproxy service install -- --config=C:\\k\\kube-proxy.yaml --log-file=C:\\k\\hnsproxy.log -v 2
    sc.exe start kube-proxy
  Stop and uninstall it; HNS keeps its state:
    hnsproxy service uninstall

Exit codes: 0 done; 1 error.";

#[derive(Debug, Args)]
#[command(after_long_help = EXAMPLES)]
pub struct ServiceArgs {
    #[command(subcommand)]
    pub command: ServiceCommand,
}

#[derive(Debug, Subcommand)]
pub enum ServiceCommand {
    /// Create the service.
    ///
    /// It starts with the system and restarts after failures. It is not started yet.
    #[command(after_long_help = EXAMPLES)]
    Install(InstallArgs),
    /// Stop and delete the service. HNS keeps its state.
    #[command(after_long_help = EXAMPLES)]
    Uninstall(UninstallArgs),
}

#[derive(Debug, Args)]
pub struct InstallArgs {
    /// The name of the service.
    #[arg(long, value_name = "NAME", default_value = DEFAULT_NAME)]
    pub name: String,
    /// The display name of the service.
    #[arg(long, value_name = "TEXT", default_value = "Kubernetes Service proxy (hnsproxy)")]
    pub display_name: String,
    /// The arguments of `hnsproxy run` with which the service starts.
    ///
    /// --windows-service is added. Use absolute paths.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, required = true, value_name = "ARGUMENT")]
    pub arguments: Vec<OsString>,
}

#[derive(Debug, Args)]
pub struct UninstallArgs {
    /// The name of the service.
    #[arg(long, value_name = "NAME", default_value = DEFAULT_NAME)]
    pub name: String,
}
