//! `service`: installs, updates and uninstalls the Windows service, and replaces the program of kube-proxy's.

use std::ffi::OsString;

use tracing::warn;

use super::IN_SYNC;
use crate::cli::{self, InstallArgs, RunArgs, ServiceArgs, ServiceCommand, TargetArgs};
use crate::error::CommandError;
use crate::windows_service::{self, ReplaceOptions, ServiceDefinition, Target};

pub(super) fn main(args: &ServiceArgs) -> Result<u8, CommandError> {
    match &args.command {
        ServiceCommand::Install(args) => {
            let (definition, warnings) = definition(args)?;
            windows_service::install(&definition)?;
            warnings.iter().for_each(|warning| warn!("{warning}"));
        }
        ServiceCommand::Update(args) => {
            let (definition, warnings) = definition(args)?;
            windows_service::update(&definition)?;
            warnings.iter().for_each(|warning| warn!("{warning}"));
        }
        ServiceCommand::Uninstall(args) => windows_service::uninstall(&args.name)?,
        ServiceCommand::Replace(args) => windows_service::replace(&ReplaceOptions {
            target: target(&args.target),
            timeout: args.timeout,
            readyz_address: args.readyz_address,
            dry_run: args.dry_run,
        })?,
        ServiceCommand::Restore(args) => windows_service::restore(&target(args))?,
        ServiceCommand::Status(args) => windows_service::status(&target(args))?,
    }
    Ok(IN_SYNC)
}

fn target(args: &TargetArgs) -> Target {
    Target { name: args.name.clone(), program: args.program.clone() }
}

/// The flags whose values are paths.
const PATH_FLAGS: [&str; 10] = [
    "--config",
    "--from",
    "--healthz-tls-cert-file",
    "--healthz-tls-key-file",
    "--kubeconfig",
    "--log-dir",
    "--log-file",
    "--metrics-tls-cert-file",
    "--metrics-tls-key-file",
    "--save-hns",
];

/// Also parses the command line of the service, so that a mistake is reported now and not when the system starts. The strings are
/// warnings.
fn definition(args: &InstallArgs) -> Result<(ServiceDefinition, Vec<String>), CommandError> {
    let mut arguments = args.arguments.clone();
    let line = || [OsString::from("hnsproxy")].into_iter().chain(args.arguments.iter().cloned());
    let run = match cli::parse(line()).map(|cli| cli.command) {
        Ok(cli::Command::Run(run)) => run,
        Ok(_) => return Err(CommandError::ServiceArguments("not the arguments of `hnsproxy run`".into())),
        Err(error) => return Err(CommandError::ServiceArguments(error.to_string().trim_end().to_owned())),
    };
    if !run.proxy.kube_proxy.windows_service() {
        arguments.push("--windows-service".into());
    }
    let warnings = warnings(&run, &args.arguments);
    Ok((ServiceDefinition { name: args.name.clone(), display_name: args.display_name(), arguments }, warnings))
}

/// Warnings about arguments that work at a prompt, but not in a service.
fn warnings(run: &RunArgs, arguments: &[OsString]) -> Vec<String> {
    let words: Vec<String> = arguments.iter().map(|word| word.to_string_lossy().into_owned()).collect();
    let mut warnings = Vec::new();
    if run.proxy.log_output.file().is_none() {
        warnings.push("missing --log-file: a service has no standard error, so the log is lost".to_owned());
    }
    for (number, word) in words.iter().enumerate() {
        let (flag, value) = match word.split_once('=') {
            Some((flag, value)) => (flag, Some(value)),
            None => (word.as_str(), words.get(number + 1).map(String::as_str)),
        };
        if PATH_FLAGS.contains(&flag.replace('_', "-").as_str())
            && let Some(path) = value.filter(|path| windows_service::is_relative(path))
        {
            warnings.push(format!("{flag} {path}: a service starts in System32; use an absolute path"));
        }
    }
    warnings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &[&str]) -> Result<(ServiceDefinition, Vec<String>), String> {
        let all = ["hnsproxy", "service", "install"].iter().chain(line).map(OsString::from);
        match cli::parse(all).map_err(|error| error.to_string())?.command {
            cli::Command::Service(ServiceArgs { command: ServiceCommand::Install(args) }) => {
                definition(&args).map_err(|error| error.to_string())
            }
            other => Err(format!("{other:?}")),
        }
    }

    fn install(line: &[&str]) -> Result<Vec<OsString>, String> {
        parsed(line).map(|(definition, _)| definition.arguments)
    }

    #[test]
    fn each_service_has_a_display_name_of_its_own() {
        let name = |line: &[&str]| parsed(&[line, &["--", "--from=c"]].concat()).unwrap().0.display_name;
        assert_eq!(name(&[]), "Kubernetes Service proxy (hnsproxy)");
        assert_eq!(name(&["--name=second"]), "Kubernetes Service proxy (hnsproxy, second)");
        assert_eq!(name(&["--name=second", "--display-name=Proxy"]), "Proxy");
    }

    #[test]
    fn arguments_that_work_only_at_a_prompt_are_warned_of() {
        let warnings = |line: &[&str]| parsed(&[&["--"], line].concat()).unwrap().1;
        let absolute = [r"--config=C:\k\c.yaml", "--log-file", r"C:\k\log", r"--kubeconfig=\k\config"];
        assert_eq!(warnings(&absolute), Vec::<String>::new());
        assert_eq!(warnings(&[r"--from=C:\k", r"--log-dir=C:\k"]), Vec::<String>::new());
        assert_eq!(
            warnings(&["--config", "c.yaml", "--log_file=log"]),
            [
                "--config c.yaml: a service starts in System32; use an absolute path",
                // As the parser normalizes the name of the flag.
                "--log-file log: a service starts in System32; use an absolute path",
            ]
        );
        assert_eq!(
            warnings(&[r"--from=C:\k"]),
            ["missing --log-file: a service has no standard error, so the log is lost"]
        );
    }

    #[test]
    fn the_arguments_of_a_service_are_those_of_run_with_windows_service() {
        let strings = |words: &[&str]| words.iter().map(OsString::from).collect::<Vec<_>>();
        let line = install(&["--", "--from=c", "--enable_dsr=true"]).unwrap();
        assert_eq!(line, strings(&["--from=c", "--enable-dsr=true", "--windows-service"]));
        assert_eq!(install(&["--name=x", "--from=c"]).unwrap(), strings(&["--from=c", "--windows-service"]));
        let run = install(&["--", "run", "--windows-service", "--from=c"]).unwrap();
        assert_eq!(run, strings(&["run", "--windows-service", "--from=c"]));
        let error = install(&["--", "--no-such-flag"]).unwrap_err();
        assert!(error.contains("--no-such-flag"), "{error}");
        assert!(install(&["--", "state"]).unwrap_err().contains("hnsproxy run"));
    }
}
