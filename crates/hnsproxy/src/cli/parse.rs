//! Parses a command line. Two rules of kube-proxy's flag library hold: `_` is accepted for `-` in names, and booleans are written as in Go.

use std::ffi::OsString;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::parser::ValueSource;
use clap::{Arg, ArgMatches, FromArgMatches};

use super::definition::{self, definition};
use super::hints::hints;
use super::{Cli, LogNotes};
use crate::config::{is_flag_of_kube_proxy, takes_value_after_equals};

/// Parses the command line of the process.
///
/// # Errors
/// If it is invalid, or asks for `--help` or `--version`: the error prints that, too.
pub fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Cli, clap::Error> {
    parse_with(&mut definition(), arguments)
}

/// As [`parse`], with the definition of the command line, which can be used again.
///
/// # Errors
/// As [`parse`].
pub fn parse_with(
    command: &mut clap::Command,
    arguments: impl IntoIterator<Item = OsString>,
) -> Result<Cli, clap::Error> {
    let mut arguments = normalise(arguments.into_iter().collect());
    if let Some(flag) = before_separator(&mut arguments).find(|argument| *argument == "--help-all") {
        *flag = "--help".into();
        *command = definition::with_all_flags(command.clone());
    }
    let hints = hints(&arguments);
    let parsed = command.try_get_matches_from_mut(&arguments).and_then(|matches| {
        let mut cli = Cli::from_arg_matches(&matches).map_err(|error| error.format(command))?;
        if let Some(args) = cli.proxy_args_mut() {
            args.log_notes = LogNotes { flags: given_flags(command, &matches), hints: hints.clone() };
        }
        Ok(cli)
    });
    parsed.map_err(|mut error| {
        let tip = separate_value(&error, &arguments)
            .or_else(|| other_command(&error, command))
            .or_else(|| known_commands(&error, command));
        if let Some(tip) = tip.or_else(|| error.use_stderr().then(|| hints.into_iter().next()).flatten()) {
            error.insert(ContextKind::Suggested, ContextValue::StyledStrs(vec![tip.into()]));
        }
        error
    })
}

/// The flags of hnsproxy that were given, as `--name=value`.
fn given_flags(command: &clap::Command, matches: &ArgMatches) -> Vec<String> {
    if let Some((name, below)) = matches.subcommand() {
        return command.find_subcommand(name).map(|command| given_flags(command, below)).unwrap_or_default();
    }
    let is_given = |arg: &&Arg| {
        let is_ours = arg.get_long().is_some_and(|flag| !is_flag_of_kube_proxy(flag));
        is_ours && matches.value_source(arg.get_id().as_str()) == Some(ValueSource::CommandLine)
    };
    let shown = |arg: &Arg| {
        let flag = arg.get_long().unwrap_or_default();
        match matches.get_raw(arg.get_id().as_str()) {
            Some(values) if arg.get_action().takes_values() => {
                values.map(|value| format!("--{flag}={}", value.to_string_lossy())).collect()
            }
            _ => vec![format!("--{flag}=true")],
        }
    };
    command.get_arguments().filter(is_given).flat_map(shown).collect()
}

/// A tip for the value of a boolean flag of kube-proxy that follows a space: as in Go, it needs an equals sign.
fn separate_value(error: &clap::Error, arguments: &[OsString]) -> Option<String> {
    let Some(ContextValue::String(value)) = error.get(ContextKind::InvalidArg) else { return None };
    let pairs = arguments.iter().zip(arguments.iter().skip(1));
    let before = pairs.filter(|(_, after)| after.to_str() == Some(value)).find_map(|(before, _)| before.to_str());
    let flag = before?.strip_prefix("--")?;
    takes_value_after_equals(flag).then(|| format!("the value of --{flag} needs an equals sign: --{flag}={value}"))
}

/// A tip for a flag that other commands have.
fn other_command(error: &clap::Error, command: &clap::Command) -> Option<String> {
    let Some(ContextValue::String(given)) = error.get(ContextKind::InvalidArg) else { return None };
    if error.kind() != ErrorKind::UnknownArgument {
        return None;
    }
    let flag = given.split('=').next()?.strip_prefix("--")?;
    let paths = paths_with(command, flag, "hnsproxy");
    (!paths.is_empty()).then(|| format!("--{flag} is a flag of {}", paths.join(", ")))
}

/// A tip for an unknown command.
fn known_commands(error: &clap::Error, command: &clap::Command) -> Option<String> {
    if error.kind() != ErrorKind::InvalidSubcommand || error.get(ContextKind::InvalidSubcommand).is_none() {
        return None;
    }
    let visible = command.get_subcommands().filter(|command| !command.is_hide_set());
    Some(format!("the commands are {}", visible.map(clap::Command::get_name).collect::<Vec<_>>().join(", ")))
}

/// The commands that have a flag in their help.
fn paths_with(command: &clap::Command, flag: &str, path: &str) -> Vec<String> {
    let has_flag = command.get_arguments().any(|arg| arg.get_long() == Some(flag) && !arg.is_hide_set());
    let below = command.get_subcommands().filter(|command| !command.is_hide_set());
    let below = below.flat_map(|command| paths_with(command, flag, &format!("{path} {}", command.get_name())));
    has_flag.then(|| format!("`{path}`")).into_iter().chain(below.collect::<Vec<_>>()).collect()
}

/// The arguments before `--`.
fn before_separator(arguments: &mut [OsString]) -> impl Iterator<Item = &mut OsString> {
    arguments.iter_mut().take_while(|argument| *argument != "--")
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
    use std::path::PathBuf;

    use super::*;
    use crate::cli::{Command, RunArgs};
    use crate::config::Config;

    fn run(arguments: &[&str]) -> Result<RunArgs, String> {
        let all = ["hnsproxy"].iter().chain(arguments).map(OsString::from);
        match parse(all).map_err(|error| error.to_string())?.command {
            Command::Run(run) => Ok(run),
            other => Err(format!("{other:?}")),
        }
    }

    #[test]
    fn the_given_flags_of_hnsproxy_are_for_the_log() {
        let args = run(&["--from=c", "--once", "--node-ip", "10.0.0.1", "--node-ip=10.0.0.2", "-v=2", "--enable-dsr"]);
        let given = args.unwrap().proxy.log_notes.flags;
        assert_eq!(given, ["--from=c", "--node-ip=10.0.0.1", "--node-ip=10.0.0.2", "--once=true"]);
    }

    #[test]
    fn an_error_has_a_hint_on_quotes() {
        let error = run(&["--from=c", "--bind-address='10.0.0.1'"]).unwrap_err();
        assert!(error.contains("tip: the value of --bind-address begins and ends with a quote"), "{error}");
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
        for flag in ["--config ", "--enable-dsr", "-v, --v"] {
            assert!(theirs.contains(flag) && !ours.contains(flag), "{flag}");
        }
    }
}
