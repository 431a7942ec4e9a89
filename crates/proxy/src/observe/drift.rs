//! Drift: differences between HNS and what hnsproxy last wrote.

use std::collections::{BTreeMap, BTreeSet};

use crate::dirty::{Dirty, Subject};

/// A difference that hnsproxy did not cause.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Cause {
    /// A load balancer of ours is missing.
    LoadBalancerLost,
    /// An endpoint of ours is missing.
    EndpointLost,
    /// A load balancer of ours that was missing in an earlier list is listed again.
    LoadBalancerReappeared,
    /// An endpoint of ours that was missing in an earlier list is listed again.
    EndpointReappeared,
    /// A foreign load balancer appeared on a frontend.
    FrontendTaken,
    /// A load balancer of ours was modified in place by another program.
    LoadBalancerChanged,
    /// An endpoint of ours was modified in place by another program.
    EndpointChanged,
}

impl Cause {
    /// Whether an object of ours appeared that this process did not have.
    pub fn is_reappearance(self) -> bool {
        matches!(self, Cause::LoadBalancerReappeared | Cause::EndpointReappeared)
    }

    /// The value of the metric label.
    pub fn as_str(self) -> &'static str {
        match self {
            Cause::LoadBalancerLost => "load_balancer_lost",
            Cause::EndpointLost => "endpoint_lost",
            Cause::LoadBalancerReappeared => "load_balancer_reappeared",
            Cause::EndpointReappeared => "endpoint_reappeared",
            Cause::FrontendTaken => "frontend_taken",
            Cause::LoadBalancerChanged => "load_balancer_changed",
            Cause::EndpointChanged => "endpoint_changed",
        }
    }
}

impl std::fmt::Display for Cause {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Cause::LoadBalancerLost => "load balancer is missing in HNS",
            Cause::EndpointLost => "endpoint is missing in HNS",
            Cause::LoadBalancerReappeared => "load balancer reappeared in HNS",
            Cause::EndpointReappeared => "endpoint reappeared in HNS",
            Cause::FrontendTaken => "another program created a load balancer",
            Cause::LoadBalancerChanged => "another program modified the load balancer",
            Cause::EndpointChanged => "another program modified the endpoint",
        })
    }
}

/// One difference.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Drift {
    pub subject: Subject,
    pub cause: Cause,
}

impl std::fmt::Display for Drift {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.subject {
            Subject::Frontend(frontend) => write!(f, "{frontend}: {}", self.cause),
            Subject::Address(address) => write!(f, "{address}: {}", self.cause),
        }
    }
}

/// The number of differences of each cause.
pub fn by_cause(drift: &[Drift]) -> BTreeMap<Cause, usize> {
    let mut counts = BTreeMap::new();
    drift.iter().for_each(|drift| *counts.entry(drift.cause).or_default() += 1);
    counts
}

/// The changes that lists from HNS have caused in the observed state.
#[derive(Debug, Clone, Default)]
pub struct Findings {
    /// Frontends and addresses whose objects were added, removed or changed.
    pub dirty: Dirty,
    /// The changes that hnsproxy did not cause. A first audit reports all objects here; the caller ignores them.
    pub drift: Vec<Drift>,
    /// Where objects reappeared that this process had lost: HNS has listed them late, and no other program has created them.
    pub late: BTreeSet<Subject>,
}

impl Findings {
    /// Whether HNS listed exactly the expected objects.
    pub(crate) fn is_empty(&self) -> bool {
        self.dirty.is_empty() && self.drift.is_empty()
    }

    pub(super) fn add_drift(&mut self, cause: Cause, subjects: impl IntoIterator<Item = Subject>) {
        self.drift.extend(subjects.into_iter().map(|subject| Drift { subject, cause }));
    }
}
