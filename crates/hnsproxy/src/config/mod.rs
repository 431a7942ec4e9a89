//! The configuration, with kube-proxy's flags and its configuration file (`KubeProxyConfiguration`).
//!
//! Flags and file both become an `Object` of values by field. Validation turns it into a typed [`Config`], or returns
//! all problems at once. [`watch()`] reports changes of the file.

mod duration;
mod flags;
mod gates;
mod key;
mod kind;
mod object;
#[cfg(test)]
mod reference;
mod resolve;
mod source_vip;
mod table;
#[cfg(test)]
mod tests;
mod validate;
mod watch;

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use cluster_source::cluster::hide_userinfo;
use proxy::SourceVip;
use serde_json::Value;

pub use flags::Flags;
pub(crate) use flags::{is_flag_of_kube_proxy, takes_value_after_equals};
pub use gates::{Gate, Gates};
pub use object::METRICS_ADDRESS;
pub use validate::Failure;
pub use watch::{Change, watch};

/// The minor version of the kube-proxy that hnsproxy replaces.
const MINOR_VERSION: u32 = 36;
/// The version of the kube-proxy that hnsproxy replaces.
pub const KUBERNETES_VERSION: &str = "v1.36.2";

/// Why a configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("cannot read configuration file {}", path.display())]
    Unreadable {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    /// The file is not a `KubeProxyConfiguration`.
    #[error("invalid configuration file {}: {}", path.display(), problems.join("; "))]
    Decode { path: PathBuf, problems: Vec<String> },
    #[error("invalid hostname override: the name of a node must not be blank")]
    NodeName,
    /// `--version` asks to report another version.
    #[error("invalid --version={0}: expected {KUBERNETES_VERSION}, optionally with a suffix such as -vendor.1")]
    Version(String),
    #[error("invalid configuration: {}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Invalid(Vec<Failure>),
}

/// The validated configuration.
///
/// Two configurations are equal only if all fields of the file and all flags are equal, used or not.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    pub client: ClientConnection,
    pub logging: Logging,
    /// The configured name of this node, trimmed and in lower case.
    pub hostname_override: Option<String>,
    /// Overrides the node's address of its family unless it is unspecified. hnsproxy does not listen on it.
    pub bind_address: IpAddr,
    /// The address of `/healthz`. None if the server is disabled.
    pub healthz_address: Option<SocketAddr>,
    /// The address of `/metrics`.
    pub metrics_address: SocketAddr,
    /// Whether the process exits if it cannot bind an address.
    pub bind_address_hard_fail: bool,
    /// Whether `/debug` is served.
    pub profiling: bool,
    /// Health checks fail when a change is pending for longer than twice this time.
    pub sync_period: Duration,
    pub winkernel: Winkernel,
    /// `NodeCIDR` waits for the node's pod CIDRs; the other modes have no effect on Windows.
    pub detect_local_mode: DetectLocalMode,
    pub gates: Gates,
    /// The version to report as kube-proxy's.
    pub reported_version: String,
    pub action: Action,
    /// Notes on the configuration, to be logged once logging has started.
    pub notes: Vec<Note>,
    object: object::Object,
    /// The given flags that no field of the file corresponds to, with their values.
    flags_without_field: Vec<(&'static str, String)>,
}

impl Config {
    /// The effective configuration as an object of `kubeproxy.config.k8s.io/v1alpha1`, for `/configz` and `--write-config-to`.
    pub fn to_v1alpha1(&self) -> Value {
        self.object.to_value()
    }

    /// All flags of kube-proxy with their effective values, in the order of names.
    pub fn flags(&self) -> Vec<(&'static str, String)> {
        let given = |setting: &table::Setting| self.flags_without_field.iter().find(|(flag, _)| *flag == setting.flag);
        let value = |setting: &table::Setting| match (self.object.value(setting), given(setting)) {
            (_, Some((_, given))) => given.clone(),
            (Some(value), None) => text(value),
            (None, None) => setting.default.to_owned(),
        };
        let exists = |setting: &&table::Setting| setting.effect != table::Effect::Removed;
        let mut flags: Vec<_> =
            table::flags().filter(exists).map(|setting| (setting.flag, shown(setting.flag, value(setting)))).collect();
        flags.sort();
        flags
    }
}

#[cfg(feature = "fuzzing")]
impl Config {
    /// The configuration of flags, and of the text of the file of `--config`.
    pub(crate) fn of_text(flags: &Flags, text: &str) -> Result<Self, ConfigError> {
        Self::from_file(flags, std::path::Path::new("config"), text)
    }

    /// The configuration of flags without a file.
    pub(crate) fn of_flags(flags: &Flags) -> Result<Self, ConfigError> {
        Self::from_flags(flags)
    }
}

/// The value of a flag for pages and logs. The URL of a server may have a password.
fn shown(flag: &str, value: String) -> String {
    if flag == key::flag::MASTER.name() { hide_userinfo(&value) } else { value }
}

/// A value in the syntax of flags.
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

/// The connection to the API server.
#[derive(Debug, Clone, PartialEq)]
pub struct ClientConnection {
    pub kubeconfig: Option<PathBuf>,
    /// A URL that overrides the kubeconfig's. Without both, the in-cluster environment is used.
    pub master: Option<String>,
    /// Requests per second; negative for no limit.
    pub qps: f32,
    /// Requests in a burst.
    pub burst: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Logging {
    pub format: LogFormat,
    /// 2 logs each step, 5 everything.
    pub verbosity: u32,
}

/// The format of log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// Human-readable lines.
    Text,
    /// One JSON object per line.
    Json,
}

/// How HNS is programmed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Winkernel {
    /// The HNS network of the pods, or several with commas in between.
    pub network_name: Option<String>,
    /// The source address of translated traffic, or the HNS endpoints that have it.
    pub source_vip: Option<SourceVip>,
    /// Direct server return for cluster IPs.
    pub enable_dsr: bool,
    /// The name of the HNS endpoint of the host itself.
    pub root_endpoint_name: String,
    /// Whether each load balancer IP also gets a load balancer for the health check node port.
    pub forward_health_check_vip: bool,
}

/// How kube-proxy detects local traffic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DetectLocalMode {
    None,
    /// By the CIDRs of all pods.
    ClusterCidr,
    /// By the node's pod CIDRs.
    NodeCidr,
    /// By the name of a bridge.
    BridgeInterface,
    /// By a prefix of interface names.
    InterfaceNamePrefix,
}

/// What the process does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    Run,
    /// Writes the effective configuration to a file, and exits.
    WriteConfig(PathBuf),
    /// Removes the objects that hnsproxy created, and exits.
    Cleanup,
    /// An error: only Linux has `--init-only`.
    InitOnly,
}

/// A line for the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    pub level: tracing::Level,
    pub text: String,
}
