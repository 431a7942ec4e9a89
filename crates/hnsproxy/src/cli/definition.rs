//! The definition of the command line, and which flags its help shows: `-h` the main ones, `--help` all that have an effect in the command,
//! `--help-all` also those that are only accepted.

use clap::builder::ArgPredicate;
use clap::{Arg, ArgAction, Command, CommandFactory};

use super::Cli;

/// The flag that shows all flags.
const HELP_ALL: &str = "help-all";

/// The commands that take the flags of kube-proxy, with the flags of `-h`, which fits on a screen of 25 lines.
const KUBE_PROXY_COMMANDS: [(&[&str], &[&str]); 5] = [
    (
        &["run"],
        &[
            "from",
            "hns",
            "once",
            "output",
            "log-file",
            "config",
            "kubeconfig",
            "network-name",
            "source-vip",
            "enable-dsr",
            "v",
        ],
    ),
    (
        &["plan"],
        &["from", "hns", "output", "take-over", "config", "kubeconfig", "network-name", "source-vip", "enable-dsr"],
    ),
    (&["explain", "svc"], &["debug-address", "from", "hns", "output", "config", "network-name"]),
    (&["bundle"], &["force", "debug-address", "from", "hns", "config", "kubeconfig", "network-name"]),
    (
        &["doctor"],
        &["debug-address", "from", "hns", "output", "config", "kubeconfig", "network-name", "source-vip", "enable-dsr"],
    ),
];

/// The flags of kube-proxy that have an effect only in `run`. Other commands accept them, so that a command line of kube-proxy can be tried.
const ONLY_RUN: [&str; 11] = [
    "write-config-to",
    "cleanup",
    "init-only",
    "windows-service",
    "healthz-bind-address",
    "metrics-bind-address",
    "healthz-port",
    "metrics-port",
    "bind-address-hard-fail",
    "profiling",
    "iptables-sync-period",
];

/// The commands whose log is read later, not on a terminal.
const DAEMONS: [&str; 2] = ["run", "emulator"];

/// The command line of hnsproxy.
pub fn definition() -> Command {
    let mut command = Cli::command().mut_subcommands(|command| match command.get_name() {
        name if DAEMONS.contains(&name) => command,
        _ => with_short_log(command),
    });
    for (path, main) in KUBE_PROXY_COMMANDS {
        command = change(command, path, &|command| with_levels_of_help(command, main));
    }
    command
}

/// As [`definition`], with all flags in the help.
pub(super) fn with_all_flags(command: Command) -> Command {
    command.mut_args(|arg| arg.hide(false)).mut_subcommands(with_all_flags)
}

/// Changes the command of a path.
fn change(command: Command, path: &[&str], by: &dyn Fn(Command) -> Command) -> Command {
    match path {
        [] => by(command),
        // `mut_subcommand` would move it to the end.
        [name, rest @ ..] => command.mut_subcommands(|command| match command.get_name() {
            found if found == *name => change(command, rest, by),
            _ => command,
        }),
    }
}

fn with_levels_of_help(command: Command, main: &[&str]) -> Command {
    let is_run = command.get_name() == "run";
    let help = Arg::new(HELP_ALL).long(HELP_ALL).action(ArgAction::HelpLong).hide_short_help(true);
    let help = help.help("Print help with the flags of kube-proxy that are accepted without effect");
    let is_main = |arg: &Arg| arg.get_long().is_some_and(|flag| main.contains(&flag)) || arg.is_positional();
    let has_effect = |arg: &Arg| is_run || !arg.get_long().is_some_and(|flag| ONLY_RUN.contains(&flag));
    let command = command.mut_args(|arg| {
        let hidden_short = !is_main(&arg);
        let hidden = arg.is_hide_set() || !has_effect(&arg);
        arg.hide_short_help(hidden_short).hide(hidden)
    });
    command.arg(help)
}

