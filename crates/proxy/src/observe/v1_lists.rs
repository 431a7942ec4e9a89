//! Compares HNS v1 lists with the HCN (v2) API. A list that contradicts it is not used again.
//!
//! It is not documented that the v1 lists show what was created through the HCN (v2) API. A call that succeeds can
//! therefore still be wrong. The v1 lists are used for contents only: which objects exist is decided by the
//! enumerations of the HCN (v2) API. Objects whose contents are from a list that is distrusted later are read again.

use std::collections::BTreeMap;

use hcn::client::Listed;
use hcn::schema::LoadBalancer;
use hcn::{Client, Error, Guid, Kind};
use rustc_hash::{FxHashMap, FxHashSet};

use super::read::readable_or_absent;
use super::record::record_of_v1_list;
use super::{Observed, ObservedEndpoint, ObservedLoadBalancer};
use crate::dirty::Dirty;
use crate::network::Contradiction;

/// If at most this many objects are unread, each is read on its own: two calls each, so at most 32. The v1 list is one
/// call, but HNS serializes all objects for it.
const READ_ONE_BY_ONE: usize = 16;
/// The v1 list is used only if it has at most this many documents for each unread object. With more, serializing the
/// other documents is assumed to cost HNS more than two calls for each unread object. The number is an estimate; it was
/// not measured on a real host.
const V1_DOCUMENTS_PER_UNREAD: usize = 512;

/// At most this many objects are read to prove a contradiction, two calls each. One is enough unless its document is
/// invalid, or another program deletes it at that moment.
const MAX_PROOFS: usize = 4;

/// The HNS v1 lists that have contradicted the HCN (v2) API. They stay distrusted for the rest of the process: a new
/// version of HNS comes with a reboot.
#[derive(Debug, Clone, Default)]
pub struct V1Lists {
    distrusted: BTreeMap<Kind, Contradiction>,
    /// Objects whose contents are from these lists, and that were neither read nor written since.
    taken: BTreeMap<Kind, FxHashSet<Guid>>,
}

impl V1Lists {
    pub fn trusts(&self, kind: Kind) -> bool {
        !self.distrusted.contains_key(&kind)
    }

    pub fn distrusted(&self) -> impl Iterator<Item = (Kind, Contradiction)> {
        self.distrusted.iter().map(|(kind, contradiction)| (*kind, *contradiction))
    }

    /// The first contradiction is kept.
    pub(super) fn distrust(&mut self, kind: Kind, contradiction: Contradiction) {
        self.distrusted.entry(kind).or_insert(contradiction);
    }

    /// Records that the contents of an object are from the list of its kind.
    pub(super) fn take(&mut self, kind: Kind, id: Guid) {
        self.taken.entry(kind).or_default().insert(id);
    }

    /// Records that an object was read or written after its contents were taken from a list. Returns whether it was the last
    /// unverified one of its kind.
    pub(super) fn end_take(&mut self, kind: Kind, id: Guid) -> bool {
        let ended = self.taken.get_mut(&kind).is_some_and(|taken| taken.remove(&id));
        ended && !self.trusts(kind) && self.unverified_of(kind) == 0
    }

    /// Whether the contents of an object are from a list.
    pub(super) fn is_taken(&self, kind: Kind, id: Guid) -> bool {
        self.taken.get(&kind).is_some_and(|taken| taken.contains(&id))
    }

    /// Whether the contents of an object are from a list that is distrusted.
    pub(super) fn is_unverified(&self, kind: Kind, id: Guid) -> bool {
        !self.trusts(kind) && self.is_taken(kind, id)
    }

    /// The number of objects of a kind whose contents are from a list that is distrusted.
    pub(super) fn unverified_of(&self, kind: Kind) -> usize {
        self.taken.get(&kind).filter(|_| !self.trusts(kind)).map_or(0, FxHashSet::len)
    }

    /// The number of objects whose contents are from a list that is distrusted.
    pub(super) fn unverified(&self) -> usize {
        self.distrusted.keys().map(|kind| self.unverified_of(*kind)).sum()
    }
}

impl Observed {
    /// Which HNS v1 lists are trusted.
    pub fn v1_lists(&self) -> &V1Lists {
        &self.v1_lists
    }

    /// Whether the next list reads an object again, because its contents are from a list that is distrusted. If its document could not be read,
    /// it is read again in the next cycle of audits.
    pub(super) fn is_verification_due(&self, kind: Kind, id: Guid) -> bool {
        self.v1_lists.is_unverified(kind, id) && !self.unverified.contains(&id)
    }

    /// Replaces an endpoint from a list that is distrusted by what was read. The list was wrong, so a difference is not drift.
    pub(super) fn insert_verified_endpoint(&mut self, id: Guid, mut read: ObservedEndpoint, dirty: &mut Dirty) {
        let known = self.endpoints.get(&id);
        if let Some(known) = known.filter(|known| known.content == read.content) {
            // It may be adopted.
            read.owner = known.owner;
        }
        if known == Some(&read) {
            self.v1_lists.end_take(Kind::Endpoint, id);
        } else {
            self.insert_endpoint(id, read, dirty);
        }
    }

