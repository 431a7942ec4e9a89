//! One run: plans what is dirty, applies the plan, and schedules retries.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Duration;

use hcn::Client;
use rustc_hash::FxHashSet;

use super::report::failures;
use super::turns::MAX_FRONTENDS;
use super::{Next, Reconciler, Report, Work};
use crate::apply::{Driver, Interrupt, OneByOne, Outcome, UNINTERRUPTED};
use crate::dirty::{Dirty, Subject};
use crate::frontend::{EndpointPurpose, Frontend, Target};
use crate::plan::{Action, has_lost_backend, is_infrastructure};

/// The maximum number of plans of one run. A run plans again if a recheck finds something, if a modification has no
/// effect, or if a list after a refusal finds something. The limit prevents an HNS whose answers change each time from
/// delaying other changes: the next run continues.
const MAX_PLANS: usize = 6;
/// The delay between a failed audit and the next one. HNS is back within seconds after a restart.
const AUDIT_RETRY_DELAY: Duration = Duration::from_secs(1);

/// How a run carries out its plans.
#[derive(Clone, Copy)]
pub(super) struct Execution<'a> {
    pub(super) driver: &'a dyn Driver,
    pub(super) interrupt: Interrupt<'a>,
    /// The frontend that is next in turn after an interruption.
    pub(super) turn: Option<Frontend>,
}

impl Reconciler {
    /// Programs what is dirty, one call after the other. Failed steps are retried when they are due.
    pub fn run(&mut self, client: &Client, now: Duration) -> Report {
        self.run_with(client, now, &OneByOne)
    }

    /// As [`run`](Self::run), with writes carried out by a driver.
    pub fn run_with(&mut self, client: &Client, now: Duration, driver: &dyn Driver) -> Report {
        self.run_until(client, now, driver, UNINTERRUPTED)
    }

    /// As [`run_with`](Self::run_with), until `interrupt` ends the run. What is left stays dirty, and the next run is due at once.
    pub fn run_until(
        &mut self,
        client: &Client,
        now: Duration,
        driver: &dyn Driver,
        interrupt: Interrupt<'_>,
    ) -> Report {
        self.work = Work::default();
        if !self.is_ready(client) {
            self.record_pending(now);
            let next = if self.audit.has_failed() { Next::At(now + AUDIT_RETRY_DELAY) } else { Next::Idle };
            return Report { outcomes: Vec::new(), next, is_status_due: true, work: self.work };
        }
        self.mark_due_retries(now);
        self.delay_contended(now);
        // After the retries were marked, so that they are part of the order of urgency.
        let turn = self.turns.next(&self.dirty.frontends);
        let mut rest = self.limit_batch(turn);
        let (outcomes, interrupted) = self.plan_and_apply(client, now, Execution { driver, interrupt, turn });
        self.turns.run_ended(interrupted, outcomes.len());
        self.end_dirt_of_created(&outcomes, &mut rest.addresses);
        self.dirty.merge(rest);
        let is_status_due = self.record_pending(now);
        if self.health.is_restarted() && !self.has_backlog() && self.pending(&self.progress()).is_empty() {
            self.health.record_in_sync();
        }
        Report { outcomes, next: self.next_run(now), is_status_due, work: self.work }
    }

    /// Whether anything may be written: the cluster is complete, and the last audit succeeded. Makes a whole audit if
    /// the last one failed.
    fn is_ready(&mut self, client: &Client) -> bool {
        if !self.inputs.is_complete() {
            return false;
        }
        // After an error, the state of HNS is unknown: a whole audit comes before any write.
        !self.audit.has_failed() || self.audit(client).is_ok()
    }

    /// Marks the subjects whose retry is due as dirty.
    fn mark_due_retries(&mut self, now: Duration) {
        for subject in self.retries.failed.due(now) {
            match subject {
                Subject::Frontend(frontend) => {
                    self.dirty.frontends.insert(frontend);
                }
                Subject::Address(address) => {
                    self.dirty.addresses.insert(address);
                    // Their load balancers were programmed without the endpoint that failed.
                    self.dirty.frontends.extend(self.desired.users_of(address));
                }
            }
        }
        // A second has passed since the last replacement: all backend changes since then are programmed at once.
        self.dirty.frontends.extend(self.pacing.due(now));
        // While batches are left, the retries of earlier batches wait: each batch would list all endpoints for them, and
        // plan them before what was never planned.
        if self.dirty.frontends.len() > MAX_FRONTENDS {
            return;
        }
        self.retries.awaited_in_run = self.retries.missing_local.due(now);
        for address in self.retries.awaited_in_run.clone().into_iter().filter_map(Subject::address) {
            // HNS does not notify when an endpoint is created. It may notify when one is attached (`EndpointAttached`), but that is not
            // reliable, so a list shows whether the CNI has created it.
            self.audit.mark_endpoints_outdated();
            let users: Vec<_> = self.desired.users(Target::Address { address, local: true }).collect();
            // No Service uses the address any more, so no plan will clear it.
            if users.is_empty() {
                self.retries.missing_local.clear(Subject::Address(address));
            }
            self.dirty.frontends.extend(users);
        }
    }

