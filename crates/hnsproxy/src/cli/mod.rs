//! The command line: what can be said, and what it means.
//!
//! kube-proxy's flags keep their names, types and defaults, so that `hnsproxy` takes its place on a command line. Two habits of its
//! flag library are kept too: `_` stands for `-` in names, and truth values are written as in Go.

mod service;
mod settings;

use std::ffi::OsString;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use proxy::model::ServiceName;

pub use service::{InstallArgs, ServiceArgs, ServiceCommand, UninstallArgs};
pub use settings::{NODE_NAME_ERROR, SettingsError, resolve};

const EXAMPLES: &str = "\
Examples:
  Program an emulated HNS with a recorded cluster, and show the result:
    hnsproxy run --from cluster.json --hns emulated:host.json --enable-dsr=true --once
  Keep an emulated HNS in step with a directory of manifests:
    hnsproxy --from manifests/ --hns emulated:host.json
  See what would be done, and why, without doing it (exit code 2 if anything):
    hnsproxy plan --from cluster.json --hns emulated:host.json

Exit codes: 0 converged or no difference, 1 error, 2 plan found differences.";

/// A Service proxy for Windows Kubernetes nodes.
///
/// Reads Services and EndpointSlices, and has the Host Networking Service (HNS) hold the load balancers that serve them. Asks HNS only
/// for what differs, and never takes a working address away in order to put it back. Takes the flags of kube-proxy.
#[derive(Debug, Parser)]
#[command(name = "hnsproxy", version, after_help = EXAMPLES, max_term_width = 120)]
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
    /// Where the cluster comes from.
    pub source: SourceArgs,
    #[command(flatten)]
    /// Which HNS.
    pub hns: HnsArgs,
    /// End when HNS holds what it should, and print what it holds.
    #[arg(long)]
    pub once: bool,
    /// How often to look whether others have changed HNS.
    #[arg(long, value_name = "SECONDS", default_value = "5", value_parser = seconds)]
    pub hns_audit_interval: Duration,
    /// At the end, write what the emulated HNS holds to FILE, to start from it another time.
    #[arg(long, value_name = "FILE")]
    pub save_hns: Option<PathBuf>,
    /// Run as the service that the service control manager of Windows has started.
    #[arg(long, value_name = "BOOL", default_value = "false", default_missing_value = "true", num_args = 0..=1,
        require_equals = true, action = clap::ArgAction::Set, value_parser = go_bool,
        help_heading = "Flags of kube-proxy")]
    pub windows_service: bool,
    #[command(flatten)]
    /// Form of the output.
    pub output: OutputArgs,
    #[command(flatten)]
    /// What the host does not tell.
    pub node: NodeArgs,
    #[command(flatten)]
    /// kube-proxy's flags.
    pub kube_proxy: KubeProxyArgs,
    #[command(flatten)]
    /// Logging.
    pub log: LogArgs,
}

/// Arguments of `plan`.
#[derive(Debug, Args)]
pub struct PlanArgs {
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
    #[command(flatten)]
    /// kube-proxy's flags.
    pub kube_proxy: KubeProxyArgs,
    #[command(flatten)]
    /// Logging.
    pub log: LogArgs,
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
    /// Read the cluster from a YAML or JSON file, or all such files below a directory, instead of asking a running hnsproxy.
    #[arg(long, value_name = "FILE|DIR", conflicts_with = "debug_address")]
    pub from: Option<PathBuf>,
    /// Where the running hnsproxy listens for questions: the address of its metrics.
    #[arg(long, value_name = "IP:PORT", default_value = "127.0.0.1:10249")]
    pub debug_address: SocketAddr,
    #[command(flatten)]
    /// Which HNS.
    pub hns: HnsArgs,
    #[command(flatten)]
    /// Form of the output.
    pub output: OutputArgs,
    #[command(flatten)]
    /// What the host does not tell.
    pub node: NodeArgs,
    #[command(flatten)]
    /// kube-proxy's flags.
    pub kube_proxy: KubeProxyArgs,
    #[command(flatten)]
    /// Logging.
    pub log: LogArgs,
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
    /// Read Services, EndpointSlices and Nodes from a YAML or JSON file, or all such files below a directory. Changes are followed.
    #[arg(long, value_name = "FILE|DIR")]
    pub from: PathBuf,
}

/// Which HNS, and how to speak to it.
#[derive(Debug, Clone, Args)]
pub struct HnsArgs {
    /// The HNS to program: `windows`, this host's; `emulated`, or `emulated:HOST.json` to start from a host's objects; or that of
    /// `hnsproxy emulator` at `tcp://HOST:PORT`.
    #[arg(long, value_name = "HNS", default_value = DEFAULT_HNS, value_parser = hns)]
    pub hns: HnsChoice,
    /// The generation of HNS's interface: `v2` where HNS has it, or as said.
    #[arg(long, value_name = "GENERATION", default_value = "auto")]
    pub hns_api: HnsApi,
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

/// The flags of kube-proxy that are known.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Flags of kube-proxy")]
pub struct KubeProxyArgs {
    /// The HNS network that the pods are in. Without it: environment KUBE_NETWORK; then the only network of the emulated host.
    #[arg(long, value_name = "NAME", default_value = "")]
    pub network_name: String,
    /// The source address of translated traffic; overlay networks need it.
    #[arg(long, value_name = "IP", default_value = "", hide_default_value = true)]
    pub source_vip: String,
    /// Direct server return for cluster IPs.
    #[arg(long, value_name = "BOOL", default_value = "false", default_missing_value = "true", num_args = 0..=1,
        require_equals = true, action = clap::ArgAction::Set, value_parser = go_bool)]
    pub enable_dsr: bool,
    /// The HNS endpoint of the host itself, backend of health load balancers.
    #[arg(long, value_name = "NAME", default_value = "cbr0")]
    pub root_hnsendpoint_name: String,
    /// A load balancer for the health port on each load balancer IP.
    #[arg(long, value_name = "BOOL", default_value = "false", default_missing_value = "true", num_args = 0..=1,
        require_equals = true, action = clap::ArgAction::Set, value_parser = go_bool)]
    pub forward_healthcheck_vip: bool,
    /// The name of this node. Without it: that of the emulated host, else the system's.
    #[arg(long, value_name = "NAME", default_value = "")]
    pub hostname_override: String,
    /// Where /healthz is to listen; its port is that of health load balancers without their own.
    #[arg(long, value_name = "IP[:PORT]", default_value = "0.0.0.0:10256", value_parser = healthz)]
    pub healthz_bind_address: SocketAddr,
}

