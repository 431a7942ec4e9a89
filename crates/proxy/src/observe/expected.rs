//! The load balancers that hnsproxy would create. A listed load balancer with the id of one of them has its content.

use hcn::Guid;
use rustc_hash::FxHashMap;

use super::{Observed, ObservedLoadBalancer};
use crate::identity::Lineage;

/// The load balancers that we would create. They are computed when they are first needed, since that is expensive.
pub(super) struct Expected<F> {
    compute: Option<F>,
    by_lineage: FxHashMap<Lineage, (Guid, ObservedLoadBalancer)>,
}

impl<F: FnOnce(&Observed) -> FxHashMap<Guid, ObservedLoadBalancer>> Expected<F> {
    pub(super) fn new(compute: F) -> Self {
        Self { compute: Some(compute), by_lineage: FxHashMap::default() }
    }

    pub(super) fn get(&mut self, observed: &Observed) -> &FxHashMap<Lineage, (Guid, ObservedLoadBalancer)> {
        if let Some(compute) = self.compute.take() {
            let computed = compute(observed).into_iter();
            self.by_lineage = computed.map(|(id, expected)| (Lineage::of(id), (id, expected))).collect();
        }
        &self.by_lineage
    }
}