    /// Leaves one batch of frontends dirty, with the one that is next in turn, and the addresses that it needs on an overlay network. Returns the
    /// rest: the less urgent frontends, and all other addresses. These are planned with the last batch, since an endpoint is deleted after the load
    /// balancers that refer to it are replaced.
    fn limit_batch(&mut self, turn: Option<Frontend>) -> Dirty {
        let batch = self.turns.batch();
        if self.dirty.frontends.len() <= batch {
            return Dirty::default();
        }
        let failed: FxHashSet<Frontend> = self.retries.failed_frontends();
        let root = &self.environment.settings.root_endpoint_name;
        // As in the order of a plan: DNS and the Service of the API server first, then Services with a backend that is gone, retries last.
        let urgency = |frontend| {
            let service = self.desired.frontend(frontend).map(|owner| &owner.service);
            let is_infrastructure = service.is_some_and(is_infrastructure);
            let lost = has_lost_backend(frontend, &self.desired, &self.observed, root);
            (failed.contains(&frontend), !is_infrastructure, !lost, service)
        };
        let mut rest = std::mem::take(&mut self.dirty);
        // The order inside the batch does not matter: the plan sorts by Service.
        let mut batch = self.order.take(batch, &mut rest.frontends, urgency);
        batch.extend(turn.filter(|frontend| rest.frontends.remove(frontend)));
        // Only addresses of the batch are checked: a start has all addresses of the cluster dirty, and many batches.
        let addresses = batch.iter().filter_map(|frontend| frontend.address);
        let is_service_address =
            |address: &IpAddr| self.desired.purpose(*address) == Some(EndpointPurpose::ServiceAddress);
        let needed = addresses.filter(is_service_address).chain(self.desired.source_vip());
        let needed = needed.filter(|address| rest.addresses.remove(address)).collect();
        self.dirty = Dirty { frontends: batch, addresses: needed };
        rest
    }

    /// Plans and applies until nothing is dirty, or the rest must wait. Also returns whether the run was interrupted.
    fn plan_and_apply(&mut self, client: &Client, now: Duration, execution: Execution<'_>) -> (Vec<Outcome>, bool) {
        let mut all = Vec::new();
        let (mut rechecked, mut interrupted) = (false, false);
        for _ in 0..MAX_PLANS {
            // A recheck of the last plan may have found drift.
            self.delay_contended(now);
            let mut plan = self.plan(now);
            // A list or a document was read and shows something new, so this plan is out of date.
            if self.recheck_before(&plan, client) {
                continue;
            }
            // HNS was unavailable for that read: the plan waits for an audit.
            if self.audit.has_failed() {
                break;
            }
            let mut dirty = std::mem::take(&mut self.dirty);
            // A plan covers more than what was dirty: also endpoints that its load balancers start or stop using.
            plan.steps.iter().for_each(|step| dirty.insert(step.action.subject()));
            self.mark_replanned(&dirty.frontends, &plan);
            self.work.frontends += dirty.frontends.len();
            self.work.addresses += dirty.addresses.len();
            let report = std::mem::take(&mut plan.report);
            let (outcomes, left) = self.apply(plan, client, execution, now);
            interrupted = !left.is_empty();
            self.record_plan(&report, &dirty, interrupted, now);
            self.end_replacements(&report, &outcomes, &dirty, &left);
            let outdated = self.settle(&outcomes, dirty, left, now);
            // One list for each run: if it does not explain the refusals, a second one would not either.
            if outdated && !rechecked && !interrupted && !self.audit.has_failed() {
                rechecked = true;
                self.recheck_after_refusal(client);
            }
            // After the list, which may show what uses the port.
            for (outcome, failure) in failures(&outcomes) {
                let Some(frontend) = outcome.step.action.subject().frontend() else { continue };
                if failure.is_port_in_use() {
                    self.add_port_in_use(frontend);
                } else if failure.is_out_of_resources() {
                    self.add_out_of_ports(frontend);
                }
            }
            all.extend(outcomes);
            // During an outage, each call runs into its timeout.
            if self.dirty.is_empty() || self.audit.has_failed() || interrupted {
                break;
            }
        }
        (all, interrupted)
    }

    /// Removes addresses from the dirty set whose only endpoint was just created: there is nothing to delete.
    fn end_dirt_of_created(&self, outcomes: &[Outcome], addresses: &mut BTreeSet<IpAddr>) {
        for Outcome { step, result, .. } in outcomes {
            if let (Action::CreateEndpoint { address, .. }, Ok(())) = (&step.action, result)
                && self.observed.at(*address).count() == 1
            {
                addresses.remove(address);
            }
        }
    }

    /// When to run again if nothing changes.
    fn next_run(&self, now: Duration) -> Next {
        let pending = match (self.audit.has_failed(), self.dirty.is_empty()) {
            (true, _) => Some(now + AUDIT_RETRY_DELAY),
            (false, true) => None,
            // The rest of the batch, or what the last plan or an interruption left.
            (false, false) => Some(now),
        };
        let next =
            [pending, self.retries.next(), self.pacing.next(), self.contention.next()].into_iter().flatten().min();
        next.map_or(Next::Idle, Next::At)
    }
}
