//! The jobs of a plan: their order, their dependencies, and their outcomes.

use std::collections::VecDeque;
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
use crate::identity::{self, Content};
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
            Action::DeleteEndpoint { .. } => self.load_balancers == 0,
            Action::CreateEndpoint { .. } | Action::DeleteLoadBalancer { .. } => true,
        })
    }

    /// The job of a group, with the ids that HNS assigned. The error says why no call is made.
    fn prepare(&self, mut group: Group) -> Result<Job, Box<(Group, Failure)>> {
        for index in 0..group.len() {
            let Some(step) = group.get_mut(index) else { continue };
            let failure = match &mut step.action {
                Action::CreateLoadBalancer { document, .. } | Action::ModifyLoadBalancer { document, .. } => {
                    self.replace_renamed_endpoints(document).err()
                }
                Action::DeleteEndpoint { id, .. } => {
                    // Checked again here: the plan counted on load balancers being replaced, and one of them may have
                    // failed.
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
            hns_unavailable: self.hns_unavailable.clone(),
            steps: group,
        })
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
            Action::ModifyLoadBalancer { id, document, .. } => {
                let before = self.observed.load_balancer(*id).map(|observed| observed.content.whole);
                let after = identity::load_balancer_content(document, self.capabilities).whole;
                // If nothing was to be changed, reading back finds the new content even if HNS ignores modifications.
                before.is_some_and(|before| before != Content::UNKNOWN && before != after)
            }
            _ => false,
        })
    }

    fn replace_renamed_endpoints(&self, document: &mut LoadBalancer) -> Result<(), Failure> {
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
mod tests {
    use hcn::schema::{Endpoint, Protocol};
    use hcn::{ApiVersion, Error, Hresult, Version};

    use super::*;
    use crate::frontend::{EndpointPurpose, Frontend};
    use crate::model::Family;
    use crate::observe::{ObservedEndpoint, ObservedLoadBalancer, Owner};
    use crate::plan::Reason;

    fn id(number: u8) -> Guid {
        Guid::from_u128(number.into())
    }

    fn step(action: Action) -> Step {
        Step { action, service: None, reason: Reason::Missing }
    }

    fn create_endpoint(number: u8) -> Step {
        let address = [10, 0, 0, number].into();
        let purpose = EndpointPurpose::Backend;
        let document = Endpoint::default();
        step(Action::CreateEndpoint { network: Guid::nil(), id: id(number), address, purpose, document })
    }

    fn delete_endpoint(number: u8) -> Step {
        step(Action::DeleteEndpoint { id: id(number), address: [10, 0, 0, number].into() })
    }

    fn frontend(port: u16) -> Frontend {
        Frontend { family: Family::V4, address: Some([10, 96, 0, 1].into()), protocol: Protocol::TCP, port }
    }

    fn document(endpoints: &[u8]) -> LoadBalancer {
        let host_compute_endpoints = endpoints.iter().map(|number| id(*number).to_string()).collect();
        LoadBalancer { host_compute_endpoints, ..LoadBalancer::default() }
    }

    fn create_load_balancer(port: u16, endpoints: &[u8]) -> Step {
        step(Action::CreateLoadBalancer { id: id(0), frontend: frontend(port), document: document(endpoints) })
    }

    fn modify_load_balancer(port: u16, endpoints: &[u8]) -> Step {
        step(Action::ModifyLoadBalancer { id: id(0), frontend: frontend(port), document: document(endpoints) })
    }

    fn delete_load_balancer(port: u16) -> Step {
        step(Action::DeleteLoadBalancer { id: id(0), frontend: frontend(port) })
    }

    /// What a test does with a queue.
    struct Course<'a> {
        queue: Queue<'a>,
        in_progress: Vec<Job>,
    }

    impl Course<'_> {
        /// Takes all jobs that can begin, and returns their steps.
        fn take(&mut self) -> Vec<Vec<Step>> {
            let jobs: Vec<Job> = std::iter::from_fn(|| self.queue.take()).collect();
            let steps = jobs.iter().map(|job| job.steps.to_vec()).collect();
            self.in_progress.extend(jobs);
            steps
        }

        /// Records the same result for all steps in progress.
        fn record(&mut self, result: &Result<(), Failure>) {
            for job in self.in_progress.drain(..) {
                let answer = |_: &Step| Answer::without_calls(result.clone());
                let answers = job.steps.iter().map(answer).collect();
                self.queue.record(job, answers);
            }
        }
    }

    fn run(steps: Vec<Step>, test: impl FnOnce(Course<'_>)) {
        let mut observed = Observed::default();
        let mut capabilities = Capabilities::of(Version::new(15, 5), ApiVersion::V2);
        let mut verified = true;
        let queue = Queue::new(steps, &mut observed, &mut capabilities, &mut verified);
        test(Course { queue, in_progress: Vec::new() });
    }

    #[test]
    fn a_load_balancer_waits_for_its_endpoints_and_nothing_else_waits() {
        for waits in [create_load_balancer(80, &[1, 9]), modify_load_balancer(80, &[1, 9])] {
            let other = create_load_balancer(81, &[9]);
            let steps = vec![waits.clone(), create_endpoint(1), other.clone()];
            run(steps, |mut course| {
                assert_eq!(course.take(), [vec![create_endpoint(1)], vec![other]]);
                assert!(!course.queue.is_empty() && !course.queue.is_idle());
                course.record(&Ok(()));
                assert_eq!(course.take(), [vec![waits]]);
                course.record(&Ok(()));
                assert!(course.queue.is_empty() && course.queue.is_idle());
            });
        }
    }

    #[test]
    fn endpoints_are_deleted_after_all_load_balancers() {
        let steps = vec![delete_endpoint(2), delete_load_balancer(80), create_load_balancer(81, &[3])];
        run(steps, |mut course| {
            assert_eq!(course.take(), [vec![delete_load_balancer(80)], vec![create_load_balancer(81, &[3])]]);
            let last = course.in_progress.pop();
            course.record(&Ok(()));
            assert_eq!(course.take(), Vec::<Vec<Step>>::new());
            course.in_progress.extend(last);
            course.record(&Ok(()));
            assert_eq!(course.take(), [vec![delete_endpoint(2)]]);
        });
    }

    #[test]
    fn a_load_balancer_whose_endpoint_failed_fails_without_a_call() {
        let steps = vec![create_endpoint(1), create_load_balancer(80, &[1]), delete_endpoint(2)];
        run(steps, |mut course| {
            assert_eq!(course.take(), [vec![create_endpoint(1)]]);
            course.record(&Err(Failure::OtherContent));
            // The load balancer counts as done: the deletion does not wait for it.
            assert_eq!(course.take(), [vec![delete_endpoint(2)]]);
            course.record(&Ok(()));
            let (outcomes, _) = course.queue.finish();
            let results: Vec<_> = outcomes.into_iter().map(|outcome| (outcome.step, outcome.result)).collect();
            let expected = [
                (create_endpoint(1), Err(Failure::OtherContent)),
                (create_load_balancer(80, &[1]), Err(Failure::NeedsEndpoint)),
                (delete_endpoint(2), Ok(())),
            ];
            assert_eq!(results, expected);
        });
    }

    #[test]
    fn the_steps_on_one_frontend_are_one_job_and_endpoints_are_jobs_of_their_own() {
        let replace = vec![delete_load_balancer(80), create_load_balancer(80, &[])];
        let steps =
            [replace.clone(), vec![create_load_balancer(81, &[]), create_endpoint(1), create_endpoint(1)]].concat();
        run(steps, |mut course| {
            let jobs =
                [replace, vec![create_load_balancer(81, &[])], vec![create_endpoint(1)], vec![create_endpoint(1)]];
            assert_eq!((course.queue.len(), course.take()), (4, jobs.to_vec()));
        });
    }

    #[test]
    fn the_rest_is_dropped_when_hns_is_unavailable() {
        let unavailable = Failure::Hns(Error::hns("HcnCreateEndpoint", Hresult::RPC_S_SERVER_UNAVAILABLE));
        run(vec![create_endpoint(1), create_load_balancer(80, &[1])], |mut course| {
            course.take();
            course.record(&Err(unavailable.clone()));
            assert_eq!(course.take(), Vec::<Vec<Step>>::new());
            let (outcomes, left) = course.queue.finish();
            assert_eq!(outcomes, [Outcome::without_calls(create_endpoint(1), Err(unavailable))]);
            assert!(left.is_empty());
        });
    }
    #[test]
    fn a_creation_with_another_id_ends_the_uncertainty_of_the_requested_one() {
        let (mut observed, mut modify_verified) = (Observed::default(), false);
        let mut capabilities = Capabilities::of(Version::new(15, 5), ApiVersion::V1);
        observed.mark_perhaps_created(Kind::LoadBalancer, id(1), &[]);
        observed.mark_perhaps_created(Kind::Endpoint, id(1), &[]);
        let mut queue = Queue::new(Vec::new(), &mut observed, &mut capabilities, &mut modify_verified);
        let balancer = ObservedLoadBalancer::of(&document(&[]), queue.capabilities, Owner::Us);
        queue.apply_fact(Fact::LoadBalancer { requested: id(1), id: id(2), observed: balancer });
        let endpoint = ObservedEndpoint::of(Guid::nil(), &Endpoint::default(), Owner::Us);
        queue.apply_fact(Fact::Endpoint { requested: id(1), id: id(3), observed: endpoint });
        assert_eq!(observed.perhaps_created_count(), 0);
    }
}
