//! The log: started once in a process; its verbosity can change while the process runs.

mod file;

use std::sync::OnceLock;

use tracing::{Level, debug, info, warn};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt::writer::BoxMakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, fmt, reload};

use crate::cli::{LogArgs, LogFormat};
use crate::config::Note;
use file::LogFile;
pub use file::LogFileStatus;

type Reload = Box<dyn Fn(Targets) + Send + Sync>;

/// Changes the filter of the log that was started.
static RELOAD: OnceLock<Reload> = OnceLock::new();

/// The log file, if there is one.
static FILE: OnceLock<LogFile> = OnceLock::new();

/// Starts the log. A second start in one process keeps the first log.
pub fn start(args: &LogArgs) {
    if RELOAD.get().is_some() {
        return;
    }
    let file = args.log_file.as_deref().map(LogFile::open);
    let ansi = file.is_none() && std::io::IsTerminal::is_terminal(&std::io::stderr());
    let writer = match file.clone() {
        Some(file) => BoxMakeWriter::new(move || file.clone()),
        None => BoxMakeWriter::new(std::io::stderr),
    };
    let lines = fmt::layer().with_writer(writer).with_target(false);
    let lines = match args.logging_format {
        LogFormat::Text => lines.with_ansi(ansi).boxed(),
        LogFormat::Json => lines.json().flatten_event(true).boxed(),
    };
    let (filter, handle) = reload::Layer::new(filter(args.verbosity));
    if tracing_subscriber::registry().with(lines).with(filter).try_init().is_ok() {
        // This log is the first of the process, so nothing was set before.
        let _ = RELOAD.set(Box::new(move |filter| drop(handle.reload(filter))));
        file.into_iter().for_each(|file| FILE.get_or_init(|| file).retry());
    }
}

/// None without `--log-file`.
pub fn file_status() -> Option<LogFileStatus> {
    FILE.get().map(LogFile::status)
}

/// Logs the notes of a configuration.
pub fn notes(notes: &[Note]) {
    for Note { level, text } in notes {
        match *level {
            Level::ERROR | Level::WARN => warn!("{text}"),
            Level::INFO => info!("{text}"),
            _ => debug!("{text}"),
        }
    }
}

/// Changes the verbosity of the running log.
pub fn set_verbosity(verbosity: u32) {
    if let Some(reload) = RELOAD.get() {
        reload(filter(verbosity));
    }
}

/// Verbosity as in Kubernetes: 2 shows each change, 5 is for developers.
fn filter(verbosity: u32) -> Targets {
    let level = match verbosity {
        0..=1 => LevelFilter::INFO,
        2..=4 => LevelFilter::DEBUG,
        _ => LevelFilter::TRACE,
    };
    // Libraries log each request; hnsproxy logs what came of it.
    let ours = ["hnsproxy", "cluster_source", "proxy", "hcn", "hcn_emulator"].map(|target| (target, level));
    Targets::new().with_targets(ours).with_default(if verbosity < 6 { LevelFilter::OFF } else { LevelFilter::DEBUG })
}
