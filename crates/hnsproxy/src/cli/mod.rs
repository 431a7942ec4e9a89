//! The command line: what can be said, and what it means.
//!
//! kube-proxy's flags keep their names, types and defaults, so that `hnsproxy` takes its place on a command line. Two habits of its
//! flag library are kept too: `_` stands for `-` in names, and truth values are written as in Go.

mod service;

use std::ffi::OsString;
use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use proxy::model::ServiceName;

pub use crate::config::LogFormat;
use crate::config::{Flags, HEADING};
use crate::duration_argument::seconds;
use crate::hns::HnsArgs;
pub use service::{InstallArgs, ServiceArgs, ServiceCommand, UninstallArgs};

const EXAMPLES: &str = "\
Examples:
  Program an emulated HNS with a recorded cluster, and show the result:
    hnsproxy run --from cluster.json --hns emulated:host.json --enable-dsr=true --once
  Keep an emulated HNS in step with a directory of manifests:
    hnsproxy --from manifests/ --hns emulated:host.json
  See what would be done, and why, without doing it (exit code 2 if anything):
    hnsproxy plan --from cluster.json --hns emulated:host.json
  See the configuration that counts, written to a file:
    hnsproxy --config kube-proxy.yaml --write-config-to effective.yaml

Exit codes: 0 converged or no difference, 1 error, 2 plan found differences.";

/// A Service proxy for Windows Kubernetes nodes.
///
/// Reads Services and EndpointSlices, and has the Host Networking Service (HNS) hold the load balancers that serve them. Asks HNS only
/// for what differs, and never takes a working address away in order to put it back. Takes the flags of kube-proxy.
#[derive(Debug, Parser)]
#[command(name = "hnsproxy", after_help = EXAMPLES, max_term_width = 120)]
pub struct Cli {
    /// What to do; `run` when it is left out.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Program HNS and keep it in step; the default.
    #[command(after_help = EXAMPLES)]
    Run(RunArgs),
    /// Show what would be done and why; change nothing. Exit code 2 if anything differs.
    Plan(PlanArgs),
    /// Show what HNS holds.
    State(StateArgs),
    /// Explain why something is as it is; change nothing.
    #[command(subcommand)]
    Explain(Explain),
    #[cfg(feature = "emulator")]
    /// Offer an emulated HNS over TCP, to --hns tcp://HOST:PORT and to the stand-in DLLs. It is no real HNS.
    Emulator(EmulatorArgs),
    /// Install hnsproxy as a service of Windows, or take the service away.
    Service(ServiceArgs),
}

/// Arguments of `run`.
#[derive(Debug, Args)]
pub struct RunArgs {
    #[command(flatten)]
    /// What to program, and how.
    pub proxy: ProxyArgs,
    /// End when HNS holds what it should, and print what it holds.
    #[arg(long)]
    pub once: bool,
    /// How often to look whether others have changed HNS.
    #[arg(long, value_name = "SECONDS", default_value = "5", value_parser = seconds)]
    pub hns_audit_interval: Duration,
    /// How many writes HNS is asked for at once. Nothing is published about how HNS of Windows does with more than one.
    #[arg(long, value_name = "N", default_value = "1")]
    pub hns_concurrency: NonZeroUsize,
    /// At the end, write what the emulated HNS holds to FILE, to start from it another time.
    #[arg(long, value_name = "FILE")]
    pub save_hns: Option<PathBuf>,
}

/// Arguments of `plan`.
#[derive(Debug, Args)]
pub struct PlanArgs {
    #[command(flatten)]
    /// What would be programmed, and how.
    pub proxy: ProxyArgs,
}

/// Arguments of all commands that work out what HNS should hold.
#[derive(Debug, Args)]
pub struct ProxyArgs {
    #[command(flatten)]
    /// Where the cluster comes from.
    pub source: SourceArgs,
    #[command(flatten)]
    /// Which HNS.
    pub hns: HnsArgs,
    #[command(flatten)]
    /// Form of the output.
    pub output: OutputArgs,
    #[command(flatten)]
    /// What the host does not tell.
    pub node: NodeArgs,
    /// Remove load balancers and remote endpoints that look like kube-proxy's and that no Service asks for: for the change from kube-proxy
    /// to hnsproxy. Those that Services do ask for are taken over in any case.
    #[arg(long)]
    pub take_over: bool,
    /// Append the log to FILE instead of standard error: a service of Windows has none.
    #[arg(long, value_name = "FILE")]
    pub log_file: Option<PathBuf>,
    #[command(flatten)]
    /// kube-proxy's flags.
    pub kube_proxy: Flags,
}

/// Arguments of `state`.
#[derive(Debug, Args)]
pub struct StateArgs {
    #[command(flatten)]
    /// Which HNS.
    pub hns: HnsArgs,
    #[command(flatten)]
    /// Form of the output.
    pub output: OutputArgs,
    #[command(flatten)]
    /// Logging.
    pub log: LogArgs,
}

/// What to explain.
#[derive(Debug, Subcommand)]
pub enum Explain {
    /// Explain a Service: each frontend, each backend and why it is in or out, the load balancer wanted, what HNS holds, what would be
    /// done.
    #[command(visible_alias = "service", after_help = EXPLAIN_EXAMPLES)]
    Svc(ExplainSvcArgs),
}

const EXPLAIN_EXAMPLES: &str = "\
Examples:
  Ask the hnsproxy that runs on this node:
    hnsproxy explain svc default/web
  From files, on an emulated HNS:
    hnsproxy explain svc default/web --from cluster.json --hns emulated:host.json

