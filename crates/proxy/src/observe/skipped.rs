//! Objects whose documents cannot be used: why, and which endpoints load balancers with unknown backends may use.

use hcn::{Guid, Kind};
use rustc_hash::{FxHashMap, FxHashSet};

use super::{Observed, Owner};
use crate::dirty::Dirty;
use crate::identity;

/// An object whose document cannot be used.
#[derive(Debug, Clone)]
pub(super) struct SkippedObject {
    pub(super) reason: String,
    /// The endpoints of its backends; `None` if they cannot be read.
    pub(super) backends: Option<Box<[Guid]>>,
    /// Whether the next list reads it again. Until then, it still counts as skipped.
    is_due: bool,
}

impl SkippedObject {
    pub(super) fn new(reason: String, backends: Option<Box<[Guid]>>) -> Self {
        Self { reason, backends, is_due: false }
    }
}

/// The skipped objects of one kind.
#[derive(Debug, Clone, Default)]
pub(super) struct Skipped(FxHashMap<Guid, SkippedObject>);

impl Skipped {
    pub(super) fn contains(&self, id: &Guid) -> bool {
        self.0.contains_key(id)
    }

    /// Whether an object is skipped, and the next list need not read it again.
    pub(super) fn is_current(&self, id: &Guid) -> bool {
        self.0.get(id).is_some_and(|skipped| !skipped.is_due)
    }

    pub(super) fn any_due(&self) -> bool {
        self.0.values().any(|skipped| skipped.is_due)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (Guid, &str)> {
        self.0.iter().map(|(id, skipped)| (*id, skipped.reason.as_str()))
    }

    pub(super) fn ids(&self) -> impl Iterator<Item = &Guid> {
        self.0.keys()
    }

    pub(super) fn insert(&mut self, id: Guid, skipped: SkippedObject) {
        self.0.insert(id, skipped);
    }

    pub(super) fn remove(&mut self, id: &Guid) -> Option<SkippedObject> {
        self.0.remove(id)
    }

    pub(super) fn retain(&mut self, present: &FxHashSet<Guid>) {
        self.0.retain(|id, _| present.contains(id));
    }

    fn read_again(&mut self) {
        self.0.values_mut().for_each(|skipped| skipped.is_due = true);
    }
}

impl Observed {
    /// The objects with an invalid document, and why it is invalid.
    pub fn skipped(&self) -> impl Iterator<Item = (Guid, &str)> {
        self.skipped_endpoints.iter().chain(self.skipped_load_balancers.iter())
    }

    /// The number of skipped objects that hnsproxy has created.
    pub fn skipped_of_ours(&self) -> usize {
        self.skipped().filter(|(id, _)| identity::is_ours(*id)).count()
    }

    /// Makes the next list read objects again whose documents could not be used: they may be valid by then.
    pub fn read_skipped_again(&mut self) {
        self.skipped_endpoints.read_again();
        self.skipped_load_balancers.read_again();
        let v1_lists = &self.v1_lists;
        let is_of_wrong_list =
            |id: &Guid| [Kind::Endpoint, Kind::LoadBalancer].iter().any(|kind| v1_lists.is_unverified(*kind, *id));
        self.unverified.retain(|id| !is_of_wrong_list(id));
    }

    /// Whether a load balancer of ours may have an endpoint of ours as backend, because its backends cannot be read, or are from a list that is
    /// distrusted.
    pub fn is_perhaps_hidden(&self, endpoint: Guid) -> bool {
        self.hides_any_backends() && self.endpoints.get(&endpoint).is_some_and(|known| known.owner == Owner::Us)
    }

    /// Skips a load balancer. HNS has it all the same, so its backends count as referenced.
    pub(super) fn skip_load_balancer(&mut self, id: Guid, skipped: SkippedObject, dirty: &mut Dirty) {
        // Counted first: what is skipped again releases nothing.
        for endpoint in skipped.backends.iter().flatten() {
            *self.references.entry(*endpoint).or_default() += 1;
        }
        self.hides_backends += usize::from(hides_backends(id, &skipped));
        self.end_skip_of_load_balancer(id, dirty);
        self.skipped_load_balancers.insert(id, skipped);
    }

    /// Ends the skip of a load balancer. The endpoints that only it may have used are planned again.
    pub(super) fn end_skip_of_load_balancer(&mut self, id: Guid, dirty: &mut Dirty) {
        let Some(skipped) = self.skipped_load_balancers.remove(&id) else { return };
        self.release(skipped.backends.iter().flatten(), dirty);
        self.hides_backends -= usize::from(hides_backends(id, &skipped));
        if hides_backends(id, &skipped) {
            self.mark_unused_endpoints(dirty);
        }
    }

    /// Whether the backends of any load balancer of ours are unknown.
    pub fn hides_any_backends(&self) -> bool {
        self.hides_backends > 0 || self.v1_lists.unverified_of(Kind::LoadBalancer) > 0
    }

    /// Marks endpoints of ours that are unused, unless a load balancer may still have them as backends.
    pub fn mark_unused_endpoints(&self, dirty: &mut Dirty) {
        if self.hides_any_backends() {
            return;
        }
        let unused = self
            .endpoints
            .iter()
            .filter(|(id, known)| known.owner == Owner::Us && known.remote && !self.references.contains_key(id));
        dirty.addresses.extend(unused.flat_map(|(_, known)| known.addresses.iter().copied()));
    }

    /// Ends the skip of load balancers that a list lacks.
    pub(super) fn retain_skipped_load_balancers(&mut self, present: &FxHashSet<Guid>, dirty: &mut Dirty) {
        let absent: Vec<Guid> = self.skipped_load_balancers.ids().filter(|id| !present.contains(id)).copied().collect();
        absent.into_iter().for_each(|id| self.end_skip_of_load_balancer(id, dirty));
    }
}

/// Whether any endpoint of ours may be a backend. Foreign load balancers are not considered: one that cannot be read would keep every
/// endpoint that nothing else needs.
fn hides_backends(id: Guid, skipped: &SkippedObject) -> bool {
    skipped.backends.is_none() && identity::is_ours(id)
}
