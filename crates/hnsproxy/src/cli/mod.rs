//! The command line.
//!
//! The flags of kube-proxy keep their names, types and defaults, so that `hnsproxy` can replace it on a command line. Two rules of its flag
//! library hold, too: `_` is accepted for `-` in names, and booleans are written as in Go.

mod log_output;
mod packet;
mod probe;
mod service;

use std::ffi::OsString;
use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use clap::error::{ContextKind, ContextValue};
use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};
use proxy::model::ServiceName;

pub use crate::config::LogFormat;
use crate::config::{Flags, HEADING, takes_value_after_equals};
use crate::duration_argument::seconds;
use crate::hns::HnsArgs;
pub use log_output::{LogFileSettings, LogOutputArgs, LogStyle};
pub use packet::{ExplainPacketArgs, To};
pub use probe::ProbeArgs;
pub use service::{InstallArgs, ReplaceArgs, ServiceArgs, ServiceCommand, TargetArgs, UninstallArgs};

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

Exit codes: 0 in sync, nothing to do, or shut down; 1 error; 2 `plan` has steps; 3 ended before the shutdown was complete; 4 another
hnsproxy writes to the same HNS.";

/// A Service proxy for Windows Kubernetes nodes.
///
/// Reads Services and EndpointSlices, and programs load balancers for them in the Host Networking Service (HNS). Writes only
/// differences to HNS, and does not recreate load balancers that are already correct. Takes the flags of kube-proxy.
#[derive(Debug, Parser)]
#[command(name = "hnsproxy", after_help = EXAMPLES, max_term_width = 120)]
pub struct Cli {
    /// The command; `run` if it is omitted.
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Program HNS and keep it in sync; the default.
    #[command(after_help = EXAMPLES)]
    Run(RunArgs),
    /// Show the steps that would bring HNS in sync, with reasons, without taking them. Exit code 2 if there are any.
    Plan(PlanArgs),
    /// Show the state of HNS.
    State(StateArgs),
    /// Explain the state of an object, without changing anything.
    #[command(subcommand)]
    Explain(Explain),
    /// Compare HNS with what is known of its build.
    #[command(after_help = probe::EXAMPLES)]
    Probe(ProbeArgs),
    #[cfg(feature = "emulator")]
    /// Serve an emulated HNS over TCP, for --hns tcp://HOST:PORT and for the stand-in DLLs. It is not a real HNS.
    Emulator(EmulatorArgs),
    /// Install hnsproxy as a Windows service, or put it in the place of kube-proxy.
    Service(ServiceArgs),
}

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
    /// The number of concurrent writes to HNS. Microsoft documents no limit and no guarantee for more than 1.
    #[arg(long, value_name = "N", default_value = "1")]
    pub hns_concurrency: NonZeroUsize,
    /// A host name that requests at the metrics address may have, in addition to IP addresses, localhost, and the names of this node.
    /// May be given several times.
    #[arg(long, value_name = "NAME")]
    pub metrics_allowed_host: Vec<String>,
    /// At exit, save the state of the emulated HNS to FILE. Load it with --hns=emulated:FILE.
    #[arg(long, value_name = "FILE")]
    pub save_hns: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub struct PlanArgs {
    #[command(flatten)]
    pub proxy: ProxyArgs,
}

/// Arguments of all commands that compute the desired state of HNS.
#[derive(Debug, Args)]
pub struct ProxyArgs {
    #[command(flatten)]
    pub source: SourceArgs,
    #[command(flatten)]
    pub hns: HnsArgs,
    #[command(flatten)]
    pub output: OutputArgs,
    #[command(flatten)]
    pub node: NodeArgs,
    /// Remove load balancers and remote endpoints that kube-proxy has left and no Service needs, when migrating from kube-proxy. With or
    /// without this flag, those that equal the desired ones are adopted, and others on the frontend of a Service are modified or replaced.
    #[arg(long)]
    pub take_over: bool,
    /// On HNS 9.x (Windows Server 2019) and a network of another type than overlay, give load balancers without DSR the node IP as source VIP. Newer updates
    /// of Server 2019 can use the address of the load balancer if there is no source VIP: a pod then cannot reach itself, or a pod of the same
    /// node, through a Service. The node IP must be that of the network adapter that the HNS network uses.
    #[arg(long)]
    pub node_ip_as_source_vip: bool,
    /// The folder of the reservations of host-local IPAM (its `dataDir`), in which --source-vip=auto reserves an address if no endpoint has the
    /// source VIP. Default on Windows: C:\\var\\lib\\cni\\networks, if it has a folder of the network.
    #[arg(long, value_name = "DIR", hide_short_help = true)]
    pub host_local_dir: Option<PathBuf>,
    #[command(flatten)]
    pub log_output: LogOutputArgs,
    #[command(flatten)]
    pub kube_proxy: Flags,
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
    /// Explain a Service: its frontends, each backend and why it serves or not, the desired and the observed load balancers, and pending
    /// changes.
    #[command(visible_alias = "service", after_help = EXPLAIN_EXAMPLES)]
    Svc(ExplainSvcArgs),
    /// Explain what would happen to the first packet from a client to a frontend, according to the objects of HNS: the load balancer, its backends
    /// with their shares, the source address, and why a packet is lost. The answer is that of a model of the virtual switch (VFP).
    #[command(after_help = packet::EXAMPLES)]
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
    /// The --metrics-bind-address of the running hnsproxy. Not used with --from.
    #[arg(long, value_name = "IP:PORT", default_value = "127.0.0.1:10249", conflicts_with = "from")]
    pub debug_address: SocketAddr,
    #[command(flatten)]
    pub proxy: ProxyArgs,
}

