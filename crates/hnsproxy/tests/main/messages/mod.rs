//! Tests of messages: logs, errors, pages and tables. Only these tests compare wording.

mod api_server;
mod command_line;
mod configuration;
mod hns;
mod input;
mod packets;
mod tables;

use crate::support::program::Ended;

/// The log of a program that has ended.
trait Logged: Sized {
    /// Ends the test unless the log has a text.
    #[track_caller]
    fn logs(self, text: &str) -> Self;
}

impl Logged for Ended {
    #[track_caller]
    fn logs(self, text: &str) -> Self {
        assert!(self.stderr.contains(text), "{text:?} is not in\n{}", self.stderr);
        self
    }
}

/// Ends the test unless one line of a log has a text.
#[track_caller]
fn assert_logged(log: &[String], text: &str) {
    assert!(log.iter().any(|line| line.contains(text)), "{text:?} is not in\n{}", log.join("\n"));
}

/// Lines of warnings and errors.
fn warnings(log: &[String]) -> Vec<&String> {
    log.iter().filter(|line| line.starts_with(['W', 'E'])).collect()
}
