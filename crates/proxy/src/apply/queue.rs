//! The jobs of a plan in their order, what each needs, and what they come to.

use std::collections::VecDeque;

use hcn::Guid;
use hcn::schema::LoadBalancer;
use rustc_hash::{FxHashMap, FxHashSet};
use smallvec::SmallVec;

use super::job::{Answer, Fact, Job};
use super::{Failure, Outcome};
use crate::dirty::{Dirty, Subject};
use crate::identity::{self, Content};
use crate::observe::Observed;
use crate::plan::{Action, Step};
use crate::settings::Capabilities;

/// Steps that belong together, before their turn.
type Group = SmallVec<[Step; 1]>;

/// What is left of a plan. [`take`](Self::take) answers with a job that needs nothing that is not done yet, and
/// [`note`](Self::note) takes what it came to; in between, other jobs may be taken.
#[derive(Debug)]
pub struct Queue<'a> {
    observed: &'a mut Observed,
    capabilities: &'a mut Capabilities,
    /// Whether a change in place was seen to take.
    modify_verified: &'a mut bool,
    waiting: VecDeque<Group>,
    at_work: usize,
    /// Jobs on load balancers that are not done: endpoints are deleted after all of them.
    load_balancers: usize,
    /// Endpoints that are to be created, and are not yet.
    creating: FxHashSet<Guid>,
    /// Endpoints to which HNS gave another id than the plan's.
    renamed: FxHashMap<Guid, Guid>,
    not_created: FxHashSet<Guid>,
    /// Whether HNS could not be asked: whatever is asked next would fail too.
    stopped: bool,
    outcomes: Vec<Outcome>,
}

impl<'a> Queue<'a> {
    /// The steps of a plan.
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
        let mut waiting: VecDeque<Group> = VecDeque::with_capacity(steps.len());
        let outcomes = Vec::with_capacity(steps.len());
        for step in steps {
            let same = |group: &Group| group.last().is_some_and(|last| last.action.subject() == step.action.subject());
            match waiting.back_mut() {
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
            at_work: 0,
            load_balancers,
            creating,
            renamed: FxHashMap::default(),
            not_created: FxHashSet::default(),
            stopped: false,
            outcomes,
        }
    }

    /// How many jobs were not taken yet.
    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Whether all jobs were taken.
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Whether nobody is at work on a job.
    pub fn is_idle(&self) -> bool {
        self.at_work == 0
    }

    /// The next job that can be done now, if any; more may follow when a job at work is noted.
    pub fn take(&mut self) -> Option<Job> {
        loop {
            let place = self.waiting.iter().position(|group| self.can_begin(group))?;
            let group = self.waiting.remove(place)?;
            match self.prepare(group) {
                Ok(job) => {
                    self.at_work += 1;
                    return Some(job);
                }
                Err(refused) => self.fail(refused.0, &refused.1),
            }
        }
    }

    /// Takes what a job came to.
    pub fn note(&mut self, job: Job, answers: Vec<Answer>) {
        self.at_work -= 1;
        self.load_balancers -= usize::from(job.steps.iter().any(is_on_load_balancer));
        for (step, Answer { result, facts, put_back }) in job.steps.into_iter().zip(answers) {
            facts.into_iter().for_each(|fact| self.learn(fact));
            if let Action::CreateEndpoint { id, .. } = &step.action {
                self.creating.remove(id);
                if result.is_err() {
                    self.not_created.insert(*id);
                }
            }
            if result.as_ref().is_err_and(Failure::is_unavailable) {
                // All of it is planned again when HNS can be looked at.
                self.stopped = true;
                self.waiting.clear();
            }
            self.outcomes.push(Outcome { step, result, put_back });
        }
    }

    /// What became of the steps, and whether HNS could not be asked.
    pub fn finish(self) -> (Vec<Outcome>, bool) {
        (self.outcomes, self.stopped)
    }

