//! How far HNS is brought in step: what is wanted, how much of it HNS holds, and what is still to be done. What it costs to ask does
//! not grow with the cluster, only with what is left to do.

use std::collections::BTreeSet;

use super::{Changes, Reconciler, Trigger};
use crate::desire::{Context, TrafficPolicy};
use crate::dirty::Subject;
use crate::frontend::Frontend;
use crate::health_check::HealthChecks;
use crate::model::{Family, ServiceName};

/// How many objects are wanted, and how many of them HNS holds as wanted, as far as is known.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// How many are wanted.
    pub desired: usize,
    /// How many of these HNS holds.
    pub confirmed: usize,
}

/// How far HNS is brought in step.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Progress {
    /// Whether all Services, and all slices, were handed over once.
    pub complete: bool,
    /// Load balancers.
    pub load_balancers: Tally,
    /// Endpoints of ours.
    pub endpoints: Tally,
    /// Frontends that have no load balancer because no backend serves.
    pub without_backends: usize,
    /// Services, frontends and addresses still to be looked at.
    pub backlog: usize,
    /// How many of these no run has come to yet: a run plans so many at once.
    pub unplanned: usize,
    /// Frontends and addresses that failed, and are to be tried again.
    pub failed: usize,
    /// Changes of the cluster.
    pub changes: Changes,
}

impl Reconciler {
    /// How far HNS is brought in step.
    pub fn progress(&self) -> Progress {
        let failed: BTreeSet<Subject> = self.failed.subjects().collect();
        let mut frontends: BTreeSet<Frontend> = self.dirty.frontends.clone();
        frontends.extend(self.pacing.waiting());
        frontends.extend(&self.waiting);
        frontends.extend(failed.iter().filter_map(|subject| subject.frontend()));
        let mut addresses = self.dirty.addresses.clone();
        addresses.extend(failed.iter().filter_map(|subject| subject.address()));
        let wants =
            |frontend: &&Frontend| self.desired.owned(**frontend).is_some_and(|owned| !owned.spec.targets.is_empty());
        let (open, open_addresses) = (
            frontends.iter().filter(wants).count(),
            addresses.iter().filter(|address| self.desired.purpose(**address).is_some()).count(),
        );
        let tally = |desired: usize, open: usize| Tally { desired, confirmed: desired.saturating_sub(open) };
        Progress {
            complete: self.is_complete(),
            load_balancers: tally(self.desired.load_balancers(), open),
            endpoints: tally(self.desired.endpoints(), open_addresses),
            without_backends: self.desired.without_backends(),
            backlog: self.stale.len() + frontends.len() + addresses.len(),
            unplanned: self.stale.len() + self.dirty.frontends.len() + self.dirty.addresses.len(),
            failed: failed.len(),
            changes: self.arrivals.changes(),
        }
    }

    /// Ports of Services that traffic can't reach by a policy Local, since all that serve are elsewhere: how many.
    pub fn without_local(&self, policy: TrafficPolicy, family: Family) -> usize {
        self.desired.without_local(policy, family)
    }

    /// Whether nothing is left to do about a frontend or an address.
    pub fn is_settled(&self, subject: Subject) -> bool {
        let waits = match subject {
            Subject::Frontend(frontend) => {
                self.dirty.frontends.contains(&frontend)
                    || self.waiting.contains(&frontend)
                    || self.pacing.waiting().any(|waiting| waiting == frontend)
            }
            Subject::Address(address) => self.dirty.addresses.contains(&address),
        };
        !waits && !self.failed.has(subject)
    }

    /// Hands over when changes began that are programmed now: all of whose Service's frontends are settled.
    pub fn take_triggers(&mut self) -> Vec<Trigger> {
        let mut arrivals = std::mem::take(&mut self.arrivals);
        let is_programmed = |service: &ServiceName| {
            let specs = self.desired.specs_of(service);
            !self.stale.contains(service) && specs.iter().all(|spec| self.is_settled(Subject::Frontend(spec.frontend)))
        };
        let triggers = arrivals.take_triggers(is_programmed);
        self.arrivals = arrivals;
        triggers
    }

    /// What the health checks of Services are answered.
    pub fn health_checks(&self) -> &HealthChecks {
        &self.health_checks
    }

    /// The families that are programmed; the node's primary one until HNS was looked at.
    pub fn families(&self) -> Vec<Family> {
        let (networks, settings, host, node) = (&self.networks, &self.settings, &self.host, &self.node);
        let Some(capabilities) = self.capabilities.as_ref().filter(|_| networks.any_known()) else {
            return vec![host.primary_family()];
        };
        let context = Context { settings, host, node, networks, capabilities };
        Family::ALL.into_iter().filter(|family| context.has_family(*family)).collect()
    }
}
