//! Selects the own objects that an audit reads and compares with what was written.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use hcn::{Guid, Kind};

/// The number of objects of a kind that are read at an audit of contents where no list shows the contents: two calls each.
const SAMPLE: usize = 16;

/// The objects to read.
#[derive(Debug, Clone, Default)]
pub(super) struct Verification {
    /// Objects whose list entry differs from what was written.
    due: BTreeMap<Kind, BTreeSet<Guid>>,
    /// The last object of the last sample.
    sampled: BTreeMap<Kind, Guid>,
}

impl Verification {
    pub(super) fn add(&mut self, kind: Kind, ids: impl IntoIterator<Item = Guid>) {
        self.due.entry(kind).or_default().extend(ids);
    }

    /// Selects the next objects of a kind in the order of their ids. Each object is read once in `objects / 16` audits of contents.
    pub(super) fn sample(&mut self, kind: Kind, all: impl Iterator<Item = Guid>) -> Vec<Guid> {
        let all: BTreeSet<Guid> = all.collect();
        let from = self.sampled.get(&kind).map_or(Bound::Unbounded, |last| Bound::Excluded(*last));
        let count = SAMPLE.min(all.len());
        let sample: Vec<Guid> = all.range((from, Bound::Unbounded)).chain(&all).take(count).copied().collect();
        self.sampled.extend(sample.last().map(|last| (kind, *last)));
        sample
    }

    pub(super) fn is_due(&self, kind: Kind, id: Guid) -> bool {
        self.due.get(&kind).is_some_and(|due| due.contains(&id))
    }

    pub(super) fn due(&self, kind: Kind) -> Vec<Guid> {
        self.due.get(&kind).into_iter().flatten().copied().collect()
    }

    /// Records that an object was read, or is gone.
    pub(super) fn end(&mut self, kind: Kind, id: Guid) {
        if let Some(due) = self.due.get_mut(&kind) {
            due.remove(&id);
        }
    }

    pub(super) fn end_all(&mut self, kind: Kind) {
        self.due.remove(&kind);
    }

    pub(super) fn count(&self) -> usize {
        self.due.values().map(BTreeSet::len).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_object_is_sampled_in_turn() {
        let all = |count: u128| (0..count).map(Guid::from_u128);
        let mut verification = Verification::default();
        let mut sample = |count| verification.sample(Kind::Endpoint, all(count));
        assert_eq!(sample(20), all(16).collect::<Vec<_>>());
        assert_eq!(sample(20), all(20).skip(16).chain(all(12)).collect::<Vec<_>>());
        // With few objects, each is read once.
        assert_eq!(sample(2), all(2).collect::<Vec<_>>());
        assert!(sample(0).is_empty());
    }

    #[test]
    fn what_was_read_is_not_due() {
        let [first, second] = [1, 2].map(Guid::from_u128);
        let mut verification = Verification::default();
        verification.add(Kind::Endpoint, [second, first]);
        assert_eq!((verification.due(Kind::Endpoint), verification.count()), (vec![first, second], 2));
        verification.end(Kind::Endpoint, first);
        assert_eq!((verification.due(Kind::Endpoint), verification.due(Kind::LoadBalancer)), (vec![second], vec![]));
        verification.end_all(Kind::Endpoint);
        assert_eq!(verification.count(), 0);
    }
}
