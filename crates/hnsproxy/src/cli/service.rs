//! The arguments of `service`.

use std::ffi::OsString;

use clap::{Args, Subcommand};

/// The name that the Windows guides give the service of kube-proxy, so that scripts find hnsproxy in its place.
const DEFAULT_NAME: &str = "kube-proxy";

const EXAMPLES: &str = "\
Examples:
  Run hnsproxy with the system, in the place of kube-proxy:
    hnsproxy service install -- --config=C:\\k\\kube-proxy.yaml --log-file=C:\\k\\hnsproxy.log -v 2
    sc.exe start kube-proxy
  Stop it and take it away; what HNS holds stays:
    hnsproxy service uninstall";

/// Arguments of `service`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct ServiceArgs {
    /// What to do.
    #[command(subcommand)]
    pub command: ServiceCommand,
}

/// What to do with the service.
#[derive(Debug, Subcommand)]
pub enum ServiceCommand {
    /// Create the service: started with the system, and again after failures. It is not started yet.
    #[command(after_help = EXAMPLES)]
    Install(InstallArgs),
    /// Stop the service and take it away. What HNS holds stays.
    Uninstall(UninstallArgs),
}

/// Arguments of `service install`.
#[derive(Debug, Args)]
pub struct InstallArgs {
    /// The name of the service.
    #[arg(long, value_name = "NAME", default_value = DEFAULT_NAME)]
    pub name: String,
    /// The name of the service for people.
    #[arg(long, value_name = "TEXT", default_value = "Kubernetes Service proxy (hnsproxy)")]
    pub display_name: String,
    /// What hnsproxy is started with: the arguments of `hnsproxy run`. --windows-service is added. Paths should be absolute.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, required = true, value_name = "ARGUMENT")]
    pub arguments: Vec<OsString>,
}

/// Arguments of `service uninstall`.
#[derive(Debug, Args)]
pub struct UninstallArgs {
    /// The name of the service.
    #[arg(long, value_name = "NAME", default_value = DEFAULT_NAME)]
    pub name: String,
}
