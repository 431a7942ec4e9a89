//! The difference between what HNS should hold and what it holds, as ordered steps.
//!
//! A [`Plan`] is a value: it can be printed, counted, tested, and run. It covers just the dirty frontends and addresses, so that its
//! cost is that of the change. It decides everything; [`apply`](crate::apply) only carries steps out.
//!
//! Promises, checked by the property tests:
//! - equal states give an empty plan;
//! - local endpoints, and objects of others on frontends and addresses that nobody here wants, are never touched, but for what
//!   kube-proxy left where the settings say so;
//! - a frontend is released just before it is claimed again, and a load balancer that differs in its backends only is changed in
//!   place where HNS can;
//! - an endpoint is created before the first load balancer that refers to it, and deleted after the last has let it go.

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
pub(crate) use order::is_infrastructure;
pub use report::PlanReport;
pub use resolve::Resolved;
pub use status::FrontendStatus;
pub use step::{Action, Reason, Step};

/// What is to be done.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Plan {
    /// The steps, in order.
    pub steps: Vec<Step>,
    /// Endpoints of others that are just what we want: from now on ours.
    pub adopted_endpoints: BTreeSet<Guid>,
    /// Load balancers of others that are just what we want: from now on ours.
    pub adopted_load_balancers: BTreeSet<Guid>,
    /// What is not a step.
    pub report: PlanReport,
}

impl Plan {
    /// Whether HNS holds what it should, as far as this plan looked.
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// Adds what was planned for another Service; an endpoint that several need is created once, for the first.
    fn append(&mut self, other: Plan, created: &mut FxHashSet<Guid>) {
        let new = |step: &Step| !matches!(step.action, Action::CreateEndpoint { id, .. } if !created.insert(id));
        self.steps.extend(other.steps.into_iter().filter(new));
        self.adopted_endpoints.extend(other.adopted_endpoints);
        self.adopted_load_balancers.extend(other.adopted_load_balancers);
        self.report.append(other.report);
    }
}

/// What is not to be done now, or only after all else.
#[derive(Debug, Clone, Default)]
pub struct Restraint {
    /// Addresses whose endpoints could not be created, and are not to be tried again yet.
    pub blocked: FxHashSet<IpAddr>,
    /// Frontends whose load balancer was replaced too short a time ago to be replaced again.
    pub replaced: FxHashSet<Frontend>,
    /// Frontends that have failed before: they come after those that have not.
    pub failed: FxHashSet<Frontend>,
}

/// Everything that a plan depends on.
#[derive(Debug, Clone, Copy)]
pub struct Planner<'a> {
    /// What HNS should hold.
    pub desired: &'a Desired,
    /// What it holds.
    pub observed: &'a Observed,
    /// What the operator sets.
    pub settings: &'a Settings,
    /// What the host knows of itself.
    pub host: &'a Host,
    /// The networks.
    pub networks: &'a Networks,
    /// What HNS can do.
    pub capabilities: &'a Capabilities,
    /// What is not to be done now.
    pub restraint: &'a Restraint,
}

#[derive(Debug, Default)]
struct Unit {
    addresses: Vec<IpAddr>,
    frontends: Vec<Frontend>,
}

impl Planner<'_> {
    /// What is to be done for the dirty frontends and addresses.
    pub fn plan(&self, dirty: &Dirty) -> Plan {
        let mut parts: Vec<_> =
            self.units(dirty).into_iter().map(|(service, unit)| self.plan_unit(service, unit)).collect();
        parts.sort_by(|a, b| a.0.cmp(&b.0));
        let mut plan = Plan::default();
        let mut created = FxHashSet::default();
        parts.into_iter().for_each(|(_, part)| plan.append(part, &mut created));
        let released = self.released(&plan);
        // An endpoint may have been let go by what is wanted long before the load balancer lets it go, where that had to wait.
        let let_go = released.iter().filter(|(_, count)| **count > 0).filter_map(|(id, _)| self.observed.endpoint(*id));
        let let_go = let_go.filter(|held| held.remote).flat_map(|held| held.addresses.iter());
        let addresses: BTreeSet<IpAddr> =
            dirty.addresses.iter().chain(let_go).chain(&plan.report.left_out).copied().collect();
        for address in addresses {
            self.plan_removals(address, &released, &mut plan);
        }
        plan
    }

    /// The dirty frontends and addresses of our own, by Service.
    fn units(&self, dirty: &Dirty) -> FxHashMap<Option<ServiceName>, Unit> {
        let mut units: FxHashMap<_, Unit> = FxHashMap::default();
        for address in &dirty.addresses {
            if matches!(self.desired.purpose(*address), Some(EndpointPurpose::SourceVip)) {
                units.entry(None).or_default().addresses.push(*address);
            } else if let Some(service) = self.desired.service_at(*address) {
                units.entry(Some(service.clone())).or_default().addresses.push(*address);
            }
        }
        for frontend in &dirty.frontends {
            let service = self.desired.owned(*frontend).map(|owned| owned.service.clone());
            units.entry(service).or_default().frontends.push(*frontend);
        }
        units
    }

    fn plan_unit(&self, service: Option<ServiceName>, unit: Unit) -> (order::Rank, Plan) {
        let mut plan = Plan::default();
        for address in unit.addresses {
            if let Some(endpoint) = self.missing_endpoint(address) {
                let action = endpoint.into_action();
                plan.steps.push(Step { action, service: service.clone(), reason: Reason::Missing });
            }
        }
        let failed = !unit.frontends.is_empty() && unit.frontends.iter().all(|f| self.restraint.failed.contains(f));
        for frontend in unit.frontends {
            self.plan_frontend(frontend, &mut plan);
        }
        (order::Rank::of(service, &plan.steps, failed), plan)
    }
}
