//! What HNS was found to hold otherwise than believed, and why that may be.

use std::collections::BTreeMap;

use crate::dirty::{Dirty, Subject};

/// A difference that none of our own writes explains.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Cause {
    /// A load balancer of ours is gone.
    LoadBalancerLost,
    /// An endpoint of ours is gone.
    EndpointLost,
    /// A load balancer of ours is there that was thought to be gone.
    LoadBalancerReappeared,
    /// An endpoint of ours is there that was thought to be gone.
    EndpointReappeared,
    /// Others have put a load balancer on a frontend.
    FrontendTaken,
    /// A load balancer was changed in place.
    LoadBalancerChanged,
    /// An endpoint was changed in place.
    EndpointChanged,
}

impl Cause {
    /// A short name, for logs and metric labels.
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
            Cause::LoadBalancerLost => "HNS has lost its load balancer",
            Cause::EndpointLost => "HNS has lost its endpoint",
            Cause::LoadBalancerReappeared => "HNS has its load balancer again",
            Cause::EndpointReappeared => "HNS has its endpoint again",
            Cause::FrontendTaken => "others have put a load balancer there",
            Cause::LoadBalancerChanged => "others have changed its load balancer",
            Cause::EndpointChanged => "others have changed its endpoint",
        })
    }
}

/// One difference.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Drift {
    /// Where.
    pub subject: Subject,
    /// Why.
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

/// How much there is of each.
pub fn by_cause(drift: &[Drift]) -> BTreeMap<Cause, usize> {
    let mut counts = BTreeMap::new();
    drift.iter().for_each(|drift| *counts.entry(drift.cause).or_default() += 1);
    counts
}

/// What a look at HNS has found.
#[derive(Debug, Clone, Default)]
pub struct Found {
    /// What it concerns.
    pub dirty: Dirty,
    /// What none of our writes explains.
    pub drift: Vec<Drift>,
}

impl Found {
    /// Whether all was as believed.
    pub(crate) fn is_empty(&self) -> bool {
        self.dirty.is_empty() && self.drift.is_empty()
    }

    pub(super) fn note(&mut self, cause: Cause, subjects: impl IntoIterator<Item = Subject>) {
        self.drift.extend(subjects.into_iter().map(|subject| Drift { subject, cause }));
    }
}
