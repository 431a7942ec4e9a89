//! Tests of the queue, without HNS.

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
    let (network, document) = (Guid::nil(), Endpoint::default());
    let content = identity::endpoint_content(network, &document);
    step(Action::CreateEndpoint { network, id: id(number), address, purpose, document, content })
}

fn delete_endpoint(number: u8) -> Step {
    step(Action::DeleteEndpoint { id: id(number), address: [10, 0, 0, number].into() })
}

fn frontend(port: u16) -> Frontend {
    Frontend { family: Family::V4, address: Some([10, 96, 0, 1].into()), protocol: Protocol::TCP, port }
}

fn capabilities() -> Capabilities {
    Capabilities::of(Version::new(15, 5), ApiVersion::V2)
}

fn document(endpoints: &[u8]) -> (LoadBalancer, LoadBalancerContent) {
    let host_compute_endpoints = endpoints.iter().map(|number| id(*number).to_string()).collect();
    let document = LoadBalancer { host_compute_endpoints, ..LoadBalancer::default() };
    let content = identity::load_balancer_content(&document, &capabilities());
    (document, content)
}

fn create_load_balancer(port: u16, endpoints: &[u8]) -> Step {
    let (document, content) = document(endpoints);
    step(Action::CreateLoadBalancer { id: id(0), frontend: frontend(port), document, content })
}

fn modify_load_balancer(port: u16, endpoints: &[u8]) -> Step {
    let (document, content) = document(endpoints);
    step(Action::ModifyLoadBalancer { id: id(0), frontend: frontend(port), document, content })
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
    let steps = [replace.clone(), vec![create_load_balancer(81, &[]), create_endpoint(1), create_endpoint(1)]].concat();
    run(steps, |mut course| {
        let jobs = [replace, vec![create_load_balancer(81, &[])], vec![create_endpoint(1)], vec![create_endpoint(1)]];
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
    let balancer = ObservedLoadBalancer::of(&document(&[]).0, queue.capabilities, Owner::Us);
    queue.apply_fact(Fact::LoadBalancer { requested: id(1), id: id(2), observed: balancer });
    let endpoint = ObservedEndpoint::of(Guid::nil(), &Endpoint::default(), Owner::Us);
    queue.apply_fact(Fact::Endpoint { requested: id(1), id: id(3), observed: endpoint });
    assert_eq!(observed.perhaps_created_count(), 0);
}
