//! The arguments of `service`.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};

use crate::duration_argument::seconds;

/// The name that the Windows guides give the service of kube-proxy, so that scripts find hnsproxy in its place.
const DEFAULT_NAME: &str = "kube-proxy";

const EXAMPLES: &str = "\
Examples:
  Start hnsproxy with the system, as replacement of kube-proxy:
    hnsproxy service install -- --config=C:\\k\\kube-proxy.yaml --log-file=C:\\k\\hnsproxy.log -v 2
    sc.exe start kube-proxy
  Stop and uninstall it; HNS keeps its state:
    hnsproxy service uninstall
  Replace an installed kube-proxy with hnsproxy; show the steps first:
    hnsproxy service replace --dry-run
    hnsproxy service replace
  Restore kube-proxy:
    hnsproxy service restore

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
    /// Give the service this program and other arguments, and restart it if it runs.
    ///
    /// For an upgrade. The service has to run hnsproxy. HNS keeps its state.
    #[command(after_long_help = EXAMPLES)]
    Update(InstallArgs),
    /// Stop and delete the service. HNS keeps its state.
    #[command(after_long_help = EXAMPLES)]
    Uninstall(UninstallArgs),
    /// Replace the program of kube-proxy with this one.
    ///
    /// The service and its arguments stay as they are. Waits for /readyz, and rolls back if it does not answer 200. Upgrades an hnsproxy
    /// that the service already runs.
    #[command(after_long_help = EXAMPLES)]
    Replace(ReplaceArgs),
    /// Put the original program of the service back.
    ///
    /// Also after an interrupted replacement.
    #[command(after_long_help = EXAMPLES)]
    Restore(TargetArgs),
    /// Show which program the service runs, and which original is kept.
    #[command(after_long_help = EXAMPLES)]
    Status(TargetArgs),
}

#[derive(Debug, Args)]
pub struct TargetArgs {
    /// The name of the service.
    ///
    /// Default: kube-proxy or kubeproxy, the one that exists.
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
    /// The program that the service runs as kube-proxy, if its start script does not show it.
    #[arg(long, value_name = "FILE")]
    pub program: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub struct ReplaceArgs {
    #[command(flatten)]
    pub target: TargetArgs,
    /// Show what would be done, without doing it.
    #[arg(long)]
    pub dry_run: bool,
    /// For how long to wait for /readyz before rolling back.
    ///
    /// A first start on a large cluster takes minutes on Windows Server 2019.
    #[arg(long, value_name = "SECONDS", default_value = "300", value_parser = seconds)]
    pub timeout: Duration,
    /// Where hnsproxy serves /readyz.
    ///
    /// Default: the metrics address of the arguments of the service.
    #[arg(long, value_name = "IP:PORT")]
    pub readyz_address: Option<SocketAddr>,
}

#[derive(Debug, Args)]
pub struct InstallArgs {
    /// The name of the service.
    #[arg(long, value_name = "NAME", default_value = DEFAULT_NAME)]
    pub name: String,
    /// The display name of the service.
    ///
    /// Default: `Kubernetes Service proxy (hnsproxy)`, with the name of the service unless that is kube-proxy.
    #[arg(long, value_name = "TEXT")]
    display_name: Option<String>,
    /// The arguments of `hnsproxy run` with which the service starts.
    ///
    /// --windows-service is added. Use absolute paths.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, required = true, value_name = "ARGUMENT")]
    pub arguments: Vec<OsString>,
}

impl InstallArgs {
    /// No two services of a host have the same display name.
    pub fn display_name(&self) -> String {
        self.display_name.clone().unwrap_or_else(|| match self.name.as_str() {
            DEFAULT_NAME => "Kubernetes Service proxy (hnsproxy)".to_owned(),
            name => format!("Kubernetes Service proxy (hnsproxy, {name})"),
        })
    }
}

#[derive(Debug, Args)]
pub struct UninstallArgs {
    /// The name of the service.
    #[arg(long, value_name = "NAME", default_value = DEFAULT_NAME)]
    pub name: String,
}
