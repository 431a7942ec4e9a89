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

use std::path::PathBuf;
use std::process::ExitCode;

use crate::cli::{Cli, Command, Explain, LogArgs, ProxyArgs, RunArgs};
use crate::config::{Config, ConfigError};
use crate::end::End;
use crate::environment::{SettingsError, node_name};
use crate::error_chain::chain;
use crate::hns::{Hns, HnsError};
use crate::kubernetes::summary;
use crate::log;
use crate::source::Catalog;
use crate::source::cluster::{self, AccessError, NodeError, ReadError};
use crate::source::files::{FileError, Files};
use crate::windows_service::{self, ServiceError};

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
    /// What only Linux has.
    #[error("--init-only is implemented only on Linux")]
    InitOnly,
    /// The cluster could not be read from files.
    #[error(transparent)]
    Source(#[from] FileError),
    /// There is no way to an API server.
    #[error(transparent)]
    Access(#[from] AccessError),
    /// The cluster could not be read from an API server.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The own Node is not as it has to be.
    #[error(transparent)]
    Node(#[from] NodeError),
    /// The system has no thread for what goes on in the background.
    #[error("no thread can be started")]
    Background(#[source] std::io::Error),
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
    ReadHns(#[from] hcn::Error),
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
    /// An address can't be taken, and that is to end the program.
    #[error(transparent)]
    ListenHard(#[from] crate::serve::ListenError),
    /// The service control manager of Windows refused something.
    #[error(transparent)]
    Service(#[from] ServiceError),
    /// A service would not start.
    #[error("a service with these arguments would not start: {0}")]
    ServiceArguments(String),
    /// The log can't be written.
    #[error(transparent)]
    LogFile(#[from] log::LogFileError),
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

/// Runs until told to end: by signals, or by the service control manager, which is met before anything can fail.
fn run(args: &RunArgs) -> Result<u8, CommandError> {
    let configured = |end: &End| configure::with(&args.proxy, |config| run::main(args, config, end));
    if !args.proxy.kube_proxy.windows_service() {
        return configured(&End::by_signals()?);
    }
    windows_service::run(|end| {
        let result = configured(end);
        let code = *result.as_ref().unwrap_or(&FAILED);
        (result, code)
    })?
}

/// The cluster as it is now: from files, or from an API server.
fn read_cluster(args: &ProxyArgs, config: &Config, hns: &Hns, end: &End) -> Result<Catalog, CommandError> {
    Ok(match &args.source.from {
        Some(path) => Files::open(path)?.catalog(),
        None => cluster::read(config, &node_name(config, hns)?, end)?,
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
