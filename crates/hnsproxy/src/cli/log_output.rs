//! The arguments of the log: its destination, its rotation and the format of its lines.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

/// The name of the file in the folder of `--log-dir`.
const FILE_IN_FOLDER: &str = "hnsproxy.log";
const DEFAULT_MAX_SIZE: u64 = 100;
const DEFAULT_MAX_BACKUPS: u32 = 5;

#[derive(Debug, Clone, Args)]
pub struct LogOutputArgs {
    /// Append the log to FILE instead of standard error.
    ///
    /// A Windows service has no standard error. While FILE cannot be written, the log goes to standard error, and FILE is retried.
    #[arg(long, value_name = "FILE", hide_short_help = true)]
    log_file: Option<PathBuf>,
    /// As --log-file=DIR/hnsproxy.log, for the command lines of older releases of kube-proxy.
    #[arg(long, value_name = "DIR", hide_short_help = true)]
    log_dir: Option<PathBuf>,
    /// Rename the log file to FILE.1 before it is larger than this number of MiB. 0: never.
    #[arg(long, value_name = "MIB", default_value_t = DEFAULT_MAX_SIZE, hide_short_help = true)]
    log_file_max_size: u64,
    /// The number of renamed log files that are kept: FILE.1 is the newest.
    #[arg(long, value_name = "N", default_value_t = DEFAULT_MAX_BACKUPS, hide_short_help = true)]
    log_file_max_backups: u32,
    /// The style of log lines.
    #[arg(long, value_name = "STYLE", default_value = "klog", hide_short_help = true)]
    pub log_style: LogStyle,
}

/// The defaults of commands that run until shutdown.
impl Default for LogOutputArgs {
    fn default() -> Self {
        Self {
            log_file: None,
            log_dir: None,
            log_file_max_size: DEFAULT_MAX_SIZE,
            log_file_max_backups: DEFAULT_MAX_BACKUPS,
            log_style: LogStyle::Klog,
        }
    }
}

/// The style of log lines, of text and of JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogStyle {
    /// The format of Kubernetes components. Repeated warnings and errors are counted.
    Klog,
    /// With the time in UTC and the name of the level, without the source file.
    Plain,
    /// Only the level, the message and its fields. With --logging-format=json, the same as klog.
    Short,
}

/// A log file, and when it is rotated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogFileSettings {
    pub path: PathBuf,
    /// In bytes; `None` for no limit.
    pub max_size: Option<u64>,
    /// How many rotated files are kept.
    pub max_backups: u32,
}

impl LogOutputArgs {
    /// The defaults of commands that end.
    pub fn short() -> Self {
        Self { log_style: LogStyle::Short, ..Self::default() }
    }

    /// The log file. `None`: the log goes to standard error.
    pub fn file(&self) -> Option<LogFileSettings> {
        let path = self.log_file.clone().or_else(|| Some(self.log_dir.as_ref()?.join(FILE_IN_FOLDER)))?;
        let max_size = (self.log_file_max_size > 0).then(|| self.log_file_max_size.saturating_mul(1 << 20));
        Some(LogFileSettings { path, max_size, max_backups: self.log_file_max_backups })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_comes_before_a_folder() {
        let folder = LogOutputArgs { log_dir: Some("logs".into()), log_file_max_size: 2, ..LogOutputArgs::default() };
        let path = PathBuf::from("logs").join("hnsproxy.log");
        let expected = LogFileSettings { path, max_size: Some(2 << 20), max_backups: 5 };
        assert_eq!(folder.file(), Some(expected.clone()));
        let both = LogOutputArgs { log_file: Some("log".into()), log_file_max_size: 0, ..folder };
        assert_eq!(both.file(), Some(LogFileSettings { path: "log".into(), max_size: None, ..expected }));
        assert_eq!(LogOutputArgs::default().file(), None);
    }
}
