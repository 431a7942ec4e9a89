//! What HNS was found to hold otherwise than believed, until it is as it should be again.

use std::collections::BTreeMap;

use proxy::plan::Subject;
use proxy::{Cause, Drift};

/// What is not yet repaired.
#[derive(Debug, Default)]
pub(super) struct Drifting(BTreeMap<Subject, Cause>);

impl Drifting {
    /// Notes what was found. Of several causes the first counts.
    pub(super) fn add(&mut self, Drift { subject, cause }: Drift) {
        self.0.entry(subject).or_insert(cause);
    }

    /// How much is not repaired, by cause.
    pub(super) fn by_cause(&self) -> BTreeMap<&'static str, usize> {
        let mut counts = BTreeMap::new();
        self.0.values().for_each(|cause| *counts.entry(cause.as_str()).or_default() += 1);
        counts
    }

    /// Hands over the causes of what is as it should be again.
    pub(super) fn take_settled(&mut self, is_settled: impl Fn(Subject) -> bool) -> Vec<Cause> {
        let settled: Vec<Subject> = self.0.keys().copied().filter(|subject| is_settled(*subject)).collect();
        settled.iter().filter_map(|subject| self.0.remove(subject)).collect()
    }
}
