//! The log: started once in a process; its verbosity can change while the process runs.

mod file;
mod klog;
mod lines;
mod live_line;
mod record;
mod repeats;
mod rotation;
mod short;

use std::io::{self, IsTerminal, Stderr, Write};
use std::sync::{Mutex, OnceLock};

use tracing::{Level, debug, info, warn};
use tracing_appender::non_blocking::{ErrorCounter, NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt::writer::BoxMakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, fmt, reload};

use crate::cli::{LogArgs, LogFormat, LogStyle};
use crate::config::Note;
use crate::mutex::lock;
use file::LogFile;
pub use file::LogFileStatus;
use lines::Lines;
use live_line::LiveLine;

type Reload = Box<dyn Fn(Targets) + Send + Sync>;

/// Changes the filter of the log that was started.
static RELOAD: OnceLock<Reload> = OnceLock::new();

/// The log file, if there is one.
static FILE: OnceLock<LogFile> = OnceLock::new();

/// Counts the lines that were dropped because the queue of the log file was full.
static QUEUE: OnceLock<ErrorCounter> = OnceLock::new();

/// Ends the thread of the log file.
static THREAD: Mutex<Option<WorkerGuard>> = Mutex::new(None);

/// The number of lines that wait while the log file hangs. Further ones are lost.
const MAX_QUEUED_LINES: usize = 10_000;

/// The terminal that the log is written to, if it is text for one.
static TERMINAL: OnceLock<Mutex<LiveLine<Stderr>>> = OnceLock::new();

/// Standard error. On a terminal, lines are written above the live line.
struct StandardError;

/// The log writes each line with one call.
impl Write for StandardError {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        match TERMINAL.get() {
            Some(terminal) => lock(terminal).write_above(line)?,
            None => io::stderr().write_all(line)?,
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

/// Starts the log. A second start in one process keeps the first log.
pub fn start(args: &LogArgs) {
    if RELOAD.get().is_some() {
        return;
    }
    let file = args.output.file().map(LogFile::new);
    let ansi = file.is_none() && io::stderr().is_terminal();
    let writer = match file.clone() {
        // A file can hang: on a network drive, or because of a filter driver.
        Some(file) => {
            let builder = NonBlockingBuilder::default().buffered_lines_limit(MAX_QUEUED_LINES).thread_name("log-file");
            let (writer, thread) = builder.finish(file);
            QUEUE.get_or_init(|| writer.error_counter());
            *lock(&THREAD) = Some(thread);
            BoxMakeWriter::new(writer)
        }
        None => BoxMakeWriter::new(|| StandardError),
    };
    let lines = match (args.output.log_style, args.logging_format) {
        (LogStyle::Klog | LogStyle::Short, LogFormat::Json) => Lines::new(klog::json, writer).boxed(),
        (LogStyle::Klog, LogFormat::Text) => {
            Lines::new(|record, at| klog::text(record, at, std::process::id()), writer).boxed()
        }
        (LogStyle::Short, LogFormat::Text) => Lines::new(|record, _| short::text(record), writer).boxed(),
        (LogStyle::Plain, LogFormat::Text) => {
            fmt::layer().with_writer(writer).with_target(false).with_ansi(ansi).boxed()
        }
        (LogStyle::Plain, LogFormat::Json) => {
            fmt::layer().with_writer(writer).with_target(false).json().flatten_event(true).boxed()
        }
    };
    let (filter, handle) = reload::Layer::new(filter(args.verbosity));
    if tracing_subscriber::registry().with(lines).with(filter).try_init().is_ok() {
        // This log is the first of the process, so nothing was set before.
        let _ = RELOAD.set(Box::new(move |filter| drop(handle.reload(filter))));
        if ansi && args.logging_format == LogFormat::Text {
            TERMINAL.get_or_init(|| Mutex::new(LiveLine::on(io::stderr())));
        }
        file.into_iter().for_each(|file| drop(FILE.set(file)));
    }
}

/// Ends the log: waits until the lines are written, at most about a second if the log file hangs. Further lines are lost.
pub fn end() {
    let thread = lock(&THREAD).take();
    drop(thread);
}

/// Whether [`show_live`] shows anything.
pub fn has_live_line() -> bool {
    TERMINAL.get().is_some()
}

/// Shows a line of ASCII text below the log, in place of the one before; an empty text removes it.
pub fn show_live(text: &str) {
    if let Some(terminal) = TERMINAL.get() {
        // Without the terminal, nobody reads it.
        let _ = lock(terminal).show(text);
    }
}

/// None without `--log-file`.
pub fn file_status() -> Option<LogFileStatus> {
    let mut status = FILE.get()?.status();
    let dropped = QUEUE.get().map_or(0, ErrorCounter::dropped_lines);
    status.lost_lines = status.lost_lines.saturating_add(dropped as u64);
    Some(status)
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
