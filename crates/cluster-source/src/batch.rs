//! Changes that belong together, on their way to the consumer.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use proxy::model::{Service, ServiceName, Slice, SliceName};

use crate::change::Change;
use crate::kubernetes::Problem;

/// Changes that belong together: none is applied without the others.
#[derive(Debug)]
pub enum Batch {
    Changes(Vec<Change>),
    /// The pending changes of files.
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

/// The result of a read of the files.
#[derive(Debug)]
pub(crate) struct Reload {
    /// Changes of objects since the previous read; the whole cluster at the first one.
    pub(crate) changes: Vec<Change>,
    /// All problems of all files.
    pub(crate) problems: Vec<Problem>,
    /// Which files cannot be read.
    pub(crate) outage: Option<String>,
}

/// The changes of files that the consumer has not taken, coalesced: of each object, only the last change is pending, however often the files
/// changed.
#[derive(Debug, Clone, Default)]
pub struct PendingBatch(Arc<Mutex<Slot>>);

#[derive(Debug, Default)]
struct Slot {
    pending: Option<Reload>,
    /// The problems and the outage that the consumer knows.
    problems: Vec<Problem>,
    outage: Option<String>,
}

impl PendingBatch {
    /// Adds what a read has found. Returns whether the consumer has to be notified: nothing was pending, and now there is.
    pub(crate) fn put(&self, mut reload: Reload) -> bool {
        let mut slot = self.slot();
        let Some(pending) = slot.pending.take() else {
            let is_news =
                !reload.changes.is_empty() || reload.problems != slot.problems || reload.outage != slot.outage;
            slot.pending = is_news.then_some(reload);
            return is_news;
        };
        let replaced: HashSet<_> = reload.changes.iter().filter_map(ObjectKey::of).collect();
        let is_latest = |change: &Change| !ObjectKey::of(change).is_some_and(|key| replaced.contains(&key));
        let mut changes: Vec<_> = pending.changes.into_iter().filter(is_latest).collect();
        drop(replaced);
        changes.append(&mut reload.changes);
        slot.pending = Some(Reload { changes, ..reload });
        false
    }

    /// The changes of objects, and the problems and the outage if they differ from those that were taken before.
    pub(crate) fn take(&self) -> Vec<Change> {
        let mut slot = self.slot();
        let Some(Reload { changes: objects, problems, outage }) = slot.pending.take() else { return Vec::new() };
        let mut changes = Vec::new();
        if outage != slot.outage {
            slot.outage.clone_from(&outage);
            changes.push(Change::Outage(outage));
        }
        changes.extend(objects);
        if problems != slot.problems {
            slot.problems.clone_from(&problems);
            changes.push(Change::Problems(problems));
        }
        changes
    }

    /// The pending changes of objects, without taking them.
    #[cfg(test)]
    pub(crate) fn pending(&self) -> Vec<Change> {
        self.slot().pending.iter().flat_map(|reload| reload.changes.clone()).collect()
    }

    fn slot(&self) -> MutexGuard<'_, Slot> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The object that a change is about. A later change of it replaces an earlier one.
#[derive(PartialEq, Eq, Hash)]
enum ObjectKey<'a> {
    Node,
    Service(&'a ServiceName),
    Slice(&'a SliceName),
}

impl<'a> ObjectKey<'a> {
    /// None for a change of all objects of a kind, which stays before the others.
    fn of(change: &'a Change) -> Option<Self> {
        match change {
            Change::Node(_) => Some(Self::Node),
            Change::ApplyService(Service { name, .. }) | Change::DeleteService(name) => Some(Self::Service(name)),
            Change::ApplySlice(Slice { name, .. }) | Change::DeleteSlice(name) => Some(Self::Slice(name)),
            Change::ResetServices(_) | Change::ResetSlices(_) | Change::Problems(_) | Change::Outage(_) => None,
        }
    }
}
