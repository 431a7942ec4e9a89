//! Changes that belong together, on their way to the consumer.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::change::Change;
use crate::kubernetes::Problem;

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

/// The files as they were last read.
#[derive(Debug)]
pub(crate) struct Snapshot {
    /// The whole cluster.
    pub(crate) cluster: Vec<Change>,
    pub(crate) problems: Vec<Problem>,
    /// Which files cannot be read.
    pub(crate) outage: Option<String>,
}

/// The last snapshot until the consumer takes it. A consumer that is busy for long finds one cluster, however often the files changed.
#[derive(Debug, Clone, Default)]
pub struct PendingBatch(Arc<Mutex<Slot>>);

#[derive(Debug, Default)]
struct Slot {
    snapshot: Option<Snapshot>,
    /// The problems and the outage that the consumer knows.
    problems: Vec<Problem>,
    outage: Option<String>,
}

impl PendingBatch {
    /// Stores a snapshot, and replaces one that was not taken yet. Returns whether there was none, so that the consumer has to be notified.
    pub(crate) fn put(&self, snapshot: Snapshot) -> bool {
        self.slot().snapshot.replace(snapshot).is_none()
    }

    /// The whole cluster, and its problems and the outage if they differ from those that were taken before.
    pub(crate) fn take(&self) -> Vec<Change> {
        let mut slot = self.slot();
        let Some(Snapshot { cluster, problems, outage }) = slot.snapshot.take() else { return Vec::new() };
        let mut changes = Vec::new();
        if outage != slot.outage {
            slot.outage.clone_from(&outage);
            changes.push(Change::Outage(outage));
        }
        changes.extend(cluster);
        if problems != slot.problems {
            slot.problems.clone_from(&problems);
            changes.push(Change::Problems(problems));
        }
        changes
    }

    /// The pending cluster, without taking it.
    #[cfg(test)]
    pub(crate) fn cluster(&self) -> Vec<Change> {
        self.slot().snapshot.iter().flat_map(|snapshot| snapshot.cluster.clone()).collect()
    }

    fn slot(&self) -> MutexGuard<'_, Slot> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