    /// As [`insert_verified_endpoint`](Self::insert_verified_endpoint), for a load balancer.
    pub(super) fn insert_verified_load_balancer(&mut self, id: Guid, read: ObservedLoadBalancer, dirty: &mut Dirty) {
        if self.load_balancers.get(&id) == Some(&read) {
            self.end_take_of_load_balancer(id, dirty);
        } else {
            self.insert_load_balancer(id, read, dirty);
        }
    }

    /// As [`V1Lists::end_take`], for a load balancer. The endpoints that only it may have used are planned again.
    pub(super) fn end_take_of_load_balancer(&mut self, id: Guid, dirty: &mut Dirty) {
        if self.v1_lists.end_take(Kind::LoadBalancer, id) {
            self.mark_unused_endpoints(dirty);
        }
    }
}

/// The documents of a v1 list, by id.
type Shown<T> = FxHashMap<Guid, Option<Result<T, String>>>;

/// Adds the documents of a v1 list to an enumeration. If the two differ, the v1 list is read again, and then an object
/// on its own: an object that the enumeration and the read agree on, and the v1 list in between does not, proves that
/// the v1 list is wrong. Returns the proof; `listed` then stays without documents.
///
/// # Errors
/// The error of HNS, if the read of an object fails.
pub(super) fn merge<T, R>(
    listed: &mut [Listed<T>],
    v1: Vec<Listed<T>>,
    is_skipped: impl Fn(&Guid) -> bool,
    list_again: impl FnOnce() -> Result<Vec<Listed<T>>, Error>,
    read: impl Fn(Guid) -> Result<R, Error>,
) -> Result<Option<Contradiction>, Error> {
    let shown = by_id(v1);
    let enumerated: FxHashSet<Guid> = listed.iter().map(|listed| listed.id).collect();
    // An object with an invalid document may be missing in a v1 list, which has documents, and an entry with an invalid
    // document may be of another kind or network.
    let mut lacks: Vec<Guid> =
        enumerated.iter().filter(|id| !shown.contains_key(id) && !is_skipped(id)).copied().collect();
    let mut shows: Vec<Guid> = valid(&shown).filter(|id| !enumerated.contains(id)).collect();
    if !(lacks.is_empty() && shows.is_empty()) {
        // Objects that were created or deleted between the two lists are no contradiction.
        let Ok(again) = list_again() else { return Ok(None) };
        let again = by_id(again);
        let valid: FxHashSet<Guid> = valid(&again).collect();
        lacks.retain(|id| !again.contains_key(id));
        shows.retain(|id| valid.contains(id));
        lacks.sort_unstable();
        shows.sort_unstable();
        for id in lacks.into_iter().take(MAX_PROOFS) {
            if let Some(Ok(_)) = readable_or_absent(read(id))? {
                return Ok(Some(Contradiction::Lacks(id)));
            }
        }
        for id in shows.into_iter().take(MAX_PROOFS) {
            if readable_or_absent(read(id))?.is_none() {
                return Ok(Some(Contradiction::ShowsAbsent(id)));
            }
        }
    }
    let mut shown = shown;
    for one in listed {
        one.document = shown.remove(&one.id).flatten();
    }
    Ok(None)
}

fn by_id<T>(listed: Vec<Listed<T>>) -> Shown<T> {
    listed.into_iter().map(|listed| (listed.id, listed.document)).collect()
}

fn valid<T>(shown: &Shown<T>) -> impl Iterator<Item = Guid> {
    shown.iter().filter(|(_, document)| matches!(document, Some(Ok(_)))).map(|(id, _)| *id)
}

/// Fills in documents from the v1 list: one call. Returns whether that succeeded; if not, each load balancer is read on its own.
pub(super) fn fill_from_v1_list(client: &Client, listed: &mut [Listed<ObservedLoadBalancer>]) -> bool {
    let mut unread: FxHashMap<Guid, _> = listed.iter_mut().map(|one| (one.id, &mut one.document)).collect();
    let fill = |listed: Listed<LoadBalancer>| {
        let document = unread.remove(&listed.id)?;
        *document = listed.and_then(record_of_v1_list).document;
        None::<()>
    };
    client.load_balancers_from_v1_list(fill).is_ok()
}

/// Whether one v1 list of all documents is cheaper than two calls for each of the unread objects.
pub(super) fn is_v1_list_cheaper(unread: usize, all: usize) -> bool {
    unread > READ_ONE_BY_ONE && unread.saturating_mul(V1_DOCUMENTS_PER_UNREAD) >= all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_v1_list_is_read_where_it_saves_calls() {
        assert!(!is_v1_list_cheaper(READ_ONE_BY_ONE, READ_ONE_BY_ONE));
        assert!(is_v1_list_cheaper(READ_ONE_BY_ONE + 1, READ_ONE_BY_ONE + 1));
        assert!(is_v1_list_cheaper(20, 20 * V1_DOCUMENTS_PER_UNREAD));
        assert!(!is_v1_list_cheaper(20, 20 * V1_DOCUMENTS_PER_UNREAD + 1));
    }
}
