//! The commands, each a function from its arguments to an exit code.

mod cleanup;
mod configure;
#[cfg(feature = "emulator")]
mod emulator;
mod explain;
mod plan;
mod run;
mod service;
mod state;

use std::process::ExitCode;

use crate::cli::{Cli, Command, Explain, LogArgs, ProxyArgs, RunArgs};
use crate::config::Config;
use crate::environment::node_name;
use crate::error::CommandError;
use crate::error_chain::chain;
use crate::hns::Hns;
use crate::kubernetes::summary;
use crate::log;
use crate::shutdown::Shutdown;
use crate::source::Catalog;
use crate::source::cluster;
use crate::source::files::Files;
use crate::windows_service;

/// Nothing to do, or done.
pub const CONVERGED: u8 = 0;
/// Anything went wrong, a mistake on the command line included.
pub const FAILED: u8 = 1;
/// `plan` found something to do.
pub const DIFFERS: u8 = 2;

/// Carries out a command, and says what went wrong.
pub fn main(cli: &Cli) -> ExitCode {
    let result = carry_out(cli);
    ExitCode::from(result.unwrap_or_else(|error| {
        // What fails before the log has begun is said all the same; where it can't be written, that is the error.
        let _ = log::start(&LogArgs::plain(cli.log_file()));
        tracing::error!("{}", chain(&error));
        FAILED
    }))
}

fn carry_out(cli: &Cli) -> Result<u8, CommandError> {
    match &cli.command {
        Command::Run(args) => run(args),
        Command::Plan(args) => configure::with(&args.proxy, |config| plan::main(args, config)),
        Command::State(args) => {
            log::start(&args.log)?;
            state::main(args)
        }
        Command::Explain(Explain::Svc(args)) => configure::with(&args.proxy, |config| explain::service(args, config)),
        #[cfg(feature = "emulator")]
        Command::Emulator(args) => {
            log::start(&args.log)?;
            emulator::main(args)
        }
        Command::Service(args) => {
            log::start(&LogArgs::plain(None))?;
            service::main(args)
        }
    }
}

/// Runs until shutdown is requested: by signals, or by the service control manager, which has to hear of the process before anything can
/// fail.
fn run(args: &RunArgs) -> Result<u8, CommandError> {
    let configured = |shutdown: &Shutdown| configure::with(&args.proxy, |config| run::main(args, config, shutdown));
    if !args.proxy.kube_proxy.windows_service() {
        return configured(&Shutdown::on_signals()?);
    }
    windows_service::run(|shutdown| {
        let result = configured(shutdown);
        let code = *result.as_ref().unwrap_or(&FAILED);
        (result, code)
    })?
}

/// The cluster as it is now: from files, or from an API server.
fn read_cluster(args: &ProxyArgs, config: &Config, hns: &Hns, shutdown: &Shutdown) -> Result<Catalog, CommandError> {
    Ok(match &args.source.from {
        Some(path) => Files::open(path)?.catalog(),
        None => cluster::read(config, &node_name(config, hns)?, shutdown)?,
    })
}

/// Says what was read and what could not be used, if it differs from what was said before.
fn report(catalog: &Catalog, said: &mut Vec<String>) {
    tracing::info!("{}", catalog.describe());
    let lines = summary(&catalog.problems);
    if lines != *said {
        lines.iter().for_each(|line| tracing::warn!("{line}"));
        if lines.is_empty() {
            tracing::info!("no problems in the input any more");
        }
        *said = lines;
    }
}
