//! Drift that was found, until it is repaired.

use std::collections::BTreeMap;

use proxy::dirty::Subject;
use proxy::{Cause, Drift};

#[derive(Debug, Default)]
pub(super) struct UnrepairedDrift(BTreeMap<Subject, Cause>);

impl UnrepairedDrift {
    /// Of several causes, the first counts.
    pub(super) fn add(&mut self, Drift { subject, cause }: Drift) {
        self.0.entry(subject).or_insert(cause);
    }

    /// The number of objects that are not repaired, by cause.
    pub(super) fn by_cause(&self) -> BTreeMap<&'static str, usize> {
        let mut counts = BTreeMap::new();
        self.0.values().for_each(|cause| *counts.entry(cause.as_str()).or_default() += 1);
        counts
    }

    /// Removes and returns what is repaired.
    pub(super) fn take_repaired(&mut self, is_in_sync: impl Fn(Subject) -> bool) -> Vec<Drift> {
        let repaired: Vec<Subject> = self.0.keys().copied().filter(|subject| is_in_sync(*subject)).collect();
        let take = |subject| Some(Drift { subject, cause: self.0.remove(&subject)? });
        repaired.into_iter().filter_map(take).collect()
    }
}
