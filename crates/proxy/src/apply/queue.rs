//! The jobs of a plan: their order, their dependencies, and their outcomes.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use hcn::schema::LoadBalancer;
use hcn::{Guid, Kind};
use rustc_hash::{FxHashMap, FxHashSet};
use smallvec::SmallVec;

use super::interrupt::{Interrupt, Interruption, UNINTERRUPTED};
use super::job::{Answer, Fact, Job};
use super::{Failure, Outcome};
use crate::dirty::{Dirty, Subject};
use crate::frontend::EndpointPurpose;
use crate::identity::{self, Content, LoadBalancerContent};
use crate::model::ServiceName;
use crate::observe::Observed;
use crate::plan::{Action, Step};
use crate::settings::Capabilities;

/// The steps of a job that was not handed out yet.
type Group = SmallVec<[Step; 1]>;

/// The Service whose turn it is after an interruption. `None` stands for the steps that belong to no Service.
pub type Turn = Option<ServiceName>;

/// The remaining jobs of a plan. [`take`](Self::take) returns a job whose dependencies are done, and [`record`](Self::record) takes its answers. In
/// between, other jobs may be taken.
pub struct Queue<'a> {
    observed: &'a mut Observed,
    capabilities: &'a mut Capabilities,
    /// Whether a modification in place was verified.
    modify_verified: &'a mut bool,
    waiting: VecDeque<Group>,
    in_progress: usize,
    /// The number of unfinished jobs on load balancers. Endpoints are deleted after all of them.
    load_balancers: usize,
    /// Endpoints that are still to be created.
    creating: FxHashSet<Guid>,
    /// Endpoints that HNS did not create with the requested id: requested id → actual id.
    renamed: FxHashMap<Guid, Guid>,
    not_created: FxHashSet<Guid>,
    /// The endpoint of the source VIP, if the plan creates it.
    source_vip: Option<Guid>,
    outcomes: Vec<Outcome>,
    /// Whether HNS was unavailable for a job. Jobs that were already taken begin no further step.
    hns_unavailable: Arc<AtomicBool>,
    interrupt: Interrupt<'a>,
    /// The Service whose job comes second, whatever its urgency.
    turn: Option<Turn>,
    taken: usize,
    /// What an interruption has left.
    left: Dirty,
}

impl<'a> Queue<'a> {
    pub fn new(
        steps: Vec<Step>,
        observed: &'a mut Observed,
        capabilities: &'a mut Capabilities,
        modify_verified: &'a mut bool,
    ) -> Self {
        let creating = steps.iter().filter_map(|step| match &step.action {
            Action::CreateEndpoint { id, .. } => Some(*id),
            _ => None,
        });
        let creating = creating.collect();
        let source_vip = steps.iter().find_map(|step| match step.action {
            Action::CreateEndpoint { id, purpose: EndpointPurpose::SourceVip, .. } => Some(id),
            _ => None,
        });
        let mut waiting: VecDeque<Group> = VecDeque::with_capacity(steps.len());
        let outcomes = Vec::with_capacity(steps.len());
        for step in steps {
            let same = |group: &Group| group.last().is_some_and(|last| last.action.subject() == step.action.subject());
            match waiting.back_mut() {
                // Deletions and the creation on one frontend stay together: between them the frontend has no load
                // balancer.
                Some(group) if is_on_load_balancer(&step) && same(group) => group.push(step),
                _ => waiting.push_back(SmallVec::from_iter([step])),
            }
        }
        let load_balancers = waiting.iter().filter(|group| group.iter().any(is_on_load_balancer)).count();
        Self {
            observed,
            capabilities,
            modify_verified,
            waiting,
            in_progress: 0,
            load_balancers,
            creating,
            renamed: FxHashMap::default(),
            not_created: FxHashSet::default(),
            source_vip,
            outcomes,
            hns_unavailable: Arc::default(),
            interrupt: UNINTERRUPTED,
            turn: None,
            taken: 0,
            left: Dirty::default(),
        }
    }

    /// Asks `interrupt` before each job.
    #[must_use]
    pub fn interrupted_by(mut self, interrupt: Interrupt<'a>) -> Self {
        self.interrupt = interrupt;
        self
    }

    /// Makes a job of this Service the second one, and carries out both before a change may interrupt.
    #[must_use]
    pub fn with_turn(mut self, turn: Option<Turn>) -> Self {
        self.turn = turn;
        self
    }

    /// The number of jobs that were not taken yet.
    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Whether all jobs were taken.
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Whether no job is in progress.
    pub fn is_idle(&self) -> bool {
        self.in_progress == 0
    }