#[cfg(feature = "emulator")]
#[derive(Debug, Args)]
pub struct EmulatorArgs {
    /// The address to listen at. Every client has full access.
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:10258")]
    pub listen: String,
    /// Start with the objects of a host document, or of a dump of HNS: a file or a directory.
    #[arg(long, value_name = "PATH")]
    pub host: Option<PathBuf>,
    /// The Windows build or the HNS version, instead of that of the host document or dump: server2019, server2022, 23h2, server2025, 15.5.
    #[arg(long, value_name = "BUILD")]
    pub build: Option<hcn_emulator::Build>,
    /// Behave like the HNS of a survey of `hnsproxy probe -o json`, as far as it says.
    #[arg(long, value_name = "SURVEY.json", conflicts_with = "build")]
    pub like: Option<PathBuf>,
    /// How long writes take: `immediate`, `released` (as on the build when it was released: 3.3 s on Server 2019, 0.3 s on Server 2022), or
    /// `updated` (with later updates: 0.66 s and 0.03 s).
    #[arg(long, value_name = "PACE", default_value = "immediate")]
    pub pace: hcn_emulator::Pace,
    /// Accept and keep members of documents that the published schema lacks. Default: as in the survey of --like; without one, they are rejected.
    #[arg(long)]
    pub accept_unknown_members: bool,
    /// Record the changes of HNS to FILE: one line of JSON for each, compressed if its name ends in .gz.
    #[arg(long, value_name = "FILE")]
    pub record: Option<PathBuf>,
    #[command(flatten)]
    pub log: LogArgs,
}

#[derive(Debug, Clone, Args)]
pub struct SourceArgs {
    /// Read Services, EndpointSlices and Nodes from a YAML or JSON file, or from all such files below a directory, instead of the API
    /// server. The files are watched for changes.
    #[arg(long, value_name = "FILE|DIR")]
    pub from: Option<PathBuf>,
    /// For how long a watch of the API server may receive nothing before it is verified. Longer than the interval of bookmarks, which is a minute.
    #[arg(long, hide = true, value_name = "SECONDS", default_value = "90", value_parser = seconds)]
    pub watch_timeout: Duration,
}

