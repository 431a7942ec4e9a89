//! The commands and their arguments.
//!
//! The flags of kube-proxy keep their names, types and defaults, so that `hnsproxy` can replace it on a command line.

mod bundle;
mod definition;
mod doctor;
mod hints;
mod log_output;
mod packet;
mod parse;
mod probe;
mod running;
mod service;
mod tls;
mod vip_probe;

use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use proxy::model::ServiceName;

use crate::config::Flags;
pub use crate::config::LogFormat;
use crate::duration_argument::seconds;
use crate::hns::HnsArgs;
pub use bundle::BundleArgs;
pub use definition::definition;
pub use doctor::DoctorArgs;
pub use log_output::{LogFileSettings, LogOutputArgs, LogStyle};
pub use packet::ExplainPacketArgs;
pub use parse::{parse, parse_with};
pub use probe::ProbeArgs;
pub use running::{HistoryArgs, RunningArgs, ServicesArgs, StatusArgs, TopArgs};
pub use service::{InstallArgs, ReplaceArgs, ServiceArgs, ServiceCommand, TargetArgs, UninstallArgs};
pub use tls::{DebugTlsArgs, TlsArgs};
pub use vip_probe::{ProbedService, VipProbeArgs};

const ROOT_HINT: &str = "`hnsproxy FLAGS` is `hnsproxy run FLAGS`; `hnsproxy run -h` shows main flags.";

/// Has no empty line below the first one, because the list of commands must fit on a screen.
const ROOT_TEMPLATE: &str = "{about-with-newline}{usage-heading} {usage}\n\n{all-args}{after-help}";

const EXAMPLES: &str = "\
Examples:
  Program an emulated HNS with a recorded cluster, and show the result:
    hnsproxy run --from cluster.json --hns emulated:host.json --enable-dsr=true --once
  Keep an emulated HNS in sync with a directory of manifests:
    hnsproxy --from manifests/ --hns emulated:host.json
  Show the steps that would be taken, with reasons, without taking them (exit code 2 if there are any):
    hnsproxy plan --from cluster.json --hns emulated:host.json
  Write the effective configuration to a file:
    hnsproxy --config kube-proxy.yaml --write-config-to effective.yaml

Exit codes: 0 in sync, nothing to do, or shut down; 1 error, or `status` is not in sync; 2 `plan` has steps, or `status` cannot query hnsproxy; 3 ended before the shutdown was complete; \
4 another hnsproxy writes to the same HNS.";

/// A Service proxy for Windows Kubernetes nodes.
///
/// Reads Services and EndpointSlices, and programs load balancers for them in the Host Networking Service (HNS). Writes only
/// differences to HNS, and does not recreate load balancers that are already correct. Takes the flags of kube-proxy.
#[derive(Debug, Parser)]
#[command(
    name = "hnsproxy",
    override_usage = "hnsproxy [COMMAND] [FLAGS]",
    help_template = ROOT_TEMPLATE,
    after_help = ROOT_HINT,
    after_long_help = format!("{ROOT_HINT}\n\n{EXAMPLES}"),
    max_term_width = 120
)]
pub struct Cli {
    /// The command; `run` if it is omitted.
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Program HNS and keep it in sync; the default.
    #[command(after_long_help = EXAMPLES)]
    Run(RunArgs),
    /// Show the steps that would bring HNS in sync, with reasons.
    ///
    /// Nothing is changed. Exit code 2 if there are steps.
    #[command(after_long_help = PLAN_EXAMPLES)]
    Plan(PlanArgs),
    /// Show the state of HNS.
    #[command(after_long_help = COMMAND_EXIT_CODES)]
    State(StateArgs),
    /// Explain the state of a Service or what happens to a packet.
    #[command(subcommand)]
    Explain(Explain),
    /// Show whether HNS is in sync, and what is pending.
    ///
    /// Queries the running hnsproxy, like `services`, `history` and `top`.
    #[command(after_long_help = running::STATUS_EXAMPLES)]
    Status(StatusArgs),
    /// Show the Services of the running hnsproxy with their states.
    #[command(after_long_help = running::SERVICES_EXAMPLES)]
    Services(ServicesArgs),
    /// Show what has happened: writes, drift, conditions and outages.
    ///
    /// The running hnsproxy has the last 4096 entries.
    #[command(after_long_help = running::HISTORY_EXAMPLES)]
    History(HistoryArgs),
    /// Show the slowest HNS calls and the last changes, each second.
    #[command(after_long_help = running::TOP_EXAMPLES)]
    Top(TopArgs),
    /// Compare HNS with what is known of its build.
    #[command(after_long_help = probe::EXAMPLES)]
    Probe(ProbeArgs),
    /// Find out what is wrong with this node, with cause and cure.
    ///
    /// Checks HNS, the cluster, the configuration and the running hnsproxy. Nothing is changed.
    #[command(after_long_help = doctor::EXAMPLES)]
    Doctor(DoctorArgs),
    /// Collect the state of this node in one file, without secrets.
    ///
    /// The file contains the state of the running hnsproxy, HNS, the cluster, the configuration, logs, and the output of `plan` and
    /// `doctor`. Nothing is changed. `--from FILE.zip --hns emulated:FILE.zip` replays the node on any computer.
    #[command(after_long_help = bundle::EXAMPLES)]
    Bundle(BundleArgs),
    #[cfg(feature = "emulator")]
    /// Serve an emulated HNS over TCP.
    ///
    /// For --hns tcp://HOST:PORT and for the stand-in DLLs. It is not a real HNS.
    #[command(after_long_help = COMMAND_EXIT_CODES)]
    Emulator(EmulatorArgs),
    /// Install hnsproxy as a Windows service, or replace kube-proxy.
    Service(ServiceArgs),
    /// Show the versions of hnsproxy and of the kube-proxy it replaces.
    ///
    /// `hnsproxy --version` prints the version as kube-proxy does.
    #[command(after_long_help = COMMAND_EXIT_CODES)]
    Version(VersionArgs),
    /// Print a script that completes command lines in a shell.
    #[command(after_long_help = COMPLETION_EXAMPLES)]
    Completion(CompletionArgs),
}

