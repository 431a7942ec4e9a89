//! The identity of the process, for pages that clients poll.

use jiff::Timestamp;
use serde::Serialize;

/// The identity of the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(super) struct RunningPage {
    /// If the value changes, the process has restarted.
    pub(super) started: Timestamp,
}
