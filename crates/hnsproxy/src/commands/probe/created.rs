//! The objects that this process has created or found, so that none of them is forgotten.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hcn::{Guid, Kind};

/// Objects by kind and id.
#[derive(Default, PartialEq, Eq)]
pub(super) struct Objects(pub(super) BTreeSet<(Kind, Guid)>);

impl Objects {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn contains(&self, object: &(Kind, Guid)) -> bool {
        self.0.contains(object)
    }
}

impl fmt::Display for Objects {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all: Vec<_> = self.0.iter().map(|(kind, id)| format!("{} {id}", kind.name())).collect();
        f.write_str(&all.join(", "))
    }
}

/// Objects of the probe. Clones share them.
#[derive(Clone, Default)]
pub(super) struct Created(Arc<Mutex<BTreeMap<(Kind, Guid), bool>>>);

impl Created {
    pub(super) fn add(&self, kind: Kind, id: Guid) {
        self.lock().insert((kind, id), false);
    }

    /// Notes that HNS has confirmed a deletion. The object may be left all the same.
    pub(super) fn deleted(&self, kind: Kind, id: Guid) {
        if let Some(is_deleted) = self.lock().get_mut(&(kind, id)) {
            *is_deleted = true;
        }
    }

    /// Those whose deletion HNS has not confirmed.
    pub(super) fn not_deleted(&self) -> Objects {
        let all = self.lock();
        Objects(all.iter().filter(|(_, is_deleted)| !**is_deleted).map(|(object, _)| *object).collect())
    }

    pub(super) fn all(&self) -> impl Iterator<Item = (Kind, Guid)> + use<> {
        let all: Vec<_> = self.lock().keys().copied().collect();
        all.into_iter()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<(Kind, Guid), bool>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
