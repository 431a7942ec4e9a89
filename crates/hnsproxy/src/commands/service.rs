//! `service`: installs and uninstalls the Windows service.

use std::ffi::OsString;

use super::IN_SYNC;
use crate::cli::{self, InstallArgs, ServiceArgs, ServiceCommand};
use crate::error::CommandError;
use crate::windows_service::{self, ServiceDefinition};

pub(super) fn main(args: &ServiceArgs) -> Result<u8, CommandError> {
    match &args.command {
        ServiceCommand::Install(args) => windows_service::install(&definition(args)?)?,
        ServiceCommand::Uninstall(args) => windows_service::uninstall(&args.name)?,
    }
    Ok(IN_SYNC)
}

/// Parses the command line of the service, too, so that a mistake in it shows now and not at the start of the system.
fn definition(args: &InstallArgs) -> Result<ServiceDefinition, CommandError> {
    let mut arguments = args.arguments.clone();
    let line = || [OsString::from("hnsproxy")].into_iter().chain(args.arguments.iter().cloned());
    let is_service = match cli::parse(line()).map(|cli| cli.command) {
        Ok(cli::Command::Run(run)) => run.proxy.kube_proxy.windows_service(),
        Ok(_) => return Err(CommandError::ServiceArguments("not the arguments of `hnsproxy run`".into())),
        Err(error) => return Err(CommandError::ServiceArguments(error.to_string().trim_end().to_owned())),
    };
    if !is_service {
        arguments.push("--windows-service".into());
    }
    Ok(ServiceDefinition { name: args.name.clone(), display_name: args.display_name.clone(), arguments })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn install(line: &[&str]) -> Result<Vec<OsString>, String> {
        let all = ["hnsproxy", "service", "install"].iter().chain(line).map(OsString::from);
        match cli::parse(all).map_err(|error| error.to_string())?.command {
            cli::Command::Service(ServiceArgs { command: ServiceCommand::Install(args) }) => {
                definition(&args).map(|definition| definition.arguments).map_err(|error| error.to_string())
            }
            other => Err(format!("{other:?}")),
        }
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
