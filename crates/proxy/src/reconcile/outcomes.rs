//! Records the results of a plan and of its steps.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Duration;

use hcn::{Class, Client};

use super::Reconciler;
use super::report::failures;
use super::run::Execution;
use crate::apply::{Failure, Outcome, Queue};
use crate::dirty::{Dirty, Subject};
use crate::plan::{Action, Plan, PlanReport};

impl Reconciler {
    /// Records the report of a plan: conditions, postponed frontends, missing local endpoints.
    pub(super) fn record_plan(&mut self, report: &PlanReport, planned: &Dirty, interrupted: bool, now: Duration) {
        self.conditions.replace(&planned.frontends, report);
        for frontend in &planned.frontends {
            self.pacing.planned(*frontend, report.postponed.contains(frontend));
        }
        // The CNI may create the endpoint late or never, and HNS does not notify of the creation, at most of the attachment: the endpoints are
        // listed again with backoff.
        let missing_local = &mut self.retries.missing_local;
        for subject in report.missing_local.iter().copied().map(Subject::Address) {
            // A frontend that an interruption has left is planned again and again, which is no further attempt.
            if !interrupted || !missing_local.is_backing_off(subject, now) {
                missing_local.failed(subject, now);
            }
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

    /// Carries out the steps of a plan, and adopts the foreign objects that it names. Also returns what an interruption has left.
    pub(super) fn apply(
        &mut self,
        plan: Plan,
        client: &Client,
        Execution { driver, interrupt, turn }: Execution<'_>,
        now: Duration,
    ) -> (Vec<Outcome>, Dirty) {
        let environment = &mut self.environment;
        let Some(capabilities) = &mut environment.capabilities else { return Default::default() };
        let hid_backends = self.observed.hides_any_backends();
        let turn = turn.map(|frontend| self.desired.frontend(frontend).map(|owner| owner.service.clone()));
        // Adopting is no call: only the owner in the observed state changes.
        plan.adopted_endpoints.iter().for_each(|id| self.observed.adopt_endpoint(*id));
        plan.adopted_load_balancers.iter().for_each(|id| self.observed.adopt_load_balancer(*id));
        let mut queue = Queue::new(plan.steps, &mut self.observed, capabilities, &mut environment.modify_verified)
            .interrupted_by(interrupt)
            .with_turn(turn);
        driver.drive(client, &mut queue);
        let (outcomes, left) = queue.finish();
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
        // The plan has kept all endpoints that a load balancer with unknown backends may have used. The plan may have written the last one.
        if hid_backends {
            self.observed.mark_unused_endpoints(&mut self.dirty);
        }
        (outcomes, left)
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

    /// Schedules the subjects of a plan: plan again, in this run or after an interruption in the next one; retry with backoff; or done. Returns
    /// whether a refusal shows that the observed state is out of date.
    pub(super) fn settle(&mut self, outcomes: &[Outcome], planned: Dirty, left: Dirty, now: Duration) -> bool {
        let mut outdated = false;
        let (mut failed, mut unanswered) = (BTreeSet::<Subject>::new(), BTreeSet::<Subject>::new());
        for Outcome { step, result, .. } in outcomes {
            let subject = step.action.subject();
            match result {
                Ok(()) => {}
                // The next plan differs: it replaces the load balancer, or does without the endpoint that failed.
                Err(failure) if failure.requires_replan(&step.action) => self.dirty.insert(subject),
                // An outage is not the fault of what was being written, and strikes first what is first in order, as DNS. It is planned again
                // after the audit, and keeps its place.
                Err(failure) if failure.is_unavailable() => drop(unanswered.insert(subject)),
                Err(failure) => {
                    // The retry alone would repeat the same refusal if the observed state is wrong.
                    outdated |= failure.requires_refresh();
                    failed.insert(subject);
                }
            }
        }
        let is_created =
            |outcome: &&Outcome| outcome.result.is_ok() && matches!(outcome.step.action, Action::CreateEndpoint { .. });
        let created =
            outcomes.iter().filter(is_created).filter_map(|one| one.step.action.subject().address()).collect();
        self.mark_left_by_kube_proxy(&created);
        failed.iter().for_each(|subject| self.retries.failed.failed(*subject, now));
        let frontends = planned.frontends.iter().map(|frontend| Subject::Frontend(*frontend));
        let addresses = planned.addresses.iter().copied().map(Subject::Address);
        // What an interruption has left was not written, so an earlier failure is kept.
        let is_done =
            |subject: &Subject| !failed.contains(subject) && !unanswered.contains(subject) && !left.contains(*subject);
        for subject in frontends.chain(addresses).filter(is_done) {
            // An address in backoff was not written, so its failure is kept. A frontend is always planned.
            if matches!(subject, Subject::Frontend(_)) || !self.retries.failed.is_backing_off(subject, now) {
                self.retries.failed.clear(subject);
            }
        }
        // The steps after the first unanswered one were not carried out: everything is planned again after the audit.
        if self.audit.has_failed() {
            self.dirty.merge(planned);
        }
        for address in &left.addresses {
            // A plan creates the endpoint of a backend with the frontends that use it, not because its address is dirty.
            self.dirty.frontends.extend(self.desired.users_of(*address));
        }
        self.dirty.merge(left);
        outdated
    }
}
