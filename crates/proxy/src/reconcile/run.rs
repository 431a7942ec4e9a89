//! One run: plan, apply, and what to do about what failed.

use super::*;
use crate::apply::{Driver, OneByOne, Queue};
use crate::plan::is_infrastructure;

/// How often one run plans anew at once: after a change in place that had no effect, or a refusal that a second look may explain.
const ROUNDS: usize = 6;
/// So many frontends are planned at once: the steps of a plan hold documents, and a large cluster has many. The next run goes on.
const AT_ONCE: usize = 256;
/// How long after a failed look the next is due.
const LOOK_AGAIN_AFTER: Duration = Duration::from_secs(1);

impl Reconciler {
    /// Brings HNS in step, as far as it can be now, one call after the other. What fails is tried again when it is due.
    pub fn run(&mut self, client: &Client, now: Duration) -> Report {
        self.run_with(client, now, &OneByOne)
    }

    /// As [`run`](Self::run), with writes carried out by a driver.
    pub fn run_with(&mut self, client: &Client, now: Duration, driver: &dyn Driver) -> Report {
        self.work = Work::default();
        let mut outcomes = Vec::new();
        let ready = self.is_complete() && !(self.suspended && self.try_observe(client, look::Part::Both).is_err());
        if !ready {
            let next = if self.suspended { Next::At(now + LOOK_AGAIN_AFTER) } else { Next::Idle };
            return Report { outcomes, next, work: self.work, drift: std::mem::take(&mut self.drift) };
        }
        self.wake(now);
        let later = self.set_aside();
        let mut looked = false;
        for _ in 0..ROUNDS {
            let plan = self.plan(now);
            if self.look_before(&plan, client) {
                continue;
            }
            let mut dirty = std::mem::take(&mut self.dirty);
            // A plan covers more than was dirty: endpoints that its load balancers take up, or let go.
            plan.steps.iter().for_each(|step| dirty.insert(step.action.subject()));
            self.work.frontends += dirty.frontends.len();
            self.work.addresses += dirty.addresses.len();
            self.note(&plan, &dirty, now);
            let new = self.apply(plan, &dirty, client, driver, now);
            let doubt = self.judge(&new, dirty, now);
            if doubt && !looked && !self.suspended {
                looked = true;
                self.look_again(client);
            }
            for (outcome, _) in Report::failed(&new).filter(|(_, failure)| failure.is_port_in_use()) {
                outcome
                    .step
                    .action
                    .subject()
                    .frontend()
                    .into_iter()
                    .for_each(|frontend| self.note_port_in_use(frontend));
            }
            outcomes.extend(new);
            if self.dirty.is_empty() || self.suspended {
                break;
            }
        }
        self.dirty.merge(later);
        let pending = match (self.suspended, self.dirty.is_empty()) {
            (true, _) => Some(now + LOOK_AGAIN_AFTER),
            (false, true) => None,
            (false, false) => Some(now),
        };
        if self.is_converged() {
            self.health.converged();
        }
        let next = [pending, self.failed.next(), self.awaited.next(), self.pacing.next()].into_iter().flatten().min();
        let drift = std::mem::take(&mut self.drift);
        Report { outcomes, next: next.map_or(Next::Idle, Next::At), work: self.work, drift }
    }

    /// Leaves as many frontends dirty as are planned at once, and answers the rest: addresses, which come when their frontends have had
    /// their turn, and the frontends that are less urgent.
    fn set_aside(&mut self) -> Dirty {
        if self.dirty.frontends.len() <= AT_ONCE {
            return Dirty::default();
        }
        let failed: FxHashSet<Frontend> = self.failed.subjects().filter_map(Subject::frontend).collect();
        let urgency = |frontend| {
            let service = self.desired.owned(frontend).map(|owned| &owned.service);
            (failed.contains(&frontend), !service.is_some_and(is_infrastructure), service)
        };
        let mut frontends: Vec<_> =
            self.dirty.frontends.iter().map(|frontend| (urgency(*frontend), *frontend)).collect();
        frontends.select_nth_unstable(AT_ONCE);
        let urgent: BTreeSet<Frontend> = frontends.into_iter().take(AT_ONCE).map(|(_, frontend)| frontend).collect();
        let mut later = std::mem::take(&mut self.dirty);
        later.frontends.retain(|frontend| !urgent.contains(frontend));
        self.dirty.frontends = urgent;
        later
    }

