//! Turns the findings of an audit into dirty frontends, dirty addresses and drift.

use std::collections::BTreeSet;
use std::net::IpAddr;

use hcn::Guid;

use super::super::Reconciler;
use crate::dirty::Subject;
use crate::frontend::Target;
use crate::observe::{Cause, Drift, Findings, Owner};

impl Reconciler {
    /// Marks what lists have changed as dirty, with the frontends that use it, and keeps the drift.
    pub(super) fn apply_findings(&mut self, findings: Findings) {
        if !findings.is_empty() {
            self.order.forget();
        }
        let Findings { dirty, mut drift, late } = findings;
        // A local endpoint that appeared or vanished changes the backends of the load balancers that use its address.
        for address in &dirty.addresses {
            self.dirty.frontends.extend(self.desired.users_of(*address));
        }
        self.mark_users_of_root_endpoint();
        self.mark_left_by_kube_proxy(&dirty.addresses);
        self.dirty.merge(dirty);
        // At a first audit, all objects are new to us, which is not drift.
        if self.audit.state.expects_nothing() {
            return;
        }
        // A foreign load balancer on a frontend that no Service uses is not drift.
        let is_desired = |subject| matches!(subject, Subject::Frontend(f) if self.desired.frontend(f).is_some());
        drift.retain(|drift| drift.cause != Cause::FrontendTaken || is_desired(drift.subject));
        self.health.record_drift(&drift, self.observed.has_load_balancers_of_ours());
        // HNS itself may be the cause: HNS 15.4 reports success and changes nothing (kubernetes issue 131466). From now
        // on, modifications are read back again.
        self.environment.modify_verified &= !drift.iter().any(|drift| drift.cause == Cause::LoadBalancerChanged);
        self.rewrite_users_of_lost_endpoints(&drift);
        // What HNS lists late is our own work: nobody has written it.
        let is_late = |drift: &&Drift| drift.cause.is_reappearance() && late.contains(&drift.subject);
        self.contention.found(drift.iter().filter(|drift| !is_late(drift)));
        self.audit.drift.extend(drift);
    }

    /// Makes the users of the host's own endpoint dirty if the endpoint has changed: health checks, and backends with an address of the node.
    /// The endpoint is found by name, so a lookup of users by its address would miss them.
    fn mark_users_of_root_endpoint(&mut self) {
        let root = self.observed.named(&self.environment.settings.root_endpoint_name);
        if self.audit.root == root {
            return;
        }
        self.audit.root = root;
        self.dirty.frontends.extend(self.desired.users(Target::Root));
        // Backends in the host's network share the host's endpoint, so they change with it.
        let own = self.environment.host.node_ips.iter();
        let own = own.map(|address| Target::Address { address: *address, local: true });
        self.dirty.frontends.extend(own.flat_map(|target| self.desired.users(target)));
    }

    /// Makes the frontends of foreign load balancers dirty if they have an endpoint at one of these addresses of new and changed endpoints:
    /// `--take-over` removes load balancers with an endpoint in our networks. HNS can list a load balancer earlier than its endpoint. A load
    /// balancer of kube-proxy can also use an endpoint that hnsproxy created, that HNS lost, and that is created again.
    pub(in super::super) fn mark_left_by_kube_proxy(&mut self, addresses: &BTreeSet<IpAddr>) {
        if !self.environment.settings.take_over || addresses.is_empty() {
            return;
        }
        let observed = &self.observed;
        let has_changed = |id: &Guid| {
            observed.endpoint(*id).is_some_and(|one| one.addresses.iter().any(|address| addresses.contains(address)))
        };
        let changed =
            observed.foreign_load_balancers().filter(|(_, foreign)| foreign.endpoints.iter().any(has_changed));
        self.dirty.frontends.extend(changed.flat_map(|(_, foreign)| foreign.frontends.iter().copied()));
    }

    /// Marks the load balancers of lost endpoints as uncertain and dirty, so that the next plan writes them again. A
    /// load balancer may not use an endpoint that was created again, even with the same id: HNS keeps the old backend
    /// in its rules until the load balancer is programmed again. Only where HNS can modify in place, since a
    /// replacement would cut the connections of the other backends.
    fn rewrite_users_of_lost_endpoints(&mut self, drift: &[Drift]) {
        if !self.environment.capabilities.is_some_and(|capabilities| capabilities.modify) {
            return;
        }
        let lost = drift.iter().filter(|drift| drift.cause == Cause::EndpointLost);
        for address in lost.filter_map(|drift| drift.subject.address()) {
            for frontend in self.desired.users_of(address).collect::<Vec<_>>() {
                let ours = self.observed.on(frontend).filter(|(_, observed)| observed.owner == Owner::Us);
                for (id, observed) in ours.map(|(id, observed)| (id, observed.clone())).collect::<Vec<_>>() {
                    self.observed.mark_load_balancer_uncertain(id, &observed);
                    self.dirty.frontends.insert(frontend);
                }
            }
        }
    }
}
