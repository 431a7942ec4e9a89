//! The changes that are not published to the change feed yet.

use std::collections::HashSet;

use hcn::{Guid, Kind};

use super::Store;
use crate::feed::What;

/// A change whose document is read when it is published.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Noted {
    Object(Kind, Guid),
    ServiceStopped,
    ServiceStarted,
}

impl Store {
    pub(crate) fn note(&mut self, noted: Noted) {
        if self.is_followed {
            self.noted.push(noted);
        }
    }

    /// All objects, as the first changes of a subscription. A network comes before what refers to it.
    pub(crate) fn state(&self) -> impl Iterator<Item = What> {
        const KINDS: [Kind; 5] = [Kind::Network, Kind::Namespace, Kind::Endpoint, Kind::LoadBalancer, Kind::Route];
        KINDS.into_iter().flat_map(|kind| {
            let objects = self.table(kind).iter();
            objects.map(move |(id, document)| What::Stored { kind, id, document: document.clone() })
        })
    }

    /// The changes since the last call of this method. One call can change an object several times: only its last change is kept.
    pub(crate) fn take_changes(&mut self) -> Vec<What> {
        let noted = std::mem::take(&mut self.noted);
        let mut seen = HashSet::new();
        let mut changes: Vec<What> =
            noted.into_iter().rev().filter(|one| seen.insert(*one)).map(|one| self.what(one)).collect();
        changes.reverse();
        changes
    }

    fn what(&self, noted: Noted) -> What {
        match noted {
            Noted::Object(kind, id) => match self.table(kind).get(id) {
                Some(document) => What::Stored { kind, id, document: document.clone() },
                None => What::Removed { kind, id },
            },
            Noted::ServiceStopped => What::ServiceStopped,
            Noted::ServiceStarted => What::ServiceStarted,
        }
    }
}
