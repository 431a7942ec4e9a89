//! Changes that belong together, on their way to the consumer.

use crate::change::Change;
use crate::file_source::PendingBatch;

/// Changes that belong together: none is applied without the others.
#[derive(Debug)]
pub enum Batch {
    Changes(Vec<Change>),
    /// The cluster of files, as it was last read when the consumer takes it.
    Pending(PendingBatch),
}

impl Batch {
    pub fn into_changes(self) -> Vec<Change> {
        match self {
            Self::Changes(changes) => changes,
            Self::Pending(pending) => pending.take(),
        }
    }
}