const COMMAND_EXIT_CODES: &str = "Exit codes: 0 done; 1 error.";

const PLAN_EXAMPLES: &str = "\
Examples:
  Show what a run would change for a recorded cluster:
    hnsproxy plan --from cluster.json --hns emulated:host.json

Exit codes: 0 HNS in sync; 1 error; 2 there are steps.";

const COMPLETION_EXAMPLES: &str = "\
Examples:
  In each PowerShell from now on:
    hnsproxy completion powershell >> $PROFILE
  In this bash:
    source <(hnsproxy completion bash)

Exit codes: 0 done; 1 error.";

#[derive(Debug, Args)]
pub struct RunArgs {
    #[command(flatten)]
    pub proxy: ProxyArgs,
    /// Exit when HNS is in sync, and print its state.
    #[arg(long)]
    pub once: bool,
    /// How often to audit HNS for changes by other programs.
    #[arg(long, value_name = "SECONDS", default_value = "5", value_parser = seconds)]
    pub hns_audit_interval: Duration,
    /// The number of concurrent writes to HNS.
    ///
    /// Microsoft documents no limit and no guarantee for more than 1.
    #[arg(long, value_name = "N", default_value = "1")]
    pub hns_concurrency: NonZeroUsize,
    /// A host name that requests at the metrics address may have.
    ///
    /// In addition to IP addresses, localhost, and the names of this node. May be given several times.
    #[arg(long, value_name = "NAME")]
    pub metrics_allowed_host: Vec<String>,
    /// Serve the web UI at /ui/ of the metrics address.
    #[arg(
        long,
        value_name = "BOOL",
        default_value = "true",
        default_missing_value = "true",
        num_args = 0..=1,
        require_equals = true,
        action = ArgAction::Set,
        hide_short_help = true
    )]
    pub ui: bool,
    #[command(flatten)]
    pub tls: TlsArgs,
    #[command(flatten)]
    pub probe: VipProbeArgs,
    /// Keep the history of the process in this folder, so that it survives a restart.
    ///
    /// In two files of at most 1 MiB each, which `/debug/history` shows.
    #[arg(long, value_name = "DIR", hide_short_help = true)]
    pub state_dir: Option<PathBuf>,
    /// At exit, save the state of the emulated HNS to FILE.
    ///
    /// Load it with --hns=emulated:FILE.
    #[arg(long, value_name = "FILE")]
    pub save_hns: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub struct PlanArgs {
    #[command(flatten)]
    pub proxy: ProxyArgs,
}

/// Arguments of all commands that compute the desired state of HNS.
#[derive(Debug, Clone, Args)]
pub struct ProxyArgs {
    #[command(flatten)]
    pub source: SourceArgs,
    #[command(flatten)]
    pub hns: HnsArgs,
    #[command(flatten)]
    pub output: OutputArgs,
    #[command(flatten)]
    pub node: NodeArgs,
    /// Remove the objects that kube-proxy has left and no Service needs.
    ///
    /// When migrating from kube-proxy: load balancers and remote endpoints. With or without this flag, those that equal the desired ones are
    /// adopted, and others on the frontend of a Service are modified or replaced.
    #[arg(long)]
    pub take_over: bool,
    /// Give load balancers without DSR the node IP as source VIP.
    ///
    /// Only on HNS 9.x (Windows Server 2019) and a network of another type than overlay. Newer updates of Server 2019 can use the address of the load balancer without a source VIP: a pod then cannot reach itself, or a pod of the same
    /// node, through a Service. The node IP must be that of the network adapter that the HNS network uses.
    #[arg(long)]
    pub node_ip_as_source_vip: bool,
    /// The folder of the reservations of host-local IPAM (its `dataDir`).
    ///
    /// --source-vip=auto reserves an address there if no endpoint has the source VIP. Default on Windows: C:\\var\\lib\\cni\\networks, if it
    /// has a folder of the network.
    #[arg(long, value_name = "DIR", hide_short_help = true)]
    pub host_local_dir: Option<PathBuf>,
    #[command(flatten)]
    pub log_output: LogOutputArgs,
    #[command(flatten)]
    pub kube_proxy: Flags,
    /// What the log says on the command line.
    #[arg(skip)]
    pub log_notes: LogNotes,
}

