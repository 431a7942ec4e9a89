//! Merges flags and the configuration file into one [`Config`], with kube-proxy's precedence.
//!
//! With `--config`, the file replaces all fields to which flags are bound, except the name of the node and the log settings.
//! Without it, flags override the defaults. A flag can set a zero value; in a file, a zero value means the default.

use std::path::{Path, PathBuf};

use cluster_source::read_text;
use serde_json::Value;
use tracing::Level;

use super::flags::Flags;
use super::gates::Gates;
use super::key::{Field, VersionRequest, field, flag};
use super::kind::Kind;
use super::object::{Decoded, HEALTHZ_PORT, METRICS_PORT, Object};
use super::source_vip;
use super::table::{Effect, Setting};
use super::validate::{Checker, LINUX_MODES};
use super::{Action, ClientConnection, Config, ConfigError, KUBERNETES_VERSION, Note, Winkernel};

/// The flags that `--config` does not override, beside those of the log.
const BESIDE_A_FILE: [&str; 8] = [
    flag::CONFIG.name(),
    flag::MASTER.name(),
    flag::HOSTNAME_OVERRIDE.name(),
    flag::WRITE_CONFIG_TO.name(),
    flag::CLEANUP.name(),
    flag::INIT_ONLY.name(),
    flag::WINDOWS_SERVICE.name(),
    flag::VERSION.name(),
];

impl Config {
    /// Builds the configuration from the flags, and from the file that `--config` names.
    ///
    /// # Errors
    /// If the file cannot be read, or the file or the flags are invalid.
    pub fn resolve(flags: &Flags) -> Result<Self, ConfigError> {
        let Some(path) = flags.text(flag::CONFIG).map(PathBuf::from) else { return Self::from_flags(flags) };
        match read_text(&path) {
            Ok(text) => Self::from_file(flags, &path, &text),
            Err(source) => Err(ConfigError::Unreadable { path, source }),
        }
    }

    /// Builds the configuration from flags alone.
    pub(super) fn from_flags(flags: &Flags) -> Result<Self, ConfigError> {
        let mut object = Object::default();
        object.set_defaults();
        for (setting, value) in flags.iter().filter(|(setting, _)| !setting.field.is_empty()) {
            // kube-proxy's address flags ignore an empty text, and keep the default.
            let is_ignored = matches!(setting.kind, Kind::Ip | Kind::IpPort) && value == "";
            if !is_ignored {
                object.set_value(setting, value.clone());
            }
        }
        let healthz = flags.get(flag::HEALTHZ_PORT).unwrap_or(HEALTHZ_PORT);
        let metrics = flags.get(flag::METRICS_PORT).unwrap_or(METRICS_PORT);
        let or = |port, default| if port == 0 { default } else { port };
        object.append_ports(or(healthz, HEALTHZ_PORT), or(metrics, METRICS_PORT));
        // Port 0 disables the server. kube-proxy ignores the port flags when it writes the configuration.
        if flags.text(flag::WRITE_CONFIG_TO).is_none() {
            for (port, field) in [(healthz, field::HEALTHZ_BIND_ADDRESS), (metrics, field::METRICS_BIND_ADDRESS)] {
                if port == 0 {
                    object.set(field, "");
                }
            }
        }
        Self::from_object(flags, object, Vec::new())
    }

    /// Builds the configuration from the text of a file and the flags that count beside it.
    pub(super) fn from_file(flags: &Flags, path: &Path, text: &str) -> Result<Self, ConfigError> {
        let Decoded { mut object, lenient } =
            Object::decode(text).map_err(|problems| ConfigError::Decode { path: path.to_owned(), problems })?;
        let mut notes = Vec::new();
        if !lenient.is_empty() {
            let text = format!("configuration file {} decoded leniently: {}", path.display(), lenient.join(", "));
            notes.push(Note { level: Level::INFO, text });
        }
        object.set_defaults();
        let mut overridden = Vec::new();
        for (setting, value) in flags.iter() {
            if setting.field.starts_with("logging.") {
                let value = log_value(setting, value, &object);
                object.set_value(setting, value);
            } else if !BESIDE_A_FILE.contains(&setting.flag) && setting.effect != Effect::Removed {
                overridden.push(format!("--{}", setting.flag));
            }
        }
        if !overridden.is_empty() {
            let text = format!("--config overrides {}", overridden.join(", "));
            notes.push(Note { level: Level::WARN, text });
        }
        Self::from_object(flags, object, notes)
    }

