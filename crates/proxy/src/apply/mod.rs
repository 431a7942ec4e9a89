//! Carries out the steps of a plan, with one outcome each. A failing step stops only the steps that depend on it,
//! except if HNS becomes unavailable: then only jobs that have already deleted a load balancer continue.
//!
//! A plan becomes a [`Queue`] of [`Job`]s. The queue knows the order, the dependencies and the observed state; a job
//! makes native calls and depends on nothing else. So one thread or several ([`Workers`]) can drive the queue: it hands
//! out a job only when everything that the job needs is done. An [`Interrupt`] ends the queue early: what is left goes back to the caller.
//!
//! Successful steps update the observed state. [`reconcile`](crate::reconcile) retries failed steps. If an object of
//! ours already exists with the right content, an earlier attempt succeeded.

mod interrupt;
mod job;
mod queue;
mod workers;

use std::time::Duration;

use hcn::{Class, Client, Error, Hresult};

use crate::plan::{Action, Step};

pub use interrupt::{Interrupt, Interruption, UNINTERRUPTED};
pub use job::{Answer, Job};
pub use queue::{Queue, Turn};
pub use workers::Workers;

/// Why a step failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// The error of HNS.
    #[error(transparent)]
    Hns(#[from] Error),
    /// HNS reports that the object exists, but no object has its id: another load balancer has the frontend.
    #[error(transparent)]
    FrontendTaken(Error),
    #[error("the endpoint of a backend could not be created")]
    NeedsEndpoint,
    #[error("the load balancer that has the frontend could not be deleted")]
    NotReleased,
    /// Load balancers cannot get the new source VIP yet, so the endpoint of the former one is kept.
    #[error("the endpoint of the new source VIP could not be created")]
    NeedsSourceVip,
    /// HNS would delete the endpoint, and the load balancer would still send connections to it (kubernetes issue 112836).
    #[error("a load balancer still refers to the endpoint")]
    StillReferenced,
    /// HNS 15.4 reports success and changes nothing (kubernetes issue 131466).
    #[error("HNS reported success but did not modify the load balancer")]
    ModifyHadNoEffect,
    /// Another program modified the object in place.
    #[error("HNS has an object with this id and other content")]
    OtherContent,
}

impl Failure {
    /// Whether a new plan would differ: replace instead of modify, or leave out the endpoint that failed.
    pub fn requires_replan(&self, action: &Action) -> bool {
        match self {
            Failure::ModifyHadNoEffect | Failure::NeedsEndpoint => true,
            Failure::Hns(error) => {
                // The next plan creates the load balancer that is absent, or replaces it where HNS cannot modify.
                matches!(action, Action::ModifyLoadBalancer { .. })
                    && (error.class() == Class::Unsupported || is_load_balancer_absent(error))
            }
            _ => false,
        }
    }

    /// Whether HNS is unavailable.
    pub fn is_unavailable(&self) -> bool {
        matches!(self, Failure::Hns(error) if error.class() == Class::Unavailable)
    }

    /// Whether the frontend is in use (0x803B0013, or 0x800700B7 with an id that is free).
    pub fn is_port_in_use(&self) -> bool {
        match self {
            Failure::Hns(error) => error.class() == Class::PortInUse,
            Failure::FrontendTaken(_) => true,
            _ => false,
        }
    }

    /// Whether HNS has no memory or no ports left (0x8007000E). It also returns this code when all dynamic ports are reserved for load
    /// balancers without DSR (containernetworking/plugins 613).
    pub fn is_out_of_resources(&self) -> bool {
        matches!(self, Failure::Hns(error) if error.code() == Some(Hresult::E_OUTOFMEMORY))
    }

    /// Whether the failure shows that the observed state is out of date.
    pub fn requires_refresh(&self) -> bool {
        match self {
            Failure::OtherContent | Failure::FrontendTaken(_) => true,
            // Each of these contradicts the observed state: something unknown exists, or something known does not.
            Failure::Hns(error) => matches!(error.class(), Class::PortInUse | Class::Exists | Class::Absent),
            _ => false,
        }
    }
}

/// Whether a modify failed because the load balancer is absent, and not because one of its endpoints is absent.
fn is_load_balancer_absent(error: &Error) -> bool {
    // A missing backend has a code of its own (0x803B0002). The load balancer is then still there.
    error.class() == Class::Absent && error.code() != Some(Hresult::HCN_E_ENDPOINT_NOT_FOUND)
}

