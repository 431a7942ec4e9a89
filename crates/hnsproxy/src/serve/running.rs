//! The process that answers, for pages that clients poll.

use jiff::Timestamp;
use serde::Serialize;

/// The process that answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(super) struct RunningPage {
    /// Another value shows that the process has restarted.
    pub(super) started: Timestamp,
}