#[derive(Debug, Clone, Args)]
pub struct NodeArgs {
    /// An address of this node, the primary one first. Default: those of the emulated host, else of the Node object.
    #[arg(long, value_name = "IP")]
    pub node_ip: Vec<IpAddr>,
    /// The MAC address of the adapter with the address of the node, for overlay networks. Default: that of the emulated host, else of the
    /// adapter.
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
#[command(next_help_heading = HEADING)]
pub struct LogArgs {
    /// The verbosity of the log: 2 logs each step, 5 everything.
    #[arg(short = 'v', long = "v", value_name = "N", default_value = "0")]
    pub verbosity: u32,
    /// The format of the log, which goes to standard error.
    #[arg(long, value_name = "FORMAT", default_value = "text")]
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
    /// Where the log of the command goes.
    pub fn log_output(&self) -> LogOutputArgs {
        let output = match &self.command {
            Command::Run(args) => Some(&args.proxy.log_output),
            Command::Plan(args) => Some(&args.proxy.log_output),
            Command::Explain(Explain::Svc(args)) => Some(&args.proxy.log_output),
            Command::Explain(Explain::Packet(args)) => Some(&args.log.output),
            Command::State(args) => Some(&args.log.output),
            Command::Probe(args) => Some(&args.log.output),
            #[cfg(feature = "emulator")]
            Command::Emulator(args) => Some(&args.log.output),
            Command::Service(_) => None,
        };
        output.cloned().unwrap_or_default()
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum OutputForm {
    Table,
    Json,
}

fn service_name(text: &str) -> Result<ServiceName, String> {
    match text.split_once('/') {
        Some((namespace, name)) if !namespace.is_empty() && !name.is_empty() && !name.contains('/') => {
            Ok(ServiceName::new(namespace, name))
        }
        _ => Err("expected NAMESPACE/NAME".into()),
    }
}

/// Parses the command line of the process.
///
/// # Errors
/// If it is invalid, or asks for `--help` or `--version`: the error prints that, too.
pub fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Cli, clap::Error> {
    parse_with(&mut Cli::command(), arguments)
}

/// As [`parse`], with the definition of the command line, which can be used again.
///
/// # Errors
/// As [`parse`].
pub fn parse_with(
    command: &mut clap::Command,
    arguments: impl IntoIterator<Item = OsString>,
) -> Result<Cli, clap::Error> {
    let arguments = normalise(arguments.into_iter().collect());
    let matches = command.try_get_matches_from_mut(&arguments);
    let parsed = matches.and_then(|matches| Cli::from_arg_matches(&matches).map_err(|error| error.format(command)));
    parsed.map_err(|mut error| {
        if let Some(tip) = separate_value(&error, &arguments) {
            error.insert(ContextKind::Suggested, ContextValue::StyledStrs(vec![tip.into()]));
        }
        error
    })
}

/// A tip for the value of a boolean flag of kube-proxy that follows a space: as in Go, it needs an equals sign.
fn separate_value(error: &clap::Error, arguments: &[OsString]) -> Option<String> {
    let Some(ContextValue::String(value)) = error.get(ContextKind::InvalidArg) else { return None };
    let pairs = arguments.iter().zip(arguments.iter().skip(1));
    let before = pairs.filter(|(_, after)| after.to_str() == Some(value)).find_map(|(before, _)| before.to_str());
    let flag = before?.strip_prefix("--")?;
    takes_value_after_equals(flag).then(|| format!("the value of --{flag} needs an equals sign: --{flag}={value}"))
}

/// Replaces `_` in the names of flags, and inserts the command `run` into a command line of kube-proxy, which has none.
fn normalise(mut arguments: Vec<OsString>) -> Vec<OsString> {
    for argument in arguments.iter_mut().skip(1) {
        let Some(flag) = argument.to_str().and_then(|text| text.strip_prefix("--")) else { continue };
        let (name, value) = flag.split_at(flag.find('=').unwrap_or(flag.len()));
        if name.contains('_') {
            *argument = format!("--{}{value}", name.replace('_', "-")).into();
        }
    }
    let takes_run = match arguments.get(1).and_then(|first| first.to_str()) {
        // kube-proxy needs no arguments, too: in a pod, all defaults apply.
        None => !arguments.is_empty(),
        Some("-h" | "--help") => false,
        Some(first) => first.starts_with('-'),
    };
    if takes_run {
        arguments.insert(1, "run".into());
    }
    arguments
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    fn run(arguments: &[&str]) -> Result<RunArgs, String> {
        let all = ["hnsproxy"].iter().chain(arguments).map(OsString::from);
        match parse(all).map_err(|error| error.to_string())?.command {
            Command::Run(run) => Ok(run),
            other => Err(format!("{other:?}")),
        }
    }

    #[test]
    fn the_definition_of_the_command_line_is_valid() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_command_line_of_kube_proxy_runs() {
        let args =
            run(&["--network_name=cbr0", "--enable-dsr", "--forward_healthcheck_vip=T", "--from", "a_b.json", "--v=4"]);
        let args = args.unwrap().proxy;
        assert_eq!(args.source.from, Some(PathBuf::from("a_b.json")));
        let config = Config::resolve(&args.kube_proxy).unwrap();
        assert_eq!(config.winkernel.network_name.as_deref(), Some("cbr0"));
        assert!(config.winkernel.enable_dsr && config.winkernel.forward_health_check_vip);
        assert_eq!(config.logging.verbosity, 4);
    }

    #[test]
    fn without_arguments_the_defaults_of_kube_proxy_run() {
        let config = Config::resolve(&run(&[]).unwrap().proxy.kube_proxy).unwrap();
        assert_eq!((config.client.kubeconfig, config.client.master), (None, None));
        assert!(parse([]).is_err(), "not even the name of the program");
    }

    #[test]
    fn errors_name_the_flag_and_what_is_expected() {
        assert!(run(&["--from=x", "--enable-dsr=maybe"]).unwrap_err().contains("expected true or false"));
        assert!(run(&["--from=x", "--hns=emulated:"]).unwrap_err().contains("emulated:PATH"));
        assert!(run(&["--from=x", "surplus"]).unwrap_err().contains("surplus"));
        assert!(run(&["--healthz-bind-address=localhost"]).unwrap_err().contains("expected an IP address"));
    }

    #[test]
    fn help_has_our_flags_apart_from_those_of_kube_proxy() {
        let help = run(&["run", "--help"]).unwrap_err();
        let (ours, theirs) = help.split_once("Flags of kube-proxy:").unwrap();
        for flag in ["--from ", "--hns ", "--once", "--hns-audit-interval", "--node-ip"] {
            assert!(ours.contains(flag) && !theirs.contains(&format!("{flag} <")), "{flag}");
        }
        for flag in ["--config ", "--enable-dsr", "-v, --v", "--conntrack-min"] {
            assert!(theirs.contains(flag) && !ours.contains(flag), "{flag}");
        }
    }

    #[test]
    fn a_service_is_named_with_its_namespace() {
        assert_eq!(service_name("ns/web"), Ok(ServiceName::new("ns", "web")));
        assert!(["web", "/web", "ns/", "a/b/c"].into_iter().all(|text| service_name(text).is_err()));
    }
}