/// The outcome of a step.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    pub step: Step,
    pub result: Result<(), Failure>,
    /// Whether the old load balancer was created again after HNS had refused the new one.
    pub restored: bool,
    /// The time of its calls, by the clock of the driver. Zero if it made none, or if the driver has no clock.
    pub duration: Duration,
}

impl Outcome {
    /// That of a step that made no call.
    pub fn without_calls(step: Step, result: Result<(), Failure>) -> Self {
        Self { step, result, restored: false, duration: Duration::ZERO }
    }
}

/// The time since any fixed moment. The core reads no clock, so the caller passes one to the driver.
pub type Clock<'a> = &'a (dyn Fn() -> Duration + Sync);

/// Always shows the same time.
pub const NO_CLOCK: Clock<'static> = &|| Duration::ZERO;

/// Carries out the jobs of a queue, on one thread or several.
pub trait Driver {
    fn drive(&self, client: &Client, queue: &mut Queue<'_>);
}

/// One job after the other, in the order of the plan, without a clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct OneByOne;

impl Driver for OneByOne {
    fn drive(&self, client: &Client, queue: &mut Queue<'_>) {
        one_by_one(client, queue, NO_CLOCK);
    }
}

fn one_by_one(client: &Client, queue: &mut Queue<'_>, clock: Clock<'_>) {
    while let Some(job) = queue.take() {
        let answers = job.perform(client, clock);
        queue.record(job, answers);
    }
}

#[cfg(test)]
mod tests {
    use hcn::Guid;
    use hcn::schema::{LoadBalancer, Protocol};

    use super::*;
    use crate::frontend::Frontend;
    use crate::identity::LoadBalancerContent;
    use crate::model::Family;

    fn hns(code: Hresult) -> Failure {
        Failure::Hns(Error::hns("HcnModifyLoadBalancer", code))
    }

    fn actions() -> [Action; 2] {
        let (id, address) = (Guid::nil(), Some([10, 96, 0, 1].into()));
        let frontend = Frontend { family: Family::V4, address, protocol: Protocol::TCP, port: 80 };
        let (document, content) = (LoadBalancer::default(), LoadBalancerContent::UNKNOWN);
        [
            Action::ModifyLoadBalancer { id, frontend, document: document.clone(), content },
            Action::CreateLoadBalancer { id, frontend, document, content },
        ]
    }

    #[test]
    fn a_new_plan_differs_where_the_next_step_is_another_one() {
        // For a modification and for a creation.
        let replan = |failure: Failure| actions().map(|action| failure.requires_replan(&action));
        assert_eq!(replan(Failure::ModifyHadNoEffect), [true, true]);
        assert_eq!(replan(Failure::NeedsEndpoint), [true, true]);
        // A load balancer that cannot be modified is replaced, and one that is absent is created.
        assert_eq!(replan(hns(Hresult::E_NOTIMPL)), [true, false]);
        assert_eq!(replan(hns(Hresult::ELEMENT_NOT_FOUND)), [true, false]);
        for failure in [
            hns(Hresult::HCN_E_ENDPOINT_NOT_FOUND),
            hns(Hresult::RPC_S_SERVER_UNAVAILABLE),
            hns(Hresult::E_INVALIDARG),
            Failure::NotReleased,
            Failure::StillReferenced,
            Failure::NeedsSourceVip,
            Failure::OtherContent,
        ] {
            assert_eq!(replan(failure), [false, false]);
        }
    }

    #[test]
    fn each_failure_has_its_class() {
        let of = |failure: Failure| [failure.is_unavailable(), failure.is_port_in_use(), failure.requires_refresh()];
        assert_eq!(of(hns(Hresult::RPC_S_SERVER_UNAVAILABLE)), [true, false, false]);
        assert_eq!(of(hns(Hresult::HCN_E_PORT_ALREADY_EXISTS)), [false, true, true]);
        assert_eq!(of(hns(Hresult::ERROR_ALREADY_EXISTS)), [false, false, true]);
        assert_eq!(of(hns(Hresult::ELEMENT_NOT_FOUND)), [false, false, true]);
        assert_eq!(of(Failure::OtherContent), [false, false, true]);
        let taken = Error::hns("HcnCreateLoadBalancer", Hresult::ERROR_ALREADY_EXISTS);
        assert_eq!(of(Failure::FrontendTaken(taken)), [false, true, true]);
        assert_eq!(of(hns(Hresult::E_INVALIDARG)), [false; 3]);
        assert_eq!(of(Failure::NeedsEndpoint), [false; 3]);
    }
}