/// What the log says on a command line.
#[derive(Debug, Clone, Default)]
pub struct LogNotes {
    /// The given flags that kube-proxy does not have, as `--name=value`.
    pub flags: Vec<String>,
    /// Likely mistakes.
    pub hints: Vec<String>,
}

#[derive(Debug, Args)]
pub struct StateArgs {
    #[command(flatten)]
    pub hns: HnsArgs,
    #[command(flatten)]
    pub output: OutputArgs,
    #[command(flatten)]
    pub log: LogArgs,
}

#[derive(Debug, Subcommand)]
pub enum Explain {
    /// Explain a Service: its frontends, backends and pending changes.
    ///
    /// Shows each backend with the reason why it serves or not, and the desired and the observed load balancers.
    #[command(visible_alias = "service", after_long_help = EXPLAIN_EXAMPLES)]
    Svc(ExplainSvcArgs),
    /// Explain what would happen to the first packet from a client to a frontend.
    ///
    /// According to the objects of HNS: the load balancer, its backends with their shares, the source address, and why a packet is lost. The
    /// answer is that of a model of the virtual switch (VFP).
    #[command(after_long_help = packet::EXAMPLES)]
    Packet(ExplainPacketArgs),
}

const EXPLAIN_EXAMPLES: &str = "\
Examples:
  Ask the hnsproxy that runs on this node:
    hnsproxy explain svc default/web
  From files, on an emulated HNS:
    hnsproxy explain svc default/web --from cluster.json --hns emulated:host.json

Exit codes: 0 explained, 1 error or Service not found.";

#[derive(Debug, Args)]
pub struct ExplainSvcArgs {
    /// The Service to explain.
    #[arg(value_name = "NAMESPACE/NAME", value_parser = service_name)]
    pub service: ServiceName,
    /// The --metrics-bind-address of the running hnsproxy.
    ///
    /// Default: that of the installed Windows service, else 127.0.0.1:10249. Not used with --from.
    #[arg(long, value_name = "IP:PORT", conflicts_with = "from")]
    pub debug_address: Option<SocketAddr>,
    #[command(flatten)]
    pub debug_tls: DebugTlsArgs,
    #[command(flatten)]
    pub proxy: ProxyArgs,
}

#[cfg(feature = "emulator")]
#[derive(Debug, Args)]
pub struct EmulatorArgs {
    /// The address to listen at.
    ///
    /// Every client has full access.
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:10258")]
    pub listen: String,
    /// Start with the objects of a host document or of a dump of HNS.
    ///
    /// PATH is a file or a directory.
    #[arg(long, value_name = "PATH")]
    pub host: Option<PathBuf>,
    /// The Windows build or the HNS version.
    ///
    /// Instead of that of the host document or dump: server2019, server2022, 23h2, server2025, 15.5.
    #[arg(long, value_name = "BUILD")]
    pub build: Option<hcn_emulator::Build>,
    /// Behave like the HNS of a survey of `hnsproxy probe -o json`.
    ///
    /// As far as the survey says.
    #[arg(long, value_name = "SURVEY.json", conflicts_with = "build")]
    pub like: Option<PathBuf>,
    /// How long writes take: `immediate`, `released` or `updated`.
    ///
    /// `released` as on the build when it was released: 3.3 s on Server 2019, 0.3 s on Server 2022. `updated` with later updates: 0.66 s and
    /// 0.03 s.
    #[arg(long, value_name = "PACE", default_value = "immediate")]
    pub pace: hcn_emulator::Pace,
    /// Accept and keep members of documents that the published schema lacks.
    ///
    /// Default: as in the survey of --like; without one, they are rejected.
    #[arg(long)]
    pub accept_unknown_members: bool,
    /// Record the changes of HNS to FILE.
    ///
    /// One line of JSON for each, compressed if its name ends in .gz.
    #[arg(long, value_name = "FILE")]
    pub record: Option<PathBuf>,
    #[command(flatten)]
    pub log: LogArgs,
}

#[derive(Debug, Args)]
pub struct VersionArgs {
    #[command(flatten)]
    pub output: OutputArgs,
}