    /// The next job whose dependencies are done, if any. More may follow when a job in progress is recorded.
    pub fn take(&mut self) -> Option<Job> {
        loop {
            if self.is_interrupted() {
                self.leave_rest();
            }
            let group = self.waiting.remove(self.next()?)?;
            match self.prepare(group) {
                Ok(job) => {
                    self.in_progress += 1;
                    self.taken += 1;
                    return Some(job);
                }
                // Only this job fails: the loop looks for the next one.
                Err(refused) => self.fail(refused.0, &refused.1),
            }
        }
    }

    /// Records the answers of a job. A step without an answer has no outcome.
    pub fn record(&mut self, job: Job, answers: Vec<Answer>) {
        self.in_progress -= 1;
        self.load_balancers -= usize::from(job.steps.iter().any(is_on_load_balancer));
        for (step, Answer { result, facts, restored, duration }) in job.steps.into_iter().zip(answers) {
            facts.into_iter().for_each(|fact| self.apply_fact(fact));
            if let Action::CreateEndpoint { id, .. } = &step.action {
                self.creating.remove(id);
                if result.is_err() {
                    // Load balancers that need it fail without a call, and are planned again without the backend.
                    self.not_created.insert(*id);
                }
            }
            if result.as_ref().is_err_and(Failure::is_unavailable) {
                // The next call would fail too, after its timeout. Everything is planned again when HNS is available.
                self.waiting.clear();
            }
            self.outcomes.push(Outcome { step, result, restored, duration });
        }
    }

    /// The outcomes of the steps, and the subjects of the steps that an interruption has left. If HNS became unavailable, the steps that were
    /// not started are in neither.
    pub fn finish(self) -> (Vec<Outcome>, Dirty) {
        (self.outcomes, self.left)
    }

    /// Where the next job is.
    fn next(&self) -> Option<usize> {
        let in_turn = |group: &Group| {
            self.turn.as_ref().is_some_and(|turn| group.first().is_some_and(|step| step.service == *turn))
        };
        let second = (self.taken == 1)
            .then(|| self.waiting.iter().position(|group| in_turn(group) && self.can_begin(group)))
            .flatten();
        // Otherwise the first in the order of the plan, so that DNS is not overtaken by what is less urgent.
        second.or_else(|| self.waiting.iter().position(|group| self.can_begin(group)))
    }

    fn is_interrupted(&self) -> bool {
        match (self.interrupt)() {
            None => false,
            Some(Interruption::Shutdown) => true,
            Some(Interruption::Change) => self.taken > usize::from(self.turn.is_some()),
        }
    }

    /// Drops the jobs that were not taken, and keeps their subjects.
    fn leave_rest(&mut self) {
        for step in self.waiting.drain(..).flatten() {
            self.left.insert(step.action.subject());
        }
    }

    fn can_begin(&self, group: &Group) -> bool {
        group.iter().all(|step| match &step.action {
            Action::CreateLoadBalancer { document, .. } | Action::ModifyLoadBalancer { document, .. } => {
                self.creating.is_empty() || !document.endpoint_ids().any(|id| self.creating.contains(&id))
            }
            // HNS deletes endpoints that are in use. Which load balancers use it is known only after all of them are done.
            Action::DeleteEndpoint { id, .. } => {
                let is_replaced = |endpoint| self.creating.contains(&endpoint) && self.is_former_source_vip(*id);
                self.load_balancers == 0 && !self.source_vip.is_some_and(is_replaced)
            }
            Action::CreateEndpoint { .. } | Action::DeleteLoadBalancer { .. } => true,
        })
    }

    /// The job of a group, with the ids that HNS assigned. The error says why no call is made.
    fn prepare(&self, mut group: Group) -> Result<Job, Box<(Group, Failure)>> {
        for index in 0..group.len() {
            let Some(step) = group.get_mut(index) else { continue };
            let failure = match &mut step.action {
                Action::CreateLoadBalancer { document, content, .. }
                | Action::ModifyLoadBalancer { document, content, .. } => {
                    self.replace_renamed_endpoints(document, content).err()
                }
                Action::DeleteEndpoint { id, .. } => {
                    // Checked again here: the plan counted on load balancers being replaced and on the endpoint of the new source
                    // VIP, and one of them may have failed.
                    self.prevents_deletion(*id)
                }
                Action::CreateEndpoint { .. } | Action::DeleteLoadBalancer { .. } => None,
            };
            if let Some(failure) = failure {
                return Err(Box::new((group, failure)));
            }
        }
        Ok(Job {
            previous: self.previous(&group),
            capabilities: *self.capabilities,
            verify: !*self.modify_verified,
            proves: self.is_known_to_differ(&group),
            hns_unavailable: self.hns_unavailable.clone(),
            steps: group,
        })
    }

    /// Why an endpoint cannot be deleted now.
    fn prevents_deletion(&self, id: Guid) -> Option<Failure> {
        if self.observed.is_referenced(id) {
            return Some(Failure::StillReferenced);
        }
        if !self.is_former_source_vip(id) {
            return None;
        }
        let is_used = |address: &IpAddr| self.observed.uses_of_source_vip(*address) > 0;
        if self.observed.endpoint(id).is_some_and(|endpoint| endpoint.addresses.iter().any(is_used)) {
            return Some(Failure::StillReferenced);
        }
        self.source_vip.is_some_and(|new| self.not_created.contains(&new)).then_some(Failure::NeedsSourceVip)
    }

