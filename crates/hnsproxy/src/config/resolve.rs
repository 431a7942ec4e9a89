//! From flags and a file to a configuration: which of them counts.
//!
//! With `--config` the file replaces all that flags are bound to, but for the name of the node and the log. Without it the flags
//! change the defaults, and can say zeros, which a file can't.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;
use tracing::Level;

use super::flags::Flags;
use super::gates::Gates;
use super::kind::Kind;
use super::object::{Decoded, Object};
use super::table::{Effect, Setting};
use super::validate::Checker;
use super::{Action, ClientConnection, Config, ConfigError, KUBERNETES_VERSION, Logging, Note, Winkernel};

/// What `--config` does not replace, beside the log.
const BESIDE_A_FILE: [&str; 8] =
    ["config", "master", "hostname-override", "write-config-to", "cleanup", "init-only", "windows-service", "version"];

impl Config {
    /// The configuration that the flags ask for, and the file that they name.
    ///
    /// # Errors
    /// Where the file can't be read, or anything in it or in the flags is refused.
    pub fn resolve(flags: &Flags) -> Result<Self, ConfigError> {
        let Some(path) = flags.text("config").map(PathBuf::from) else { return Self::from_flags(flags) };
        match fs::read_to_string(&path) {
            Ok(text) => Self::from_file(flags, &path, &text),
            Err(source) => Err(ConfigError::Unreadable { path, source }),
        }
    }

    /// The configuration of flags alone.
    pub(super) fn from_flags(flags: &Flags) -> Result<Self, ConfigError> {
        let mut object = Object::default();
        object.set_defaults();
        for (setting, value) in flags.iter().filter(|(setting, _)| !setting.field.is_empty()) {
            let detached = matches!(setting.kind, Kind::Ip | Kind::IpPort) && value == "";
            if !detached {
                object.set(setting.field, value.clone());
            }
        }
        let port =
            |flag: &str, default: u16| flags.get(flag).and_then(Value::as_u64).map_or(default, |port| port as u16);
        let (healthz, metrics) = (port("healthz-port", 10256), port("metrics-port", 10249));
        object.append_ports(if healthz == 0 { 10256 } else { healthz }, if metrics == 0 { 10249 } else { metrics });
        if flags.text("write-config-to").is_none() {
            for (port, field) in [(healthz, "healthzBindAddress"), (metrics, "metricsBindAddress")] {
                if port == 0 {
                    object.set(field, "".into());
                }
            }
        }
        Self::from_object(flags, object, Vec::new())
    }

    /// The configuration of a file's text, and of the flags that count beside it.
    pub(super) fn from_file(flags: &Flags, path: &Path, text: &str) -> Result<Self, ConfigError> {
        let Decoded { mut object, lenient } =
            Object::decode(text).map_err(|problems| ConfigError::Decode { path: path.to_owned(), problems })?;
        let mut notes = Vec::new();
        if !lenient.is_empty() {
            let text = format!("{} was read leniently: {}", path.display(), lenient.join(", "));
            notes.push(Note { level: Level::INFO, text });
        }
        object.set_defaults();
        let mut unused = Vec::new();
        for (setting, value) in flags.iter() {
            if setting.field.starts_with("logging.") {
                object.set(setting.field, beside(setting, value, &object));
            } else if !BESIDE_A_FILE.contains(&setting.flag) && setting.effect != Effect::Removed {
                unused.push(format!("--{}", setting.flag));
            }
        }
        if !unused.is_empty() {
            let text = format!("--config takes the place of {}", unused.join(", "));
            notes.push(Note { level: Level::INFO, text });
        }
        Self::from_object(flags, object, notes)
    }

    fn from_object(flags: &Flags, mut object: Object, mut notes: Vec<Note>) -> Result<Self, ConfigError> {
        // The defaults of the platform: the program is for Windows, wherever it is tried.
        for (field, default) in [("mode", "kernelspace"), ("winkernel.rootHnsEndpointName", "cbr0")] {
            if object.text(field).is_empty() {
                object.set(field, default.into());
            }
        }
        if let Some(name) = flags.text("hostname-override") {
            object.set("hostnameOverride", node_name(name)?.into());
        }
        let wanted = object.get("featureGates").and_then(Value::as_object);
        let wanted: BTreeMap<String, bool> = wanted
            .into_iter()
            .flatten()
            .filter_map(|(name, enabled)| Some((name.clone(), enabled.as_bool()?)))
            .collect();
        let (gates, warnings, refused) = Gates::of(&wanted);
        if !refused.is_empty() {
            return Err(ConfigError::Gates(refused));
        }
        notes.extend(warnings.into_iter().map(|text| Note { level: Level::WARN, text }));
        notes.extend(remarks(flags, &object));
        let reported_version = reported_version(flags)?;
        let action = match flags {
            _ if flags.text("write-config-to").is_some() => {
                Action::WriteConfig(flags.text("write-config-to").unwrap_or_default().into())
            }
            _ if flags.is_true("cleanup") => Action::Cleanup,
            _ if flags.is_true("init-only") => Action::InitOnly,
            _ => Action::Run,
        };
        Self::typed(flags, object, gates, reported_version, action, notes)
    }

