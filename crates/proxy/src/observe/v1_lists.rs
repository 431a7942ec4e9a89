//! Compares HNS v1 lists with the HCN (v2) API. A list that contradicts it is not used again.
//!
//! It is not documented that the v1 lists show what was created through the HCN (v2) API. A call that succeeds can
//! therefore still be wrong. The v1 lists are used for contents only: which objects exist is decided by the
//! enumerations of the HCN (v2) API.

use std::collections::BTreeMap;

use hcn::client::Listed;
use hcn::{Error, Guid, Kind};
use rustc_hash::{FxHashMap, FxHashSet};

use super::Observed;
use super::read::readable_or_absent;
use crate::network::Contradiction;

/// At most this many objects are read to prove a contradiction, two calls each. One is enough unless its document is
/// invalid, or another program deletes it at that moment.
const MAX_PROOFS: usize = 4;

/// The HNS v1 lists that have contradicted the HCN (v2) API. They stay distrusted for the rest of the process: a new
/// version of HNS comes with a reboot.
#[derive(Debug, Clone, Default)]
pub struct V1Lists {
    distrusted: BTreeMap<Kind, Contradiction>,
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
}

impl Observed {
    /// Which HNS v1 lists are trusted.
    pub fn v1_lists(&self) -> &V1Lists {
        &self.v1_lists
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
