//! The log: started once, and more or less of it while the program runs.

use std::fs::OpenOptions;
use std::path::PathBuf;
use std::sync::{Mutex, OnceLock};

use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt::writer::BoxMakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, fmt, reload};

use crate::cli::{LogArgs, LogFormat};

/// Sets how much is logged from now on.
type Reload = Box<dyn Fn(Targets) + Send + Sync>;

/// How the log that was started is set.
static RELOAD: OnceLock<Reload> = OnceLock::new();

/// The log can't be written.
#[derive(Debug, thiserror::Error)]
#[error("the log can't be written to {}", path.display())]
pub struct LogFileError {
    /// The file.
    pub path: PathBuf,
    /// What the system says.
    #[source]
    pub source: std::io::Error,
}

/// Starts the log. A second start in one process keeps the first log.
///
/// # Errors
/// Where its file can't be written: then it goes to standard error.
pub fn start(args: &LogArgs) -> Result<(), LogFileError> {
    let file = args.log_file.as_ref().map(|path| {
        let file = OpenOptions::new().append(true).create(true).open(path);
        file.map_err(|source| LogFileError { path: path.clone(), source })
    });
    let (file, failure) = match file {
        Some(Err(error)) => (None, Some(error)),
        Some(Ok(file)) => (Some(file), None),
        None => (None, None),
    };
    let ansi = file.is_none() && std::io::IsTerminal::is_terminal(&std::io::stderr());
    let writer = match file {
        Some(file) => BoxMakeWriter::new(Mutex::new(file)),
        None => BoxMakeWriter::new(std::io::stderr),
    };
    let lines = fmt::layer().with_writer(writer).with_target(false);
    let lines = match args.logging_format {
        LogFormat::Text => lines.with_ansi(ansi).boxed(),
        LogFormat::Json => lines.json().flatten_event(true).boxed(),
    };
    let (filter, handle) = reload::Layer::new(filter(args.verbosity));
    if tracing_subscriber::registry().with(lines).with(filter).try_init().is_ok() {
        // Nothing was set before: this log is the first.
        let _ = RELOAD.set(Box::new(move |filter| drop(handle.reload(filter))));
    }
    failure.map_or(Ok(()), Err)
}

/// Logs more, or less, from now on.
pub fn set_verbosity(verbosity: u32) {
    if let Some(reload) = RELOAD.get() {
        reload(filter(verbosity));
    }
}

/// Verbosity as in Kubernetes: 2 is what operators run with to see changes, 5 is for developers.
fn filter(verbosity: u32) -> Targets {
    let level = match verbosity {
        0..=1 => LevelFilter::INFO,
        2..=4 => LevelFilter::DEBUG,
        _ => LevelFilter::TRACE,
    };
    // What libraries log of each request is said here, once, by whoever makes it.
    let ours = ["hnsproxy", "cluster_source", "proxy", "hcn", "hcn_emulator"].map(|target| (target, level));
    Targets::new().with_targets(ours).with_default(if verbosity < 6 { LevelFilter::OFF } else { LevelFilter::DEBUG })
}