#[derive(Debug, Args)]
pub struct CompletionArgs {
    #[arg(value_name = "SHELL", help = "The shell")]
    pub shell: Shell,
}

#[derive(Debug, Clone, Args)]
pub struct SourceArgs {
    /// Read the cluster from YAML or JSON files instead of the API server.
    ///
    /// A file, or all files below a directory, with Services, EndpointSlices and Nodes. The files are watched for changes. It can also
    /// be the FILE.zip of `hnsproxy bundle`; `run` accepts a bundle only with --once.
    #[arg(long, value_name = "FILE|DIR")]
    pub from: Option<PathBuf>,
    /// For how long a watch of the API server may receive nothing before it is verified.
    ///
    /// Longer than the interval of bookmarks, which is a minute.
    #[arg(long, hide = true, value_name = "SECONDS", default_value = "90", value_parser = seconds)]
    pub watch_timeout: Duration,
}

#[derive(Debug, Clone, Args)]
pub struct NodeArgs {
    /// An address of this node, the primary one first.
    ///
    /// May be given several times. Default: those of the emulated host, else of the Node object.
    #[arg(long, value_name = "IP")]
    pub node_ip: Vec<IpAddr>,
    /// The MAC address of the adapter with the address of the node.
    ///
    /// For overlay networks. Default: that of the emulated host, else of the adapter.
    #[arg(long, value_name = "MAC")]
    pub node_mac: Option<String>,
}

#[derive(Debug, Clone, Copy, Args)]
pub struct OutputArgs {
    /// The format of the output.
    #[arg(short, long, value_name = "FORMAT", default_value = "table")]
    pub output: OutputForm,
}

/// The logging flags of commands without the other flags of kube-proxy.
#[derive(Debug, Clone, Args)]
pub struct LogArgs {
    /// The verbosity of the log: 2 logs each step, 5 everything.
    #[arg(short = 'v', long = "v", value_name = "N", default_value = "0")]
    pub verbosity: u32,
    /// The format of the log.
    #[arg(long, value_name = "FORMAT", default_value = "text", hide_short_help = true)]
    pub logging_format: LogFormat,
    #[command(flatten)]
    pub output: LogOutputArgs,
}

impl LogArgs {
    /// The defaults, with an output.
    pub fn of_output(output: LogOutputArgs) -> Self {
        Self { verbosity: 0, logging_format: LogFormat::Text, output }
    }
}

impl Cli {
    /// The arguments of a command that takes the flags of kube-proxy.
    fn proxy_args_mut(&mut self) -> Option<&mut ProxyArgs> {
        match &mut self.command {
            Command::Run(args) => Some(&mut args.proxy),
            Command::Plan(args) => Some(&mut args.proxy),
            Command::Explain(Explain::Svc(args)) => Some(&mut args.proxy),
            Command::Doctor(args) => Some(&mut args.proxy),
            Command::Bundle(args) => Some(&mut args.node.proxy),
            _ => None,
        }
    }

    /// Where the log of the command goes.
    pub fn log_output(&self) -> LogOutputArgs {
        let output = match &self.command {
            Command::Run(args) => Some(&args.proxy.log_output),
            Command::Plan(args) => Some(&args.proxy.log_output),
            Command::Explain(Explain::Svc(args)) => Some(&args.proxy.log_output),
            Command::Doctor(args) => Some(&args.proxy.log_output),
            Command::Bundle(args) => Some(&args.node.proxy.log_output),
            Command::Explain(Explain::Packet(args)) => Some(&args.log.output),
            Command::State(args) => Some(&args.log.output),
            Command::Probe(args) => Some(&args.log.output),
            #[cfg(feature = "emulator")]
            Command::Emulator(args) => Some(&args.log.output),
            Command::Status(_)
            | Command::Services(_)
            | Command::History(_)
            | Command::Top(_)
            | Command::Service(_)
            | Command::Version(_)
            | Command::Completion(_) => None,
        };
        output.cloned().unwrap_or_else(LogOutputArgs::short)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum OutputForm {
    /// Text for people. Tables are shortened to the width of the terminal.
    Table,
    /// As table, but never shortened: with all backends, or with the ids of objects.
    Wide,
    Json,
    Yaml,
}

fn service_name(text: &str) -> Result<ServiceName, String> {
    match text.split_once('/') {
        Some((namespace, name)) if !namespace.is_empty() && !name.is_empty() && !name.contains('/') => {
            Ok(ServiceName::new(namespace, name))
        }
        _ => Err("expected NAMESPACE/NAME".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_is_named_with_its_namespace() {
        assert_eq!(service_name("ns/web"), Ok(ServiceName::new("ns", "web")));
        assert!(["web", "/web", "ns/", "a/b/c"].into_iter().all(|text| service_name(text).is_err()));
    }
}
