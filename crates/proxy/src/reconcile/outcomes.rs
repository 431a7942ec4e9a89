//! Records the results of a plan and of its steps.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Duration;

use hcn::{Class, Client};

use super::Reconciler;
use super::report::failures;
use crate::apply::{Driver, Failure, Outcome, Queue};
use crate::dirty::{Dirty, Subject};
use crate::plan::{Action, Plan};

impl Reconciler {
    /// Records the report of a plan: conditions, postponed frontends, missing local endpoints.
    pub(super) fn record_plan(&mut self, plan: &Plan, planned: &Dirty, now: Duration) {
        self.conditions.replace(&planned.frontends, plan);
        for frontend in &planned.frontends {
            self.pacing.planned(*frontend, plan.report.postponed.contains(frontend));
        }
        // The CNI may create the endpoint late or never, and HNS does not notify of the creation, at most of the attachment: the endpoints are
        // listed again with backoff.
        let missing_local = &mut self.retries.missing_local;
        for address in &plan.report.missing_local {
            missing_local.failed(Subject::Address(*address), now);
        }
        // Endpoints that were due and are no longer reported as missing, perhaps because their frontend is postponed,
        // are removed. If a later plan reports one, its backoff starts anew.
        for subject in std::mem::take(&mut self.retries.awaited_in_run) {
            if !missing_local.is_backing_off(subject, now) {
                missing_local.clear(subject);
            }
        }
        let has_endpoint = |address: &&IpAddr| self.observed.local_at(**address).is_some();
        for address in planned.addresses.iter().filter(has_endpoint) {
            missing_local.clear(Subject::Address(*address));
        }
    }

    /// Carries out the steps of a plan, and adopts the foreign objects that it names.
    pub(super) fn apply(&mut self, plan: Plan, client: &Client, driver: &dyn Driver, now: Duration) -> Vec<Outcome> {
        let environment = &mut self.environment;
        let Some(capabilities) = &mut environment.capabilities else { return Vec::new() };
        // Adopting is no call: only the owner in the observed state changes.
        plan.adopted_endpoints.iter().for_each(|id| self.observed.adopt_endpoint(*id));
        plan.adopted_load_balancers.iter().for_each(|id| self.observed.adopt_load_balancer(*id));
        let mut queue = Queue::new(plan.steps, &mut self.observed, capabilities, &mut environment.modify_verified);
        driver.drive(client, &mut queue);
        let outcomes = queue.finish();
        // During an outage HNS may have carried out a write without an answer: an audit must succeed before the next
        // write.
        let unavailable = |(_, failure): (&Outcome, &Failure)| match failure {
            Failure::Hns(error) if error.class() == Class::Unavailable => Some(error.clone()),
            _ => None,
        };
        if let Some(error) = failures(&outcomes).filter_map(unavailable).last() {
            self.audit.record_unanswered_write(error);
        }
        self.record_replacements(&outcomes, now);
        outcomes
    }

    /// Records which load balancers were replaced: each replacement cuts connections, so the next one is delayed.
    fn record_replacements(&mut self, outcomes: &[Outcome], now: Duration) {
        let mut released = BTreeSet::new();
        for Outcome { step, result, .. } in outcomes {
            match &step.action {
                Action::DeleteLoadBalancer { frontend, .. } if result.is_ok() => drop(released.insert(*frontend)),
                // Even if the creation failed: the connections are already cut.
                Action::CreateLoadBalancer { frontend, .. } if released.contains(frontend) => {
                    self.pacing.replaced(*frontend, now);
                }
                _ => {}
            }
        }
    }

    /// Schedules the subjects of a plan: plan again in this run, retry with backoff, or done. Returns whether a refusal shows that the observed state is
    /// out of date.
    pub(super) fn settle(&mut self, outcomes: &[Outcome], planned: Dirty, now: Duration) -> bool {
        let mut outdated = false;
        let mut failed: BTreeSet<Subject> = BTreeSet::new();
        for Outcome { step, result, .. } in outcomes {
            let subject = step.action.subject();
            match result {
                Ok(()) => {}
                // The next plan differs: it replaces the load balancer, or does without the endpoint that failed.
                Err(failure) if failure.requires_replan(&step.action) => self.dirty.insert(subject),
                Err(failure) => {
                    // The retry alone would repeat the same refusal if the observed state is wrong.
                    outdated |= failure.requires_refresh();
                    failed.insert(subject);
                }
            }
        }
        failed.iter().for_each(|subject| self.retries.failed.failed(*subject, now));
        let frontends = planned.frontends.iter().map(|frontend| Subject::Frontend(*frontend));
        let addresses = planned.addresses.iter().copied().map(Subject::Address);
        for subject in frontends.chain(addresses).filter(|subject| !failed.contains(subject)) {
            // An address in backoff was not written, so its failure is kept. A frontend is always planned.
            if matches!(subject, Subject::Frontend(_)) || !self.retries.failed.is_backing_off(subject, now) {
                self.retries.failed.clear(subject);
            }
        }
        // The steps after the first unanswered one were not carried out: everything is planned again after the audit.
        if self.audit.has_failed() {
            self.dirty.merge(planned);
        }
        outdated
    }
}