    /// Whether an endpoint that a plan deletes is that of a former source VIP: hnsproxy creates no other local endpoints.
    fn is_former_source_vip(&self, id: Guid) -> bool {
        self.observed.endpoint(id).is_some_and(|endpoint| endpoint.is_of_source_vip())
    }

    /// The load balancer that a group replaces, if its document is known.
    fn previous(&self, group: &Group) -> Option<LoadBalancer> {
        // Without a creation there is nothing that could fail after the deletion.
        let replaces = matches!(group.last(), Some(Step { action: Action::CreateLoadBalancer { .. }, .. }));
        group.iter().filter(|_| replaces).find_map(|step| match &step.action {
            Action::DeleteLoadBalancer { id, .. } => self.observed.load_balancer(*id)?.document(),
            _ => None,
        })
    }

    /// Whether a group modifies a load balancer whose content is known and differs from the new one.
    fn is_known_to_differ(&self, group: &Group) -> bool {
        group.iter().any(|step| match &step.action {
            Action::ModifyLoadBalancer { id, content, .. } => {
                let before = self.observed.load_balancer(*id).map(|observed| observed.content.whole);
                let after = content.whole;
                // If nothing was to be changed, reading back finds the new content even if HNS ignores modifications.
                before.is_some_and(|before| before != Content::UNKNOWN && before != after)
            }
            _ => false,
        })
    }

    fn replace_renamed_endpoints(
        &self,
        document: &mut LoadBalancer,
        content: &mut LoadBalancerContent,
    ) -> Result<(), Failure> {
        if self.not_created.is_empty() && self.renamed.is_empty() {
            return Ok(());
        }
        for endpoint in &mut document.host_compute_endpoints {
            let Ok(id) = endpoint.parse::<Guid>() else { continue };
            if self.not_created.contains(&id) {
                // HNS is assumed to refuse a load balancer with an unknown endpoint. The next plan leaves this
                // backend out.
                return Err(Failure::NeedsEndpoint);
            }
            if let Some(actual) = self.renamed.get(&id) {
                *endpoint = actual.to_string();
            }
        }
        *content = identity::load_balancer_content(document, self.capabilities);
        Ok(())
    }

    fn fail(&mut self, group: Group, failure: &Failure) {
        self.load_balancers -= usize::from(group.iter().any(is_on_load_balancer));
        let failed = |step| Outcome::without_calls(step, Err(failure.clone()));
        self.outcomes.extend(group.into_iter().map(failed));
    }

    fn apply_fact(&mut self, fact: Fact) {
        // Our own writes make nothing dirty: the plan has taken them into account.
        let mut ignored = Dirty::default();
        match fact {
            Fact::Endpoint { requested, id, observed } => {
                // HNS may ignore the requested id, and load balancers of this plan have the requested one.
                if requested != id {
                    self.renamed.insert(requested, id);
                    self.observed.forget_perhaps_created(Kind::Endpoint, requested);
                }
                self.observed.insert_written_endpoint(id, observed, &mut ignored);
            }
            Fact::EndpointDeleted(id) => {
                self.observed.remove_endpoint(id, &mut ignored);
                self.observed.mark_deleted(Kind::Endpoint, id);
            }
            Fact::LoadBalancer { requested, id, observed } => {
                if requested != id {
                    self.observed.forget_perhaps_created(Kind::LoadBalancer, requested);
                }
                self.observed.insert_written_load_balancer(id, observed, &mut ignored);
            }
            Fact::LoadBalancerDeleted(id) => {
                self.observed.remove_load_balancer(id, &mut ignored);
                self.observed.mark_deleted(Kind::LoadBalancer, id);
            }
            Fact::LoadBalancerAbsent(id) => self.observed.remove_load_balancer(id, &mut ignored),
            Fact::CreateUncertain { kind, id, endpoints } => self.observed.mark_perhaps_created(kind, id, &endpoints),
            Fact::DeleteUncertain(id) => self.observed.mark_perhaps_deleted(id),
            Fact::ModifyUncertain { id, attempted } => self.observed.mark_load_balancer_uncertain(id, &attempted),
            Fact::ContentNotOfId(id) => self.observed.mark_id_untrusted(id),
            Fact::ModifyWorks => *self.modify_verified = true,
            // For the rest of the process: a new version of HNS comes with a reboot.
            Fact::ModifyFails => self.capabilities.modify = false,
        }
    }
}

fn is_on_load_balancer(step: &Step) -> bool {
    matches!(step.action.subject(), Subject::Frontend(_))
}

#[cfg(test)]
mod tests;
