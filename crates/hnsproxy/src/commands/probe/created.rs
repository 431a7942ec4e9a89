//! The objects that this process has created or found, so that none of them is forgotten.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hcn::{Guid, Kind};

use super::removal::Objects;

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