    fn typed(
        flags: &Flags,
        object: Object,
        gates: Gates,
        reported_version: String,
        action: Action,
        notes: Vec<Note>,
    ) -> Result<Self, ConfigError> {
        let mut checker = Checker { object: &object, failures: Vec::new() };
        checker.unused();
        let burst = checker.burst();
        let (min_sync_period, sync_period, config_sync_period) = checker.periods();
        let bind_address = checker.bind_address();
        let has_healthz = !object.text("healthzBindAddress").is_empty();
        let healthz_address = has_healthz.then(|| checker.listen("HealthzBindAddress", "healthzBindAddress")).flatten();
        let metrics_address = checker.listen("MetricsBindAddress", "metricsBindAddress");
        let show_hidden_metrics = checker.hidden_metrics();
        let detect_local_mode = checker.detect_local_mode();
        let cluster_cidrs = checker.cluster_cidrs(detect_local_mode);
        let source_vip = checker.source_vip();
        let (format, verbosity) = checker.logging(&gates);
        let failures = std::mem::take(&mut checker.failures);
        let (Some(metrics_address), true) = (metrics_address, failures.is_empty()) else {
            return Err(ConfigError::Invalid(failures));
        };
        let text = |field: &str| Some(object.text(field).to_owned()).filter(|text| !text.is_empty());
        let hostname_override = match text("hostnameOverride") {
            Some(name) => Some(node_name(&name)?),
            None => None,
        };
        Ok(Self {
            client: ClientConnection {
                kubeconfig: text("clientConnection.kubeconfig").map(PathBuf::from),
                master: flags.text("master").map(str::to_owned),
                qps: object.get("clientConnection.qps").and_then(Value::as_f64).unwrap_or_default() as f32,
                burst,
                content_type: object.text("clientConnection.contentType").to_owned(),
                accept_content_types: text("clientConnection.acceptContentTypes"),
            },
            logging: Logging { format, verbosity },
            hostname_override,
            bind_address,
            healthz_address,
            metrics_address,
            bind_address_hard_fail: object.flag("bindAddressHardFail"),
            profiling: object.flag("enableProfiling"),
            show_hidden_metrics,
            min_sync_period,
            sync_period,
            config_sync_period,
            winkernel: Winkernel {
                network_name: text("winkernel.networkName"),
                source_vip,
                enable_dsr: object.flag("winkernel.enableDSR"),
                root_endpoint_name: object.text("winkernel.rootHnsEndpointName").to_owned(),
                forward_health_check_vip: object.flag("winkernel.forwardHealthCheckVip"),
            },
            detect_local_mode,
            cluster_cidrs,
            node_port_addresses: object.list("nodePortAddresses"),
            gates,
            reported_version,
            action,
            notes,
            object,
            beside: flags
                .iter()
                .filter(|(setting, _)| setting.field.is_empty())
                .map(|(setting, value)| (setting.flag, super::text(value)))
                .collect(),
        })
    }
}

/// What a flag of the log makes of a file's value: it counts, but for patterns, which come before the file's.
fn beside(setting: &Setting, value: &Value, object: &Object) -> Value {
    match (setting.kind, value, object.get(setting.field)) {
        (Kind::Vmodule, Value::Array(first), Some(Value::Array(then))) => {
            first.iter().chain(then.iter()).cloned().collect()
        }
        _ => value.clone(),
    }
}

/// The name of a node as Kubernetes has it.
fn node_name(text: &str) -> Result<String, ConfigError> {
    let name = text.trim().to_lowercase();
    if name.is_empty() { Err(ConfigError::NodeName) } else { Ok(name) }
}

/// A version that may be reported instead of ours: the same but for what follows the numbers.
fn reported_version(flags: &Flags) -> Result<String, ConfigError> {
    match flags.text("version").filter(|text| text.starts_with('v')) {
        None => Ok(KUBERNETES_VERSION.to_owned()),
        Some(version) if version.split(['-', '+']).next() == Some(KUBERNETES_VERSION) => Ok(version.to_owned()),
        Some(version) => Err(ConfigError::Version(version.to_owned())),
    }
}

/// What is said of settings that do nothing, and at higher verbosity of each flag.
fn remarks(flags: &Flags, object: &Object) -> Vec<Note> {
    let mut notes = Vec::new();
    for (setting, value) in flags.iter() {
        if setting.effect == Effect::Removed {
            let text = format!("--{} was removed from kube-proxy, and has no effect: {}", setting.flag, setting.help);
            notes.push(Note { level: Level::WARN, text });
        }
        notes.push(Note { level: Level::DEBUG, text: format!("FLAG: --{}={value}", setting.flag) });
    }
    for setting in super::table::SETTINGS {
        let place = match setting.effect {
            Effect::None => "on Windows",
            Effect::NotHere => "in hnsproxy",
            Effect::Works | Effect::Removed => continue,
        };
        let differs =
            !setting.field.is_empty() && object.get(setting.field) != setting.kind.default(setting.default).as_ref();
        if differs || flags.get(setting.flag).is_some() {
            let name = match (setting.field, setting.flag) {
                ("", flag) => format!("--{flag}"),
                (field, "") => field.to_owned(),
                (field, flag) => format!("{field} (--{flag})"),
            };
            let text = format!("{name} has no effect {place}: {}", setting.help);
            notes.push(Note { level: Level::DEBUG, text });
        }
    }
    notes
}