Exit codes: 0 explained, 1 error, or no such Service.";

/// Arguments of `explain svc`.
#[derive(Debug, Args)]
pub struct ExplainSvcArgs {
    /// The Service.
    #[arg(value_name = "NAMESPACE/NAME", value_parser = service_name)]
    pub service: ServiceName,
    /// Where the running hnsproxy listens for questions: the address of its metrics. With --from, none is asked.
    #[arg(long, value_name = "IP:PORT", default_value = "127.0.0.1:10249", conflicts_with = "from")]
    pub debug_address: SocketAddr,
    #[command(flatten)]
    /// What would be programmed, and how.
    pub proxy: ProxyArgs,
}

/// Arguments of `emulator`.
#[cfg(feature = "emulator")]
#[derive(Debug, Args)]
pub struct EmulatorArgs {
    /// Where to listen. Whoever reaches it may do anything with it.
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:10258")]
    pub listen: String,
    /// Start from the objects of a host document.
    #[arg(long, value_name = "HOST.json")]
    pub host: Option<PathBuf>,
    /// The build of Windows, or the version of HNS, instead of the host document's: server2019, server2022, 23h2, server2025, 15.5.
    #[arg(long, value_name = "BUILD")]
    pub build: Option<hcn_emulator::Build>,
    #[command(flatten)]
    /// Logging.
    pub log: LogArgs,
}

/// Where the cluster comes from.
#[derive(Debug, Clone, Args)]
pub struct SourceArgs {
    /// Read Services, EndpointSlices and Nodes from a YAML or JSON file, or all such files below a directory, instead of asking the API
    /// server. Changes are followed.
    #[arg(long, value_name = "FILE|DIR")]
    pub from: Option<PathBuf>,
}

/// Facts of this node that are otherwise looked up.
#[derive(Debug, Clone, Args)]
pub struct NodeArgs {
    /// An address of this node, the primary one first. Without it: those of the emulated host, else of the Node object.
    #[arg(long, value_name = "IP")]
    pub node_ip: Vec<IpAddr>,
    /// The MAC address of the adapter that has the node's address, for overlay networks. Without it: that of the emulated host, else
    /// of the adapter.
    #[arg(long, value_name = "MAC")]
    pub node_mac: Option<String>,
}

/// Form of the output.
#[derive(Debug, Clone, Copy, Args)]
pub struct OutputArgs {
    /// The form of the output: a table for people, JSON for programs.
    #[arg(short, long, value_name = "FORM", default_value = "table")]
    pub output: OutputForm,
}

/// Logging, of commands without kube-proxy's other flags.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = HEADING)]
pub struct LogArgs {
    /// How much to log: 2 names each step, 5 everything.
    #[arg(short = 'v', long = "v", value_name = "N", default_value = "0")]
    pub verbosity: u32,
    /// The form of the log, which goes to standard error.
    #[arg(long, value_name = "FORM", default_value = "text")]
    pub logging_format: LogFormat,
    /// Append the log to FILE instead: a service of Windows has no standard error.
    #[arg(long, value_name = "FILE", help_heading = "Options")]
    pub log_file: Option<PathBuf>,
}

impl LogArgs {
    /// As without any flag but that of the file.
    pub fn plain(log_file: Option<&Path>) -> Self {
        Self { verbosity: 0, logging_format: LogFormat::Text, log_file: log_file.map(Path::to_owned) }
    }
}

impl Cli {
    /// The file of the log, where one is named.
    pub fn log_file(&self) -> Option<&Path> {
        match &self.command {
            Command::Run(args) => args.proxy.log_file.as_deref(),
            Command::Plan(args) => args.proxy.log_file.as_deref(),
            Command::Explain(Explain::Svc(args)) => args.proxy.log_file.as_deref(),
            Command::State(args) => args.log.log_file.as_deref(),
            #[cfg(feature = "emulator")]
            Command::Emulator(args) => args.log.log_file.as_deref(),
            Command::Service(_) => None,
        }
    }
}

/// The form of the output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum OutputForm {
    /// For people.
    Table,
    /// For programs.
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

/// Reads the command line of the process, or tells why not. The error is also the answer to `--help`.
///
/// # Errors
/// Where the command line can't be understood.
pub fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Cli, clap::Error> {
    Cli::try_parse_from(normalise(arguments.into_iter().collect()))
}

/// Writes flags as we spell them, and puts in the command that kube-proxy's command lines lack.
fn normalise(mut arguments: Vec<OsString>) -> Vec<OsString> {
    for argument in arguments.iter_mut().skip(1) {
        let Some(flag) = argument.to_str().and_then(|text| text.strip_prefix("--")) else { continue };
        let (name, value) = flag.split_at(flag.find('=').unwrap_or(flag.len()));
        if name.contains('_') {
            *argument = format!("--{}{value}", name.replace('_', "-")).into();
        }
    }
    let takes_run = match arguments.get(1).and_then(|first| first.to_str()) {
        None => arguments.len() > 1,
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
    use clap::CommandFactory;

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
    fn the_table_of_flags_is_sound() {
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
    fn mistakes_are_named() {
        assert!(run(&["--from=x", "--enable-dsr=maybe"]).unwrap_err().contains("expected true or false"));
        assert!(run(&["--from=x", "--hns=emulated:"]).unwrap_err().contains("emulated:HOST.json"));
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
