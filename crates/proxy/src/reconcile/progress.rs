//! The progress of programming: what is desired, how much of it HNS has, and what is pending. The cost does not grow
//! with the cluster, only with what is pending.

use std::collections::BTreeSet;
use std::net::IpAddr;

use super::{Changes, Reconciler, Trigger};
use crate::desire::TrafficPolicy;
use crate::dirty::Subject;
use crate::frontend::Frontend;
use crate::health_check::HealthChecks;
use crate::model::{Family, ServiceName};

/// A number of objects.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    pub desired: usize,
    /// Those of the desired ones that are in sync, as far as is known.
    pub in_sync: usize,
}

/// How far HNS is in sync.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Progress {
    /// Whether lists of all Services, and of all slices, were received.
    pub complete: bool,
    pub load_balancers: Tally,
    /// Endpoints of ours: for backends on other nodes, and for Service addresses on overlay networks.
    pub endpoints: Tally,
    /// Frontends without a load balancer because no backend serves.
    pub without_backends: usize,
    /// The number of pending Services, frontends and addresses.
    pub backlog: usize,
    /// The part of the backlog that is not planned yet: a run plans a limited number.
    pub unplanned: usize,
    /// Frontends and addresses whose last write failed.
    pub failed: usize,
    /// Frontends and addresses whose objects another program keeps writing.
    pub contended: usize,
    /// The load balancers that are not in sync and that a run writes only later: their last write failed, another program keeps writing them, or
    /// they wait for their turn or their network.
    pub deferred: usize,
    pub changes: Changes,
}

impl Reconciler {
    pub fn progress(&self) -> Progress {
        let failed: BTreeSet<Subject> = self.retries.failed.subjects().collect();
        let delayed = self.contention.delayed();
        // A frontend that waits for its network is neither dirty nor failed, but is not in sync.
        let waiting = self.pacing.waiting().chain(self.conditions.waiting().iter().copied());
        let frontends = waiting
            .chain(delayed.frontends.iter().copied())
            .chain(failed.iter().filter_map(|subject| subject.frontend()));
        let frontends: BTreeSet<Frontend> = frontends.filter(|f| !self.dirty.frontends.contains(f)).collect();
        let addresses = delayed.addresses.iter().copied().chain(failed.iter().filter_map(|subject| subject.address()));
        let addresses: BTreeSet<IpAddr> = addresses.filter(|a| !self.dirty.addresses.contains(a)).collect();
        // A frontend without backends has no load balancer, so it is not among the desired ones.
        let has_backends = |frontend: &&Frontend| {
            self.desired.frontend(**frontend).is_some_and(|owner| !owner.spec.targets.is_empty())
        };
        let deferred = frontends.iter().filter(has_backends).count();
        let open = self.dirty.frontends.iter().filter(has_backends).count() + deferred;
        // At the other addresses, only deletions are pending: those endpoints are not desired.
        let open_addresses = self.desired.count_needed(&self.dirty.addresses) + self.desired.count_needed(&addresses);
        let unplanned = self.changes.len() + self.dirty.frontends.len() + self.dirty.addresses.len();
        let tally = |desired: usize, open: usize| Tally { desired, in_sync: desired.saturating_sub(open) };
        Progress {
            complete: self.inputs.is_complete(),
            load_balancers: tally(self.desired.load_balancers(), open),
            endpoints: tally(self.desired.endpoints(), open_addresses),
            without_backends: self.desired.without_backends(),
            backlog: unplanned + frontends.len() + addresses.len(),
            unplanned,
            failed: failed.len(),
            contended: self.contention.contended().count(),
            deferred,
            changes: self.changes.counts(),
        }
    }

    /// The number of Service ports of a family that have backends, but none that the traffic policy `Local` allows.
    pub fn without_local(&self, policy: TrafficPolicy, family: Family) -> usize {
        self.desired.without_local(policy, family)
    }

    /// Whether nothing is pending for a frontend or an address.
    pub fn is_settled(&self, subject: Subject) -> bool {
        let waits = match subject {
            Subject::Frontend(frontend) => {
                self.dirty.frontends.contains(&frontend)
                    || self.contention.delayed().frontends.contains(&frontend)
                    || self.conditions.waiting().contains(&frontend)
                    || self.pacing.waiting().any(|waiting| waiting == frontend)
            }
            Subject::Address(address) => {
                self.dirty.addresses.contains(&address) || self.contention.delayed().addresses.contains(&address)
            }
        };
        !waits && !self.retries.failed.contains(subject)
    }

    /// Returns and removes the trigger times of changes that are programmed: those of Services whose frontends are all
    /// settled.
    pub fn take_triggers(&mut self) -> Vec<Trigger> {
        // Moved out, since the closure borrows the rest of `self`.
        let mut changes = std::mem::take(&mut self.changes);
        let is_settled = |service: &ServiceName| {
            let specs = self.desired.specs_of(service);
            // A Service without frontends, for example a deleted one, is settled at once.
            specs.iter().all(|spec| self.is_settled(Subject::Frontend(spec.frontend)))
        };
        let triggers = changes.take_triggers(is_settled);
        self.changes = changes;
        triggers
    }

    /// The responses to the health checks of Services with a health check node port.
    pub fn health_checks(&self) -> &HealthChecks {
        &self.inputs.health_checks
    }

    /// The Services with a health check that the next run still has to plan.
    pub fn unplanned_health_checks(&self) -> BTreeSet<ServiceName> {
        let is_unplanned = |service: &ServiceName| {
            let specs = self.desired.specs_of(service);
            self.changes.contains(service) || specs.iter().any(|spec| self.dirty.frontends.contains(&spec.frontend))
        };
        self.health_checks()
            .iter()
            .map(|(service, _)| service)
            .filter(|service| is_unplanned(service))
            .cloned()
            .collect()
    }

    /// The families that are programmed; the node's primary one until the first audit.
    pub fn families(&self) -> Vec<Family> {
        self.environment.families()
    }
}
