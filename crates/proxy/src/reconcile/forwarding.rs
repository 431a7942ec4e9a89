//! Support for the VIP probe: lists programmed frontends, and replaces a load balancer that does not forward.

use std::net::SocketAddr;

use super::Reconciler;
use crate::apply::Outcome;
use crate::dirty::{Dirty, Subject};
use crate::frontend::{Frontend, FrontendKind};
use crate::model::ServiceName;
use crate::plan::{Action, PlanReport};

/// A frontend whose load balancer is programmed in HNS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProgrammedFrontend {
    pub frontend: Frontend,
    /// The backends of the load balancer.
    pub backends: Vec<SocketAddr>,
}

impl Reconciler {
    /// Returns the cluster IP frontends of a Service whose load balancers are in sync. Empty while HNS is unavailable, because a probe
    /// could not distinguish a load balancer that does not forward from one that HNS has lost.
    pub fn programmed_cluster_ips(&self, service: &ServiceName) -> Vec<ProgrammedFrontend> {
        if self.audit_error().is_some() {
            return Vec::new();
        }
        let is_programmed = |frontend: Frontend| {
            self.owner(frontend) == Some(service)
                && self.is_settled(Subject::Frontend(frontend))
                && self.observed.on(frontend).next().is_some()
        };
        let specs = self.desired.specs_of(service).iter().filter(|spec| spec.kind == FrontendKind::ClusterIp);
        let specs = specs.filter(|spec| !spec.targets.is_empty() && is_programmed(spec.frontend));
        let programmed = specs.map(|spec| ProgrammedFrontend {
            frontend: spec.frontend,
            backends: (spec.targets.iter().filter_map(|target| target.address()))
                .map(|address| SocketAddr::new(address, spec.internal_port))
                .collect(),
        });
        programmed.collect()
    }

    /// Replaces the load balancer of a frontend once, even if it is in sync. Does nothing if no load balancer is desired.
    pub fn replace_load_balancer(&mut self, frontend: Frontend) {
        if self.desired.frontend(frontend).is_some_and(|desired| !desired.spec.targets.is_empty()) {
            self.not_forwarding.insert(frontend);
            self.dirty.frontends.insert(frontend);
        }
    }

    /// Removes the replacements that the plan has made or that are no longer needed. Replacements that were postponed or interrupted, or
    /// whose deletion failed, stay for a later plan.
    pub(super) fn end_replacements(
        &mut self,
        report: &PlanReport,
        outcomes: &[Outcome],
        planned: &Dirty,
        left: &Dirty,
    ) {
        let is_unavailable = self.audit.has_failed();
        self.not_forwarding.retain(|frontend| {
            let deletes = |outcome: &&Outcome| matches!(&outcome.step.action, Action::DeleteLoadBalancer { frontend: of, .. } if of == frontend);
            let mut deletions = outcomes.iter().filter(deletes).peekable();
            let is_open = match deletions.peek() {
                // After the deletion, the frontend is like any other frontend without a load balancer, and is planned as usual.
                Some(_) => deletions.all(|outcome| outcome.result.is_err()),
                None => {
                    let subject = Subject::Frontend(*frontend);
                    is_unavailable || report.postponed.contains(frontend) || left.contains(subject)
                }
            };
            is_open || !planned.frontends.contains(frontend)
        });
    }
}