    /// Makes dirty what is due to be tried, or looked for, again.
    fn wake(&mut self, now: Duration) {
        for subject in self.failed.due(now) {
            match subject {
                Subject::Frontend(frontend) => {
                    self.dirty.frontends.insert(frontend);
                }
                Subject::Address(address) => {
                    self.dirty.addresses.insert(address);
                    self.dirty.frontends.extend(self.desired.users_of(address));
                }
            }
        }
        self.dirty.frontends.extend(self.pacing.due(now));
        for address in self.awaited.due(now).into_iter().filter_map(Subject::address) {
            self.endpoints_fresh = false;
            let users: Vec<_> = self.desired.users(Target::Address { address, local: true }).collect();
            if users.is_empty() {
                self.awaited.settled(Subject::Address(address));
            }
            self.dirty.frontends.extend(users);
        }
    }

    /// Applies a plan.
    fn apply(
        &mut self,
        plan: Plan,
        dirty: &Dirty,
        client: &Client,
        driver: &dyn Driver,
        now: Duration,
    ) -> Vec<Outcome> {
        let Some(capabilities) = &mut self.capabilities else { return Vec::new() };
        plan.adopted_endpoints.iter().for_each(|id| self.observed.adopt_endpoint(*id));
        plan.adopted_load_balancers.iter().for_each(|id| self.observed.adopt_load_balancer(*id));
        for frontend in &dirty.frontends {
            self.pacing.planned(*frontend, plan.report.postponed.contains(frontend));
        }
        let mut queue = Queue::new(plan.steps, &mut self.observed, capabilities, &mut self.modify_verified);
        driver.drive(client, &mut queue);
        let (outcomes, stopped) = queue.finish();
        if stopped {
            self.suspended = true;
            let trouble = outcomes.iter().rev().find_map(|outcome| match &outcome.result {
                Err(Failure::Hns(error)) if error.class() == Class::Unavailable => {
                    Some(ObserveError::Hns(error.clone()))
                }
                _ => None,
            });
            self.health.note(trouble.as_ref().map_or(Ok(()), Err));
        }
        let mut released = BTreeSet::new();
        for Outcome { step, result, .. } in &outcomes {
            match &step.action {
                Action::DeleteLoadBalancer { frontend, .. } if result.is_ok() => drop(released.insert(*frontend)),
                Action::CreateLoadBalancer { frontend, .. } if released.contains(frontend) => {
                    self.pacing.replaced(*frontend, now);
                }
                _ => {}
            }
        }
        outcomes
    }

    /// Makes dirty what is worth planning anew at once, and sees to it that what failed is tried again. Answers whether HNS must hold
    /// something else than believed.
    fn judge(&mut self, outcomes: &[Outcome], dirty: Dirty, now: Duration) -> bool {
        let mut doubt = false;
        let mut unsettled: BTreeSet<Subject> = BTreeSet::new();
        for Outcome { step, result, .. } in outcomes {
            let subject = step.action.subject();
            match result {
                Ok(()) => {}
                // Planned anew, the load balancer is replaced, or does without the endpoint that failed.
                Err(failure) if failure.suggests_another_plan(&step.action) => self.dirty.insert(subject),
                Err(failure) => {
                    doubt |= failure.suggests_another_look();
                    unsettled.insert(subject);
                }
            }
        }
        unsettled.iter().for_each(|subject| self.failed.failed(*subject, now));
        let frontends = dirty.frontends.iter().map(|frontend| Subject::Frontend(*frontend));
        let addresses = dirty.addresses.iter().copied().map(Subject::Address);
        for subject in frontends.chain(addresses).filter(|subject| !unsettled.contains(subject)) {
            // An address that is held back was not tried; its failure stands.
            if matches!(subject, Subject::Frontend(_)) || !self.failed.holds_back(subject, now) {
                self.failed.settled(subject);
            }
        }
        if self.suspended {
            self.dirty.merge(dirty);
        }
        doubt
    }

    /// Replaces what was noted of the frontends that a plan covers.
    fn note(&mut self, plan: &Plan, dirty: &Dirty, now: Duration) {
        for frontend in &dirty.frontends {
            self.notices.remove(frontend);
            self.waiting.remove(frontend);
        }
        self.waiting.extend(&plan.report.waiting);
        for (frontend, notice) in &plan.report.conditions {
            self.notices.entry(*frontend).or_default().push(notice.clone());
        }
        for address in &plan.report.awaited {
            self.awaited.failed(Subject::Address(*address), now);
        }
        // What was due and is not awaited any more, be it that its frontend has to wait itself, is awaited anew once a plan says so.
        for subject in self.awaited.due(now) {
            self.awaited.settled(subject);
        }
        let found = |address: &IpAddr| self.observed.local_at(*address).is_some();
        dirty.addresses.iter().filter(|a| found(a)).for_each(|a| self.awaited.settled(Subject::Address(*a)));
    }
}
