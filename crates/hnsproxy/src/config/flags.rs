//! The flags of kube-proxy on a command line, made from the table. Only what was given is kept: defaults belong to the configuration.

use std::collections::BTreeMap;

use clap::builder::ValueParser;
use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches};
use serde_json::Value;

use super::table::{self, Effect, Setting};
use super::{KUBERNETES_VERSION, MINOR_VERSION};

/// The heading that help has above these flags.
pub(crate) const HEADING: &str = "Flags of kube-proxy";

/// The flags that were given.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Flags(BTreeMap<&'static str, Value>);

impl Flags {
    /// The value of a flag, if it was given.
    pub(crate) fn get(&self, flag: &str) -> Option<&Value> {
        self.0.get(flag)
    }

    /// The text of a flag, if it was given and is not empty.
    pub(crate) fn text(&self, flag: &str) -> Option<&str> {
        self.get(flag).and_then(Value::as_str).filter(|text| !text.is_empty())
    }

    /// Whether a flag was given and is true.
    pub(crate) fn is_true(&self, flag: &str) -> bool {
        self.get(flag) == Some(&Value::Bool(true))
    }

    /// Whether `--windows-service` was given.
    pub fn windows_service(&self) -> bool {
        self.is_true("windows-service")
    }

    /// What `--version` asks to print: the version of Kubernetes that installers look for first, then our own.
    pub fn version_to_print(&self) -> Option<String> {
        let own = env!("CARGO_PKG_VERSION");
        match self.get("version")? {
            Value::Bool(true) => Some(format!("Kubernetes {KUBERNETES_VERSION} (hnsproxy {own})\n")),
            Value::String(form) if form == "raw" => Some(format!(
                "version.Info{{Major:\"1\", Minor:\"{MINOR_VERSION}\", GitVersion:\"{KUBERNETES_VERSION}\", Program:\"hnsproxy\", \
                 ProgramVersion:\"{own}\", Platform:\"{}/{}\"}}\n",
                std::env::consts::OS,
                std::env::consts::ARCH
            )),
            _ => None,
        }
    }

    /// Those that were given, with their settings.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&'static Setting, &Value)> {
        self.0.iter().filter_map(|(flag, value)| Some((table::by_flag(flag)?, value)))
    }
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
    let mut arg = Arg::new(setting.flag).long(setting.flag).help_heading(HEADING).help(help).value_parser(parser);
    arg = arg.value_name(kind.value_name()).action(ArgAction::Append).hide(setting.effect == Effect::Removed);
    if setting.flag == "v" {
        arg = arg.short('v');
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

/// Two values of a repeated flag as one.
fn join(first: Value, second: Value) -> Value {
    match (first, second) {
        (Value::Array(first), Value::Array(second)) => first.into_iter().chain(second).collect(),
        (Value::Object(first), Value::Object(second)) => Value::Object(first.into_iter().chain(second).collect()),
        (_, second) => second,
    }
}
