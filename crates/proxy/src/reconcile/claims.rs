//! Finds out from HNS which of several equally old Services had a frontend before this process started.

use std::cmp::Reverse;

use super::Reconciler;
use crate::desire::DesiredFrontend;
use crate::frontend::Frontend;
use crate::identity;
use crate::plan::{Constraints, Planner};

impl Reconciler {
    /// Leaves each frontend to the Service whose load balancer HNS has, if several equally old Services claim it. Which of
    /// them it is was known only to the previous process.
    pub(super) fn keep_owners(&mut self) {
        let constraints = Constraints::default();
        let Some(planner) = self.planner(&constraints) else { return };
        let owner = |(frontend, tied): (Frontend, Vec<DesiredFrontend>)| {
            let ranked = tied.into_iter().map(|claim| (resemblance(&planner, frontend, &claim), claim.service));
            // The first of equal ones, which is the owner if it is among them: so an HNS that says nothing changes nothing.
            let (resemblance, service) = ranked.min_by_key(|(resemblance, _)| Reverse(*resemblance))?;
            (resemblance > Resemblance::default()).then_some((frontend, service))
        };
        let owners: Vec<_> = self.desired.ties().filter_map(owner).collect();
        for (frontend, service) in owners {
            self.desired.assign(frontend, &service, &mut self.dirty);
        }
    }
}

/// How much a load balancer in HNS resembles the one that a Service asks for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Resemblance {
    is_equal: bool,
    /// The number of its backends that are the Service's: the backends may have changed since the load balancer was written.
    backends: usize,
}

/// The greatest resemblance of a load balancer on a frontend.
fn resemblance(planner: &Planner<'_>, frontend: Frontend, claim: &DesiredFrontend) -> Resemblance {
    let expected = planner.expected_load_balancer(claim);
    let expected = expected.map(|(_, document)| identity::load_balancer_content(&document, planner.capabilities));
    let is_backend = |address: &std::net::IpAddr| claim.spec.targets.iter().any(|t| t.address() == Some(*address));
    let of_load_balancer = |(_, observed): (_, &crate::observe::ObservedLoadBalancer)| {
        let endpoints = observed.endpoints.iter().filter_map(|id| planner.observed.endpoint(*id));
        Resemblance {
            is_equal: expected.is_some_and(|expected| expected.whole == observed.content.whole),
            backends: endpoints.filter(|endpoint| endpoint.addresses.iter().any(is_backend)).count(),
        }
    };
    planner.observed.on(frontend).map(of_load_balancer).max().unwrap_or_default()
}
