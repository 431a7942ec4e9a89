//! One run: plan, apply, and what to do about what failed.

use super::*;

/// How often one run plans anew at once: after a change in place that had no effect, or a refusal that a second look may explain.
const ROUNDS: usize = 6;
/// How long after a failed look the next is due.
const LOOK_AGAIN_AFTER: Duration = Duration::from_secs(1);

impl Reconciler {
    /// Brings HNS in step, as far as it can be now. What fails is tried again when it is due.
    pub fn run(&mut self, client: &Client, now: Duration) -> Report {
        self.work = Work::default();
        let mut outcomes = Vec::new();
        let ready = self.is_complete() && !(self.suspended && self.observe(client).is_err());
        if !ready {
            let next = if self.suspended { Next::At(now + LOOK_AGAIN_AFTER) } else { Next::Idle };
            return Report { outcomes, next, work: self.work };
        }
        self.wake(now);
        let mut looked = false;
        for _ in 0..ROUNDS {
            let plan = self.plan(now);
            if self.look_before(&plan, client) {
                continue;
            }
            let dirty = std::mem::take(&mut self.dirty);
            self.work.frontends += dirty.frontends.len();
            self.work.addresses += dirty.addresses.len();
            self.note(&plan, &dirty, now);
            let doubt = self.apply(plan, dirty, client, now, &mut outcomes);
            if doubt && !looked {
                looked = true;
                self.look_again(client);
            }
            if self.dirty.is_empty() || self.suspended {
                break;
            }
        }
        let pending = match (self.suspended, self.dirty.is_empty()) {
            (true, _) => Some(now + LOOK_AGAIN_AFTER),
            (false, true) => None,
            (false, false) => Some(now),
        };
        let next = [pending, self.failed.next(), self.awaited.next()].into_iter().flatten().min();
        Report { outcomes, next: next.map_or(Next::Idle, Next::At), work: self.work }
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
        for subject in self.awaited.due(now) {
            if let Subject::Address(address) = subject {
                self.endpoints_fresh = false;
                let users: Vec<_> = self.desired.users(Target::Address { address, local: true }).collect();
                if users.is_empty() {
                    self.awaited.settled(subject);
                }
                self.dirty.frontends.extend(users);
            }
        }
    }

    /// Applies a plan, and makes dirty what is worth planning anew at once. Answers whether HNS must hold something else than believed.
    fn apply(&mut self, plan: Plan, dirty: Dirty, client: &Client, now: Duration, outcomes: &mut Vec<Outcome>) -> bool {
        let (Some(network), Some(capabilities)) =
            (self.network.as_ref().map(|network| network.id), &mut self.capabilities)
        else {
            return false;
        };
        plan.adopted_endpoints.iter().for_each(|id| self.observed.adopt_endpoint(*id));
        plan.adopted_load_balancers.iter().for_each(|id| self.observed.adopt_load_balancer(*id));
        let mut run = Run::new(client, network, &mut self.observed, capabilities, &mut self.modify_verified);
        let mut new: Vec<Outcome> = Vec::with_capacity(plan.steps.len());
        for step in plan.steps {
            let outcome = run.apply(step);
            let unavailable = outcome.result.as_ref().is_err_and(Failure::is_unavailable);
            new.push(outcome);
            if unavailable {
                // Whatever is asked next would fail too. All of it is planned again when HNS can be looked at.
                self.suspended = true;
                break;
            }
        }

        let mut doubt = false;
        let mut unsettled: BTreeSet<Subject> = BTreeSet::new();
        let mut created = Vec::new();
        for Outcome { step, result } in &new {
            let subject = step.action.subject();
            match result {
                Ok(()) => created.extend(match &step.action {
                    Action::CreateEndpoint { address, .. } => Some(*address),
                    _ => None,
                }),
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
        let addresses = dirty.addresses.iter().copied().chain(created).map(Subject::Address);
        for subject in frontends.chain(addresses).filter(|subject| !unsettled.contains(subject)) {
            // An address that is held back was not tried; its failure stands.
            if matches!(subject, Subject::Frontend(_)) || !self.failed.holds_back(subject, now) {
                self.failed.settled(subject);
            }
        }
        if self.suspended {
            self.dirty.merge(dirty);
        }
        outcomes.extend(new);
        doubt
    }

    /// Replaces what was noted of the frontends that a plan covers.
    fn note(&mut self, plan: &Plan, dirty: &Dirty, now: Duration) {
        for frontend in &dirty.frontends {
            self.notices.remove(frontend);
        }
        for (frontend, notice) in &plan.notices {
            self.notices.entry(*frontend).or_default().push(notice.clone());
        }
        for address in &plan.awaited {
            self.awaited.failed(Subject::Address(*address), now);
        }
        let found = |address: &IpAddr| self.observed.local_at(*address).is_some();
        dirty.addresses.iter().filter(|a| found(a)).for_each(|a| self.awaited.settled(Subject::Address(*a)));
    }
}