/// Log lines have no headers, except in a file.
fn with_short_log(command: Command) -> Command {
    let command = command.mut_args(|arg| match arg.get_id().as_str() {
        "log_style" => arg
            .default_value("short")
            .default_value_ifs(["log_file", "log_dir"].map(|file| (file, ArgPredicate::IsPresent, "klog"))),
        _ => arg,
    });
    command.mut_subcommands(with_short_log)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The commands that the help shows, with their paths.
    fn visible(command: &Command, path: &str) -> Vec<(String, Command)> {
        let below = command.get_subcommands().filter(|command| !command.is_hide_set() && command.get_name() != "help");
        let below = below.flat_map(|command| visible(command, &format!("{path} {}", command.get_name())));
        std::iter::once((path.to_owned(), command.clone())).chain(below.collect::<Vec<_>>()).collect()
    }

    fn commands() -> Vec<(String, Command)> {
        let mut command = definition().term_width(80);
        command.build();
        visible(&command, "hnsproxy")
    }

    fn command(path: &str) -> Command {
        commands().into_iter().find_map(|(of, command)| (of == path).then_some(command)).unwrap()
    }

    #[test]
    fn the_definition_of_the_command_line_is_valid() {
        definition().debug_assert();
        with_all_flags(definition()).debug_assert();
    }

    #[test]
    fn the_lists_of_flags_name_flags() {
        let has = |path: &str, flag: &str| command(path).get_arguments().any(|arg| arg.get_long() == Some(flag));
        let unknown = |path: &str, flags: &[&'static str]| -> Vec<_> {
            flags.iter().copied().filter(|flag| !has(path, flag)).collect()
        };
        for (path, main) in KUBE_PROXY_COMMANDS {
            assert_eq!(unknown(&format!("hnsproxy {}", path.join(" ")), main), [""; 0]);
        }
        assert_eq!(unknown("hnsproxy run", &ONLY_RUN), [""; 0]);
    }

    #[test]
    fn each_visible_command_and_flag_has_help() {
        let mut without = Vec::new();
        for (path, command) in commands() {
            without.extend(command.get_about().is_none().then(|| path.clone()));
            let args = command.get_arguments().filter(|arg| !arg.is_hide_set() && arg.get_help().is_none());
            without.extend(args.map(|arg| format!("{path} {}", arg.get_id())));
        }
        assert_eq!(without, Vec::<String>::new());
    }

    #[test]
    fn short_help_fits_on_a_screen_of_25_lines_of_80_columns() {
        let lines = |mut command: Command| command.render_help().to_string().lines().count();
        let long: Vec<_> = commands()
            .into_iter()
            .map(|(path, command)| (path, lines(command)))
            .filter(|(_, lines)| *lines > 25)
            .collect();
        assert_eq!(long, []);
    }

    #[test]
    fn each_visible_command_has_a_man_page() {
        let directory = tempfile::tempdir().unwrap();
        clap_mangen::generate_to(definition(), directory.path()).unwrap();
        for (path, _) in commands() {
            let page = std::fs::read_to_string(directory.path().join(path.replace(' ', "-") + ".1")).unwrap();
            assert!(page.contains(".SH SYNOPSIS"), "{path}: {page}");
        }
    }

    #[test]
    fn exit_codes_are_in_the_long_help_of_each_command_that_can_be_run() {
        let runs = commands().into_iter().filter(|(_, command)| !command.is_subcommand_required_set());
        let without: Vec<_> = runs
            .filter(|(_, command)| !command.clone().render_long_help().to_string().contains("Exit codes: 0 "))
            .map(|(path, _)| path)
            .collect();
        assert_eq!(without, Vec::<String>::new());
    }

    #[test]
    fn help_shows_flags_of_kube_proxy_only_where_they_have_an_effect() {
        let shows = |path, flag: &str| command(path).render_long_help().to_string().contains(&format!("--{flag} "));
        let all = |flag: &str| {
            let mut command = with_all_flags(definition());
            command.build();
            let run = command.find_subcommand("run").unwrap().clone();
            run.clone().render_long_help().to_string().contains(&format!("--{flag} "))
        };
        assert!(shows("hnsproxy run", "metrics-bind-address") && shows("hnsproxy plan", "network-name"));
        assert!(!shows("hnsproxy plan", "metrics-bind-address") && !shows("hnsproxy explain svc", "healthz-port"));
        for inert in ["oom-score-adj", "conntrack-min", "udp-timeout"] {
            assert!(!shows("hnsproxy run", inert) && all(inert), "{inert}");
        }
    }
}