/// Logging.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Flags of kube-proxy")]
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

/// Which HNS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HnsChoice {
    /// The emulator in this process, on a host's objects if a file is given.
    Emulated(Option<PathBuf>),
    /// This Windows host.
    Windows,
    /// An emulator elsewhere.
    Tcp(String),
}

/// Which generation of the interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum HnsApi {
    /// v2 where HNS has it.
    Auto,
    /// HNSCall.
    V1,
    /// The HCN functions.
    V2,
}

/// The form of the output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum OutputForm {
    /// For people.
    Table,
    /// For programs.
    Json,
}

/// The form of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One object a line.
    Json,
}

fn hns(text: &str) -> Result<HnsChoice, String> {
    match text.split_once(':') {
        None if text == "emulated" => Ok(HnsChoice::Emulated(None)),
        None if text == "windows" => Ok(HnsChoice::Windows),
        Some(("emulated", path)) if !path.is_empty() => Ok(HnsChoice::Emulated(Some(path.into()))),
        Some(("tcp", rest)) if rest.len() > 2 && rest.starts_with("//") => {
            Ok(HnsChoice::Tcp(rest.replacen("//", "", 1)))
        }
        _ => Err("expected emulated, emulated:HOST.json, windows, or tcp://HOST:PORT".into()),
    }
}

fn service_name(text: &str) -> Result<ServiceName, String> {
    match text.split_once('/') {
        Some((namespace, name)) if !namespace.is_empty() && !name.is_empty() && !name.contains('/') => {
            Ok(ServiceName::new(namespace, name))
        }
        _ => Err("expected NAMESPACE/NAME".into()),
    }
}

fn seconds(text: &str) -> Result<Duration, String> {
    let number: f64 = text.trim_end_matches('s').parse().map_err(|_| "expected a number of seconds".to_owned())?;
    Duration::try_from_secs_f64(number).ok().filter(|interval| !interval.is_zero()).ok_or("expected more than 0".into())
}

/// A truth value as Go's flag library reads it.
fn go_bool(text: &str) -> Result<bool, String> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
        _ => Err("expected true or false".into()),
    }
}

/// On Windows the real thing.
const DEFAULT_HNS: &str = if cfg!(windows) || cfg!(not(feature = "emulator")) { "windows" } else { "emulated" };

const HEALTHZ_PORT: u16 = 10256;

/// An address with or without a port. An empty text leaves the default, as in kube-proxy.
fn healthz(text: &str) -> Result<SocketAddr, String> {
    let with_port = |ip: IpAddr| SocketAddr::new(ip, HEALTHZ_PORT);
    if text.is_empty() {
        return Ok(with_port(IpAddr::from([0, 0, 0, 0])));
    }
    let address = text.parse::<SocketAddr>().or_else(|_| text.parse::<IpAddr>().map(with_port));
    address.map_err(|_| "expected an IP address, with or without a port".into())
}

/// Reads the command line of the process, or tells why not. The error is also the answer to `--help` and `--version`.
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
        Some("-h" | "--help" | "-V" | "--version") => false,
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
        let args = args.unwrap();
        assert_eq!(args.kube_proxy.network_name, "cbr0");
        assert!(args.kube_proxy.enable_dsr && args.kube_proxy.forward_healthcheck_vip);
        assert_eq!(args.log.verbosity, 4);
        assert_eq!(args.source.from, PathBuf::from("a_b.json"));
        assert!(!run(&["--from=x", "--enable-dsr=false", "-v=1"]).unwrap().kube_proxy.enable_dsr);
    }

    #[test]
    fn mistakes_are_named() {
        assert!(run(&["--from=x", "--enable-dsr=maybe"]).unwrap_err().contains("expected true or false"));
        assert!(run(&["--from=x", "--hns=emulated:"]).unwrap_err().contains("emulated:HOST.json"));
        assert!(run(&["--from=x", "surplus"]).unwrap_err().contains("surplus"));
        assert!(run(&["run"]).unwrap_err().contains("--from"));
    }

    #[test]
    fn health_addresses_hns_choices_and_services() {
        assert_eq!(healthz("127.0.0.1").unwrap().port(), 10256);
        assert_eq!(healthz("[::1]:9").unwrap().port(), 9);
        assert_eq!(healthz("").unwrap().to_string(), "0.0.0.0:10256");
        assert!(healthz("localhost").is_err());
        assert_eq!(hns("emulated:C:\\h.json"), Ok(HnsChoice::Emulated(Some("C:\\h.json".into()))));
        assert_eq!(service_name("ns/web"), Ok(ServiceName::new("ns", "web")));
        assert!(["web", "/web", "ns/", "a/b/c"].into_iter().all(|text| service_name(text).is_err()));
        assert_eq!(hns("tcp://127.0.0.1:9"), Ok(HnsChoice::Tcp("127.0.0.1:9".into())));
    }
}
