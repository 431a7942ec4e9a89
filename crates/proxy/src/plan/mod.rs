//! The difference between the desired and the observed state, as ordered steps.
//!
//! A [`Plan`] is a value: it can be printed, counted, tested, and applied. It covers the dirty frontends and addresses
//! only, so that its cost is that of the change. All decisions are made here; [`apply`](crate::apply) only carries
//! steps out.
//!
//! Invariants, checked by the property tests:
//! - equal states give an empty plan;
//! - local endpoints, and foreign objects on frontends and addresses that no Service uses, are never changed, except
//!   what kube-proxy left if `--take-over` is set;
//! - the old load balancer of a frontend is deleted directly before the new one is created, and a load balancer of
//!   which only the backends differ is modified in place if HNS can;
//! - an endpoint is created before the first load balancer that refers to it, and deleted after the last one that
//!   refers to it.

mod balancer;
mod choice;
mod decision;
mod endpoint;
mod order;
mod report;
mod resolve;
mod status;
mod step;

use std::collections::BTreeSet;
use std::net::IpAddr;

use hcn::Guid;
use rustc_hash::{FxHashMap, FxHashSet};

use crate::desire::Desired;
use crate::dirty::Dirty;
use crate::frontend::{EndpointPurpose, Frontend};
use crate::model::ServiceName;
use crate::network::Networks;
use crate::observe::Observed;
use crate::settings::{Capabilities, Host, Settings};

pub use choice::Choice;
pub use endpoint::ExpectedEndpoint;
pub(crate) use endpoint::source_vip_content;
pub(crate) use order::{has_lost_backend, is_infrastructure};
pub use report::PlanReport;
pub use resolve::Resolved;
pub use status::FrontendStatus;
pub use step::{Action, Reason, Step};

/// The writes to HNS, and a report on what is not written.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Plan {
    pub steps: Vec<Step>,
    /// Foreign endpoints that equal the desired ones, to be adopted.
    pub adopted_endpoints: BTreeSet<Guid>,
    /// Foreign load balancers that equal the desired ones, to be adopted.
    pub adopted_load_balancers: BTreeSet<Guid>,
    pub report: PlanReport,
}

impl Plan {
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// Adds the plan of another Service. An endpoint that several Services need is created once, for the first.
    fn append(&mut self, other: Plan, created: &mut FxHashSet<Guid>) {
        let new = |step: &Step| !matches!(step.action, Action::CreateEndpoint { id, .. } if !created.insert(id));
        self.steps.extend(other.steps.into_iter().filter(new));
        self.adopted_endpoints.extend(other.adopted_endpoints);
        self.adopted_load_balancers.extend(other.adopted_load_balancers);
        self.report.append(other.report);
    }
}

/// Frontends and addresses that a plan must skip or plan last.
#[derive(Debug, Clone, Default)]
pub struct Constraints {
    /// Addresses whose endpoints could not be created, and whose retry is not due.
    pub blocked: FxHashSet<IpAddr>,
    /// Frontends whose load balancer was replaced less than a second ago.
    pub replaced: FxHashSet<Frontend>,
    /// Frontends whose load balancer is replaced even if it is in sync, because it does not forward.
    pub not_forwarding: FxHashSet<Frontend>,
    /// Frontends that failed before. They come last, so that a permanent failure does not delay the rest.
    pub failed: FxHashSet<Frontend>,
    /// Whether Services with a backend that is gone come before other affected ones: after an interruption, since this plan may be interrupted
    /// too.
    pub lost_first: bool,
}

/// Everything that a plan depends on. A plan makes no calls.
#[derive(Debug, Clone, Copy)]
pub struct Planner<'a> {
    pub desired: &'a Desired,
    pub observed: &'a Observed,
    pub settings: &'a Settings,
    pub host: &'a Host,
    pub networks: &'a Networks,
    pub capabilities: &'a Capabilities,
    pub constraints: &'a Constraints,
}

#[derive(Debug, Default)]
struct Unit {
    addresses: Vec<IpAddr>,
    frontends: Vec<Frontend>,
}