    fn can_begin(&self, group: &Group) -> bool {
        group.iter().all(|step| match &step.action {
            Action::CreateLoadBalancer { document, .. } | Action::ModifyLoadBalancer { document, .. } => {
                self.creating.is_empty() || !document.endpoint_ids().any(|id| self.creating.contains(&id))
            }
            Action::DeleteEndpoint { .. } => self.load_balancers == 0,
            Action::CreateEndpoint { .. } | Action::DeleteLoadBalancer { .. } => true,
        })
    }

    /// A group as a job, with the ids that HNS gave; or why no call is made.
    fn prepare(&self, mut group: Group) -> Result<Job, Box<(Group, Failure)>> {
        for index in 0..group.len() {
            let Some(step) = group.get_mut(index) else { continue };
            let failure = match &mut step.action {
                Action::CreateLoadBalancer { document, .. } | Action::ModifyLoadBalancer { document, .. } => {
                    self.give_actual_endpoints(document).err()
                }
                Action::DeleteEndpoint { id, .. } => {
                    self.observed.is_referenced(*id).then_some(Failure::StillReferenced)
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
            steps: group,
        })
    }

    /// The load balancer that a group replaces, as far as it can be written again.
    fn previous(&self, group: &Group) -> Option<LoadBalancer> {
        let replaces = matches!(group.last(), Some(Step { action: Action::CreateLoadBalancer { .. }, .. }));
        group.iter().filter(|_| replaces).find_map(|step| match &step.action {
            Action::DeleteLoadBalancer { id, .. } => self.observed.load_balancer(*id)?.document(),
            _ => None,
        })
    }

    /// Whether a change in place changes a load balancer of which it is known what it says.
    fn is_known_to_differ(&self, group: &Group) -> bool {
        group.iter().any(|step| match &step.action {
            Action::ModifyLoadBalancer { id, document, .. } => {
                let before = self.observed.load_balancer(*id).map(|held| held.content.whole);
                let after = identity::load_balancer_content(document, self.capabilities).whole;
                before.is_some_and(|before| before != Content::UNKNOWN && before != after)
            }
            _ => false,
        })
    }

    fn give_actual_endpoints(&self, document: &mut LoadBalancer) -> Result<(), Failure> {
        if self.not_created.is_empty() && self.renamed.is_empty() {
            return Ok(());
        }
        for endpoint in &mut document.host_compute_endpoints {
            let Ok(id) = endpoint.parse::<Guid>() else { continue };
            if self.not_created.contains(&id) {
                return Err(Failure::NeedsEndpoint);
            }
            if let Some(actual) = self.renamed.get(&id) {
                *endpoint = actual.to_string();
            }
        }
        Ok(())
    }

    fn fail(&mut self, group: Group, failure: &Failure) {
        self.load_balancers -= usize::from(group.iter().any(is_on_load_balancer));
        let failed = |step| Outcome { step, result: Err(failure.clone()), put_back: false };
        self.outcomes.extend(group.into_iter().map(failed));
    }

    fn learn(&mut self, fact: Fact) {
        // Our own writes make nothing dirty: the plan has taken them into account.
        let mut settled = Dirty::default();
        match fact {
            Fact::Endpoint { asked, id, held } => {
                if asked != id {
                    self.renamed.insert(asked, id);
                }
                self.observed.insert_endpoint(id, held, &mut settled);
            }
            Fact::EndpointDeleted(id) => self.observed.forget_endpoint(id, &mut settled),
            Fact::LoadBalancer { id, held } => self.observed.insert_load_balancer(id, held, &mut settled),
            Fact::LoadBalancerDeleted(id) => self.observed.forget_load_balancer(id, &mut settled),
            Fact::LoadBalancerAbsent(id) => self.observed.remove_load_balancer(id, &mut settled),
            Fact::Doubt { id, attempted } => self.observed.doubt_load_balancer(id, &attempted),
            Fact::IdLies(id) => self.observed.distrust_id(id),
            Fact::ModifyWorks => *self.modify_verified = true,
            Fact::ModifyFails => self.capabilities.modify = false,
        }
    }
}

fn is_on_load_balancer(step: &Step) -> bool {
    matches!(step.action.subject(), Subject::Frontend(_))
}
