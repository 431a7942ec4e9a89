//! Which entries a reader requests: those since a sequence or a time, those of a Service, and how many.

use jiff::Timestamp;

use super::ring::Line;
pub use super::ring::MAX_ENTRIES as MAX_LIMIT;

/// The default number of entries of an answer.
const DEFAULT_LIMIT: usize = 500;

/// The point after which entries are requested.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Since {
    Sequence(u64),
    /// This time or later.
    Time(Timestamp),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Query {
    pub since: Option<Since>,
    /// `NAMESPACE/NAME`.
    pub service: Option<String>,
    /// At most [`MAX_LIMIT`].
    pub limit: usize,
}

impl Default for Query {
    fn default() -> Self {
        Self { since: None, service: None, limit: DEFAULT_LIMIT }
    }
}

impl Query {
    pub(super) fn has(&self, line: &Line) -> bool {
        let is_late = match self.since {
            None => true,
            Some(Since::Sequence(sequence)) => line.sequence > sequence,
            Some(Since::Time(time)) => line.time >= time,
        };
        is_late && self.service.as_deref().is_none_or(|service| line.service.as_deref() == Some(service))
    }
}
