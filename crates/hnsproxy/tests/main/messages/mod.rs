//! Tests about messages: what the log, an error or a page says to people. They alone compare wording.

mod api_server;
mod command_line;
mod configuration;
mod hns;
mod input;
mod tables;

use crate::support::program::Ended;

/// The words of a program that has ended.
trait Says: Sized {
    /// Ends the test unless the log has a text.
    #[track_caller]
    fn logs(self, text: &str) -> Self;
}

impl Says for Ended {
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
    log.iter().filter(|line| line.contains("WARN") || line.contains("ERROR")).collect()
}
