//! The commands, each a function from its arguments to an exit code.

mod emulator;
mod explain;
mod plan;
mod run;
mod state;

use std::process::ExitCode;

use tracing_subscriber::filter::LevelFilter;

use crate::cli::{Cli, Command, Explain, LogArgs, LogFormat, SettingsError};
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
    /// There is no such Service.
    #[error("there is no Service {service}{}", .why.as_ref().map(|why| format!(" to serve: {why}")).unwrap_or_default())]
    NoService {
        /// The name asked for.
        service: proxy::model::ServiceName,
        /// Why there is none, where it is known.
        why: Option<String>,
    },
    /// A running hnsproxy could not be asked.
    #[error(
        "the hnsproxy at {address} can't be asked; --debug-address says where it listens, --from reads files instead"
    )]
    Ask {
        /// Where.
        address: std::net::SocketAddr,
        /// Why not.
        #[source]
        source: crate::ask::AskError,
    },
    /// Signals can't be caught.
    #[error("the signal to end can't be caught")]
    Signal(#[from] ctrlc::Error),
}

/// Carries out a command, and says what went wrong.
pub fn main(cli: &Cli) -> ExitCode {
    let log = match &cli.command {
        Command::Run(args) => args.log,
        Command::Plan(args) => args.log,
        Command::State(args) => args.log,
        Command::Explain(Explain::Svc(args)) => args.log,
        Command::Emulator(args) => args.log,
    };
    start_log(log);
    let result = match &cli.command {
        Command::Run(args) => run::main(args),
        Command::Plan(args) => plan::main(args),
        Command::State(args) => state::main(args),
        Command::Explain(Explain::Svc(args)) => explain::service(args),
        Command::Emulator(args) => emulator::main(args),
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
