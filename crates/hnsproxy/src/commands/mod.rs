//! The commands, each a function from its arguments to an exit code.

mod configure;
mod emulator;
mod plan;
mod run;
mod state;

use std::path::PathBuf;
use std::process::ExitCode;

use tracing_subscriber::filter::LevelFilter;

use crate::cli::{Cli, Command, LogArgs, LogFormat, SettingsError};
use crate::config::ConfigError;
use crate::hns::HnsError;
use crate::kubernetes::summary;
use crate::source::Catalog;
use crate::source::files::FileError;
use crate::sync::chain;

/// Nothing to do, or done.
pub const CONVERGED: u8 = 0;
/// Anything went wrong, a mistake on the command line included.
pub const FAILED: u8 = 1;
/// `plan` found something to do.
pub const DIFFERS: u8 = 2;

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// The configuration can't be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The configuration could not be written.
    #[error("the configuration can't be written to {}", path.display())]
    WriteConfig {
        /// The file.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: std::io::Error,
    },
    /// What this build can't do.
    #[error("--cleanup is not implemented in this build")]
    Cleanup,
    /// What only Linux has.
    #[error("--init-only is implemented only on Linux")]
    InitOnly,
    /// There is no source of the cluster.
    #[error("--from FILE|DIR is missing: this build can't ask an API server for Services yet")]
    NoSource,
    /// The cluster could not be read.
    #[error(transparent)]
    Source(#[from] FileError),
    /// Changes of files can't be followed.
    #[error("changes of the files can't be followed")]
    Watch(#[from] notify::Error),
    /// HNS could not be opened.
    #[error(transparent)]
    Hns(#[from] HnsError),
    /// The settings make no sense.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// HNS could not be looked at.
    #[error(transparent)]
    Observe(#[from] proxy::ObserveError),
    /// HNS could not be read for the output.
    #[error("what HNS holds could not be read")]
    Read(#[from] hcn::Error),
    /// HNS could not be brought in step.
    #[error("HNS does not hold all that it should: {0}")]
    NotConverged(String),
    /// The output could not be written.
    #[error("the result can't be written")]
    Output(#[from] std::io::Error),
    /// An address can't be taken.
    #[error("{address} can't be taken to listen at; is another program there?")]
    Listen {
        /// The address.
        address: String,
        /// What the system says.
        #[source]
        source: std::io::Error,
    },
    /// Signals can't be caught.
    #[error("the signal to end can't be caught")]
    Signal(#[from] ctrlc::Error),
}

/// Carries out a command, and says what went wrong.
pub fn main(cli: &Cli) -> ExitCode {
    let result = match &cli.command {
        Command::Run(args) => configure::with(&args.proxy, |config| run::main(args, config)),
        Command::Plan(args) => configure::with(&args.proxy, |config| plan::main(args, config)),
        Command::State(args) => {
            start_log(args.log);
            state::main(args)
        }
        Command::Emulator(args) => {
            start_log(args.log);
            emulator::main(args)
        }
    };
    ExitCode::from(result.unwrap_or_else(|error| {
        tracing::error!("{}", chain(&error));
        FAILED
    }))
}

/// Verbosity as in Kubernetes: 2 is what operators run with to see changes, 5 is for developers.
fn start_log(args: LogArgs) {
    let level = match args.verbosity {
        0..=1 => LevelFilter::INFO,
        2..=4 => LevelFilter::DEBUG,
        _ => LevelFilter::TRACE,
    };
    let log = tracing_subscriber::fmt().with_max_level(level).with_writer(std::io::stderr).with_target(false);
    // A second start in one process keeps the first log.
    let _ = match args.logging_format {
        LogFormat::Text => log.with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr())).try_init(),
        LogFormat::Json => log.json().flatten_event(true).try_init(),
    };
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
