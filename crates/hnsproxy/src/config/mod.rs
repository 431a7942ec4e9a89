//! The configuration, as kube-proxy has it: by flags, or by a file of the kind `KubeProxyConfiguration`.
//!
//! Text becomes an `Object` of values by field, the same for flags and files; the object becomes a [`Config`] of
//! typed values, or a list of all that is wrong with it. [`watch()`] says when the file has changed.

mod duration;
mod flags;
mod gates;
#[cfg(test)]
mod installers;
mod kind;
mod object;
#[cfg(test)]
mod reference;
mod resolve;
mod table;
#[cfg(test)]
mod tests;
mod validate;
mod watch;

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;
use serde_json::Value;

pub use flags::Flags;
pub(crate) use flags::HEADING;
pub use gates::Gates;
pub use validate::Failure;
pub use watch::{Change, watch};

/// The minor version of Kubernetes whose kube-proxy is stood in for.
const MINOR_VERSION: u32 = 36;
/// The version of Kubernetes whose kube-proxy is stood in for.
pub const KUBERNETES_VERSION: &str = "v1.36.2";

/// Why a configuration can't be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file can't be read.
    #[error("the configuration file {} can't be read", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: std::io::Error,
    },
    /// The file is no configuration.
    #[error("failed complete: failed to decode {}: {}", path.display(), problems.join("; "))]
    Decode {
        /// The file.
        path: PathBuf,
        /// All that is wrong.
        problems: Vec<String>,
    },
    /// Feature gates are refused.
    #[error("failed complete: featureGates: {}", .0.join("; "))]
    Gates(Vec<String>),
    /// A name of the node that is none.
    #[error("failed complete: --hostname-override has blanks only; it names this node")]
    NodeName,
    /// A version that another program would have to report.
    #[error("--version={0} can't be reported: this program stands in for {KUBERNETES_VERSION}")]
    Version(String),
    /// Values are refused.
    #[error("failed validate: {}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Invalid(Vec<Failure>),
}

/// What is asked for, in values that can be used.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// How the API server is reached.
    pub client: ClientConnection,
    /// The log.
    pub logging: Logging,
    /// The name of this node, where it is not the system's: trimmed, in lower case.
    pub hostname_override: Option<String>,
    /// Overrides the node's address of its family unless it is unspecified. Nothing listens there.
    pub bind_address: IpAddr,
    /// Where `/healthz` is; nowhere where it is switched off.
    pub healthz_address: Option<SocketAddr>,
    /// Where `/metrics` is.
    pub metrics_address: SocketAddr,
    /// Whether an address that is taken ends the program.
    pub bind_address_hard_fail: bool,
    /// Whether `/debug` is offered.
    pub profiling: bool,
    /// Whether metrics that are hidden since the previous minor version are shown.
    pub show_hidden_metrics: bool,
    /// The shortest time between two runs of kube-proxy.
    pub min_sync_period: Duration,
    /// Half of how long changes may wait before health checks fail.
    pub sync_period: Duration,
    /// How often all objects of the API server are looked at again.
    pub config_sync_period: Duration,
    /// How HNS is programmed.
    pub winkernel: Winkernel,
    /// How local traffic would be told; `NodeCIDR` waits for the node's pod CIDRs.
    pub detect_local_mode: DetectLocalMode,
    /// The CIDRs of pods.
    pub cluster_cidrs: Vec<IpNet>,
    /// CIDRs of node port addresses, or `primary`.
    pub node_port_addresses: Vec<String>,
    /// The feature gates.
    pub gates: Gates,
    /// The version that is reported as kube-proxy's.
    pub reported_version: String,
    /// What to do instead of running.
    pub action: Action,
    /// What the log should say of the configuration.
    pub notes: Vec<Note>,
    object: object::Object,
    /// The flags that were given and are no part of a file.
    beside: Vec<(&'static str, String)>,
}

impl Config {
    /// The effective configuration as an object of `kubeproxy.config.k8s.io/v1alpha1`, for `/configz` and `--write-config-to`.
    pub fn to_v1alpha1(&self) -> Value {
        self.object.to_value()
    }

    /// Every flag of kube-proxy with the value that counts, in the order of names.
    pub fn flags(&self) -> Vec<(&'static str, String)> {
        let beside = |setting: &table::Setting| self.beside.iter().find(|(flag, _)| *flag == setting.flag);
        let value = |setting: &table::Setting| match (self.object.get(setting.field), beside(setting)) {
            (_, Some((_, given))) => given.clone(),
            (Some(value), None) => text(value),
            (None, None) => setting.default.to_owned(),
        };
        let counts = |setting: &&table::Setting| setting.effect != table::Effect::Removed;
        let mut flags: Vec<_> = table::flags().filter(counts).map(|setting| (setting.flag, value(setting))).collect();
        flags.sort();
        flags
    }
}

/// A value as flags are written.
fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(text).collect::<Vec<_>>().join(","),
        Value::Object(members) => {
            members.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(",")
        }
        value => value.to_string(),
    }
}

/// How the API server is reached.
#[derive(Debug, Clone, PartialEq)]
pub struct ClientConnection {
    /// The kubeconfig file.
    pub kubeconfig: Option<PathBuf>,
    /// A URL that overrides the kubeconfig's. With neither, the program is in the cluster.
    pub master: Option<String>,
    /// Requests a second; negative for no limit.
    pub qps: f32,
    /// Requests in a burst.
    pub burst: u32,
    /// The type of requests' content.
    pub content_type: String,
    /// Overrides the `Accept` header.
    pub accept_content_types: Option<String>,
}

/// The log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Logging {
    /// Its form.
    pub format: LogFormat,
    /// How much: 2 names each step, 5 everything.
    pub verbosity: u32,
}

/// The form of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One object a line.
    Json,
}

/// How HNS is programmed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Winkernel {
    /// The HNS network that the pods are in, where it is said.
    pub network_name: Option<String>,
    /// The source address of translated traffic.
    pub source_vip: Option<IpAddr>,
    /// Direct server return for cluster addresses.
    pub enable_dsr: bool,
    /// The HNS endpoint of the host itself.
    pub root_endpoint_name: String,
    /// A health load balancer for each address of a load balancer.
    pub forward_health_check_vip: bool,
}

/// How local traffic would be told, if Windows did so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DetectLocalMode {
    /// Not at all.
    None,
    /// By the CIDRs of all pods.
    ClusterCidr,
    /// By the node's pod CIDRs.
    NodeCidr,
    /// By the name of a bridge.
    BridgeInterface,
    /// By how names of interfaces begin.
    InterfaceNamePrefix,
}

/// What to do instead of running.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Nothing: run.
    Run,
    /// Write the effective configuration to a file.
    WriteConfig(PathBuf),
    /// Remove what hnsproxy made.
    Cleanup,
    /// What only Linux has.
    InitOnly,
}

/// A line for the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// How important it is.
    pub level: tracing::Level,
    /// What it says.
    pub text: String,
}