    fn from_object(flags: &Flags, mut object: Object, mut notes: Vec<Note>) -> Result<Self, ConfigError> {
        // kube-proxy's defaults on Windows. They apply on other systems too, where hnsproxy runs against an emulated host.
        for (field, default) in [(field::MODE, "kernelspace"), (field::ROOT_HNS_ENDPOINT_NAME, "cbr0")] {
            if object.get(field).is_empty() {
                object.set(field, default);
            }
        }
        if let Some(name) = flags.text(flag::HOSTNAME_OVERRIDE) {
            object.set(field::HOSTNAME_OVERRIDE, node_name(name)?);
        }
        let (gates, warnings) = Gates::resolve(&object.get(field::FEATURE_GATES));
        notes.extend(warnings.into_iter().map(|text| Note { level: Level::WARN, text }));
        // Installers share the file with the nodes of Linux. It stays as it is in /configz, as it does with kube-proxy.
        let mode = object.get(field::MODE);
        if LINUX_MODES.contains(&mode) {
            let text = format!("mode {mode} is for Linux: using kernelspace");
            notes.push(Note { level: Level::WARN, text });
        }
        if let Some(name) = source_vip::variable(object.get(field::SOURCE_VIP).trim()) {
            let text = format!("{} in the source VIP was not expanded", object.get(field::SOURCE_VIP));
            let value = std::env::var(name).ok().filter(|value| !value.trim().is_empty());
            let used = value.as_deref().unwrap_or(source_vip::AUTO);
            notes.push(Note { level: Level::WARN, text: format!("{text}: using {used}") });
            object.set(field::SOURCE_VIP, used.to_owned());
        }
        notes.extend(setting_notes(flags, &object));
        let reported_version = reported_version(flags)?;
        let action = match flags.text(flag::WRITE_CONFIG_TO) {
            Some(path) => Action::WriteConfig(path.into()),
            None if flags.is_true(flag::CLEANUP) => Action::Cleanup,
            None if flags.is_true(flag::INIT_ONLY) => Action::InitOnly,
            None => Action::Run,
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
        checker.unused_fields();
        let burst = checker.burst();
        let sync_period = checker.sync_period();
        let bind_address = checker.bind_address();
        let has_healthz = !object.get(field::HEALTHZ_BIND_ADDRESS).is_empty();
        let healthz_address =
            has_healthz.then(|| checker.listen_address("HealthzBindAddress", field::HEALTHZ_BIND_ADDRESS)).flatten();
        let metrics_address = checker.listen_address("MetricsBindAddress", field::METRICS_BIND_ADDRESS);
        checker.hidden_metrics();
        let detect_local_mode = checker.detect_local_mode();
        checker.cluster_cidrs(detect_local_mode);
        let source_vip = checker.source_vip();
        let logging = checker.logging(&gates);
        let failures = std::mem::take(&mut checker.failures);
        let (Some(metrics_address), true) = (metrics_address, failures.is_empty()) else {
            return Err(ConfigError::Invalid(failures));
        };
        let text = |field: Field<str>| Some(object.get(field).to_owned()).filter(|text| !text.is_empty());
        let hostname_override = text(field::HOSTNAME_OVERRIDE).map(|name| node_name(&name)).transpose()?;
        Ok(Self {
            client: ClientConnection {
                kubeconfig: text(field::KUBECONFIG).map(PathBuf::from),
                master: flags.text(flag::MASTER).map(str::to_owned),
                qps: object.get(field::QPS),
                burst,
            },
            logging,
            hostname_override,
            bind_address,
            healthz_address,
            metrics_address,
            bind_address_hard_fail: object.get(field::BIND_ADDRESS_HARD_FAIL),
            profiling: object.get(field::ENABLE_PROFILING),
            sync_period,
            winkernel: Winkernel {
                network_name: text(field::NETWORK_NAME),
                source_vip,
                enable_dsr: object.get(field::ENABLE_DSR),
                root_endpoint_name: object.get(field::ROOT_HNS_ENDPOINT_NAME).to_owned(),
                forward_health_check_vip: object.get(field::FORWARD_HEALTH_CHECK_VIP),
            },
            detect_local_mode,
            gates,
            reported_version,
            action,
            notes,
            object,
            flags_without_field: flags
                .iter()
                .filter(|(setting, _)| setting.field.is_empty())
                .map(|(setting, value)| (setting.flag, super::text(value)))
                .collect(),
        })
    }
}

/// The value of a log field when both a flag and a file may set it: the flag counts, but `--vmodule` patterns come before the file's.
fn log_value(setting: &Setting, flag: &Value, object: &Object) -> Value {
    match (setting.kind, flag, object.value(setting)) {
        (Kind::Vmodule, Value::Array(first), Some(Value::Array(then))) => {
            first.iter().chain(then.iter()).cloned().collect()
        }
        _ => flag.clone(),
    }
}

/// The name of a node in the form that the API server stores.
fn node_name(text: &str) -> Result<String, ConfigError> {
    let name = text.trim().to_lowercase();
    if name.is_empty() { Err(ConfigError::NodeName) } else { Ok(name) }
}

/// The version to report as kube-proxy's. `--version=vX.Y.Z` may only append to the numbers, as in component-base.
fn reported_version(flags: &Flags) -> Result<String, ConfigError> {
    let Some(VersionRequest::Report(version)) = flags.get(flag::VERSION) else {
        return Ok(KUBERNETES_VERSION.to_owned());
    };
    if version.split(['-', '+']).next() == Some(KUBERNETES_VERSION) {
        Ok(version.to_owned())
    } else {
        Err(ConfigError::Version(version.to_owned()))
    }
}

/// Notes on settings without effect, and on each given flag.
fn setting_notes(flags: &Flags, object: &Object) -> Vec<Note> {
    let mut notes = Vec::new();
    for (setting, value) in flags.iter() {
        if setting.effect == Effect::Removed {
            let text = format!("--{} has no effect since kube-proxy removed it: {}", setting.flag, setting.help);
            notes.push(Note { level: Level::WARN, text });
        }
        notes.push(Note {
            level: Level::DEBUG,
            text: format!("FLAG: --{}={}", setting.flag, super::shown(setting.flag, value.to_string())),
        });
    }
    for setting in super::table::SETTINGS {
        let place = match setting.effect {
            Effect::None => "on Windows",
            Effect::NotHere => "in hnsproxy",
            Effect::Works | Effect::Removed => continue,
        };
        let differs =
            !setting.field.is_empty() && object.value(setting) != setting.kind.default(setting.default).as_ref();
        if differs || flags.has(setting) {
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