impl Planner<'_> {
    /// Plans the dirty frontends and addresses.
    pub fn plan(&self, dirty: &Dirty) -> Plan {
        let mut parts: Vec<_> =
            self.units(dirty).into_iter().map(|(service, unit)| self.plan_unit(service, unit)).collect();
        parts.sort_by(|a, b| a.0.cmp(&b.0));
        let mut plan = Plan::default();
        let mut created = FxHashSet::default();
        parts.into_iter().for_each(|(_, part)| plan.append(part, &mut created));
        let released = self.released(&plan);
        // Addresses of released endpoints are planned even if they are not dirty: they were dirty when the Service changed, and the
        // endpoint stayed because the replacement of its load balancer was postponed.
        let dropped = released.endpoints.iter().filter(|(_, count)| **count > 0);
        let dropped = dropped.filter_map(|(id, _)| self.observed.endpoint(*id)).filter(|observed| observed.remote);
        let dropped = dropped.flat_map(|observed| observed.addresses.iter());
        let left_out = &plan.report.left_out;
        let mut addresses: BTreeSet<IpAddr> = dirty.addresses.iter().chain(dropped).chain(left_out).copied().collect();
        let is_former = |address: &&IpAddr| self.observed.at(**address).any(|(_, known)| known.is_of_source_vip());
        addresses.extend(released.source_vips.keys().filter(is_former));
        // Endpoints of former source VIPs are kept until the new one has its endpoint.
        if self.desired.source_vip().is_some_and(|address| dirty.addresses.contains(&address)) {
            addresses.extend(self.observed.source_vip_endpoints());
        }
        // Removals come last: HNS would delete an endpoint that a load balancer still refers to.
        for address in addresses {
            self.plan_removals(address, &released, &mut plan);
        }
        plan
    }

    /// The dirty frontends and the dirty addresses of Services, by Service. One Service's steps are planned together,
    /// so that a failure does not delay other Services.
    fn units(&self, dirty: &Dirty) -> Vec<(Option<ServiceName>, Unit)> {
        let mut units: FxHashMap<_, Unit> = FxHashMap::default();
        let mut source_vip = Unit::default();
        for address in &dirty.addresses {
            // The load balancers of all Services in an overlay network need the source VIP, so it belongs to no
            // Service. It is a unit of its own: the unit of frontends without a Service would get its rank, and
            // deletions would come before DNS.
            if matches!(self.desired.purpose(*address), Some(EndpointPurpose::SourceVip)) {
                source_vip.addresses.push(*address);
            } else if let Some(service) = self.desired.service_at(*address) {
                units.entry(Some(service.clone())).or_default().addresses.push(*address);
            }
        }
        for frontend in &dirty.frontends {
            let service = self.desired.frontend(*frontend).map(|owner| owner.service.clone());
            units.entry(service).or_default().frontends.push(*frontend);
        }
        units.into_iter().chain([(None, source_vip)]).collect()
    }

    fn plan_unit(&self, service: Option<ServiceName>, unit: Unit) -> (order::Rank, Plan) {
        let mut plan = Plan::default();
        for address in unit.addresses {
            if let Some(endpoint) = self.missing_endpoint(address) {
                let id = self.id_of(&endpoint);
                let action = endpoint.into_action(id);
                plan.steps.push(Step { action, service: service.clone(), reason: Reason::Missing });
            }
        }
        // A Service is put last only if all its frontends failed: one refused port must not delay the others of the
        // same Service.
        let failed = !unit.frontends.is_empty() && unit.frontends.iter().all(|f| self.constraints.failed.contains(f));
        let root = &self.settings.root_endpoint_name;
        let is_lost = |f: &Frontend| has_lost_backend(*f, self.desired, self.observed, root);
        let lost = self.constraints.lost_first && unit.frontends.iter().any(is_lost);
        for frontend in unit.frontends {
            self.plan_frontend(frontend, &mut plan);
        }
        (order::Rank::of(service, &plan.steps, failed, lost), plan)
    }
}
