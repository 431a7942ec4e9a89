//! The command line flags of kube-proxy, built from the table. Only given flags are kept: defaults belong to the configuration.

use std::collections::BTreeMap;

use clap::builder::ValueParser;
use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches};
use serde_json::Value;

use super::key::{Flag, Typed, VersionRequest, flag};
use super::table::{self, Effect, Setting};
use super::{KUBERNETES_VERSION, MINOR_VERSION};

/// The heading of these flags in `--help`.
const HEADING: &str = "Flags of kube-proxy";

/// The flags of the log of a command, which say nothing about the node.
const LOGGING: [&str; 3] = ["logging-format", "v", "vmodule"];

/// The given flags, by name.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Flags(BTreeMap<&'static str, Value>);

impl Flags {
    /// The value of a flag, if it was given.
    pub(crate) fn get<T: Typed + ?Sized>(&self, flag: Flag<T>) -> Option<T::Value<'_>> {
        self.0.get(flag.name()).and_then(T::read)
    }

    /// The text of a flag, if it was given and is not empty.
    pub(crate) fn text(&self, flag: Flag<str>) -> Option<&str> {
        self.get(flag).filter(|text| !text.is_empty())
    }

    /// Whether a flag was given and is true.
    pub(crate) fn is_true(&self, flag: Flag<bool>) -> bool {
        self.get(flag) == Some(true)
    }

    /// Whether the flag of a setting was given.
    pub(crate) fn has(&self, setting: &Setting) -> bool {
        self.0.contains_key(setting.flag)
    }

    /// Whether no flag was given but those of the log.
    pub fn is_empty(&self) -> bool {
        self.0.keys().all(|flag| LOGGING.contains(flag))
    }

    /// Whether `--windows-service` was given.
    pub fn windows_service(&self) -> bool {
        self.is_true(flag::WINDOWS_SERVICE)
    }

    /// The text that `--version` prints, if it was given. The Kubernetes version comes first, since installers parse it.
    pub fn version_to_print(&self) -> Option<String> {
        let own = env!("CARGO_PKG_VERSION");
        match self.get(flag::VERSION)? {
            VersionRequest::Print => Some(format!("Kubernetes {KUBERNETES_VERSION} (hnsproxy {own})\n")),
            VersionRequest::PrintRaw => Some(format!(
                "version.Info{{Major:\"1\", Minor:\"{MINOR_VERSION}\", GitVersion:\"{KUBERNETES_VERSION}\", Program:\"hnsproxy\", \
                 ProgramVersion:\"{own}\", Platform:\"{}/{}\"}}\n",
                std::env::consts::OS,
                std::env::consts::ARCH
            )),
            VersionRequest::Nothing | VersionRequest::Report(_) => None,
        }
    }

    /// The given flags with their settings, in the order of names.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&'static Setting, &Value)> {
        self.0.iter().filter_map(|(flag, value)| Some((table::by_flag(flag)?, value)))
    }
}

pub(crate) fn is_flag_of_kube_proxy(flag: &str) -> bool {
    table::by_flag(flag).is_some()
}

/// Whether the value of a flag must follow an equals sign, because the flag may be given without one.
pub(crate) fn takes_value_after_equals(flag: &str) -> bool {
    table::by_flag(flag).is_some_and(|setting| setting.kind.bare().is_some())
}

fn argument(setting: &'static Setting) -> Arg {
    let kind = setting.kind;
    let help = match setting.effect {
        Effect::Works => setting.help.to_owned(),
        Effect::None => format!("{} (no effect on Windows)", setting.help),
        Effect::NotHere => format!("{} (no effect in hnsproxy)", setting.help),
        Effect::Removed => format!("{} (no effect; removed from kube-proxy)", setting.help),
    };
    let parser = ValueParser::from(move |text: &str| kind.parse(text));
    let short = help.split(';').next().unwrap_or_default().to_owned();
    let mut arg = Arg::new(setting.flag).long(setting.flag).help_heading(HEADING).help(short).long_help(help);
    arg = arg.value_parser(parser).value_name(kind.value_name()).action(ArgAction::Append);
    // Only --help-all shows it.
    arg = arg.hide(setting.effect != Effect::Works);
    // A one-letter flag has a short form too: installers write both `-v=4` and `--v=4`.
    if setting.flag.len() == 1 {
        arg = arg.short(setting.flag.chars().next());
    }
    if !setting.default.is_empty() {
        arg = arg.default_value(setting.default);
    }
    match kind.bare() {
        Some(bare) => arg.num_args(0..=1).require_equals(true).default_missing_value(bare),
        None => arg.num_args(1).allow_hyphen_values(true),
    }
}

impl Args for Flags {
    fn augment_args(command: Command) -> Command {
        command.args(table::flags().map(argument))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for Flags {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let mut given = BTreeMap::new();
        for setting in table::flags() {
            if matches.value_source(setting.flag) != Some(ValueSource::CommandLine) {
                continue;
            }
            let mut values = matches.get_many::<Value>(setting.flag).unwrap_or_default().cloned();
            let value = if setting.kind.accumulates() { values.reduce(join) } else { values.next_back() };
            if let Some(value) = value {
                given.insert(setting.flag, value);
            }
        }
        Ok(Self(given))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

/// Joins the values of a flag that is given twice.
fn join(first: Value, second: Value) -> Value {
    match (first, second) {
        (Value::Array(first), Value::Array(second)) => first.into_iter().chain(second).collect(),
        (Value::Object(first), Value::Object(second)) => Value::Object(first.into_iter().chain(second).collect()),
        (_, second) => second,
    }
}
