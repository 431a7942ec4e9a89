//! What each Service has and which ones are pending, for lists of Services. The cost grows with what has changed or is pending, not with the cluster.

use std::collections::{BTreeMap, BTreeSet};

use rustc_hash::FxHashSet;

use super::Reconciler;
use crate::frontend::{Frontend, Target};
use crate::model::ServiceName;
use crate::plan::Plan;

/// The desired state of a Service in numbers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ServiceSummary {
    /// Those that the Service claims.
    pub frontends: usize,
    /// The frontends that the Service owns and that have a backend.
    pub load_balancers: usize,
    /// The addresses that serve for any frontend.
    pub backends: usize,
    /// Whether the Service has changed since its desired state was computed. In this case, the numbers are the previous ones.
    pub is_outdated: bool,
}

/// The frontends of a Service that are not in sync.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Unsettled {
    /// Those that a later run plans or retries.
    pub pending: usize,
    /// Those of them whose last write failed.
    pub failed: usize,
}

impl Reconciler {
    /// The Services whose [`summary`](Self::summary) may have changed since the last call of this function, deleted ones included.
    pub fn take_changed_services(&mut self) -> BTreeSet<ServiceName> {
        let mut changed = std::mem::take(&mut self.changed_services);
        changed.append(&mut self.desired.take_reassigned());
        changed
    }

    /// The Services whose frontends, or the endpoints behind them, were planned since the last call of this function. What was observed of them may
    /// have changed.
    pub fn take_replanned_services(&mut self) -> FxHashSet<ServiceName> {
        std::mem::take(&mut self.replanned_services)
    }

    pub(super) fn mark_replanned(&mut self, frontends: &BTreeSet<Frontend>, plan: &Plan) {
        let addresses = plan.steps.iter().filter_map(|step| step.action.subject().address());
        let users = addresses.flat_map(|address| self.desired.users_of(address));
        let services = frontends.iter().copied().chain(users).flat_map(|frontend| self.desired.claimants(frontend));
        self.replanned_services.extend(services.cloned());
    }

    /// `None` if the Service does not exist.
    pub fn summary(&self, service: &ServiceName) -> Option<ServiceSummary> {
        self.inputs.cluster.get(service)?.service.as_ref()?;
        let specs = self.desired.specs_of(service);
        let has_load_balancer =
            |frontend: Frontend, targets: &[Target]| !targets.is_empty() && self.owner(frontend) == Some(service);
        let backends: BTreeSet<Target> = specs.iter().flat_map(|spec| spec.targets.iter().copied()).collect();
        Some(ServiceSummary {
            frontends: specs.len(),
            load_balancers: specs.iter().filter(|spec| has_load_balancer(spec.frontend, &spec.targets)).count(),
            backends: backends.len(),
            is_outdated: self.changes.contains(service),
        })
    }

    /// The Services with frontends that are not in sync.
    pub fn unsettled(&self) -> BTreeMap<ServiceName, Unsettled> {
        let failed: BTreeSet<Frontend> = self.retries.failed.subjects().filter_map(|one| one.frontend()).collect();
        let mut services: BTreeMap<ServiceName, Unsettled> = BTreeMap::new();
        for frontend in self.pending_frontends() {
            // Without an owner, only a deletion is left.
            let Some(owner) = self.owner(frontend) else { continue };
            let unsettled = services.entry(owner.clone()).or_default();
            unsettled.pending += 1;
            unsettled.failed += usize::from(failed.contains(&frontend));
        }
        services
    }
}
