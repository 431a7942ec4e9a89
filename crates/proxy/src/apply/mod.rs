//! Carries out the steps of a plan, one outcome each; a failing step stops only those that depend on it.
//!
//! A plan becomes a [`Queue`] of [`Job`]s. The queue knows the order, what depends on what, and what HNS is believed to hold; a job
//! makes native calls and knows nothing else. So whoever drives the queue may do so with one thread or several ([`Workers`]): a job is
//! handed out only when all that it needs is done.
//!
//! What succeeded is noted in the index of what HNS holds. What failed is left to [`reconcile`](crate::reconcile) to try again. That
//! an object of ours exists already is the success of an earlier try, if it says what it should.

mod job;
mod queue;
mod workers;

use hcn::{Class, Client, Error, Hresult};

use crate::plan::{Action, Step};

pub use job::{Answer, Job};
pub use queue::Queue;
pub use workers::Workers;

/// Why a step was not done.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// HNS refused, or could not be asked.
    #[error(transparent)]
    Hns(#[from] Error),
    /// An endpoint that the load balancer refers to could not be created.
    #[error("an endpoint that it needs could not be created")]
    NeedsEndpoint,
    /// The load balancer that holds the frontend could not be deleted.
    #[error("the load balancer that holds the frontend could not be deleted")]
    NotReleased,
    /// A load balancer still refers to the endpoint.
    #[error("a load balancer still refers to it")]
    StillReferenced,
    /// HNS said that it changed the load balancer, and did not.
    #[error("HNS said that it changed the load balancer, but it did not")]
    ModifyHadNoEffect,
    /// HNS has an object of this id with another content.
    #[error("HNS has an object of this id that says something else")]
    OtherContent,
}

impl Failure {
    /// Whether another plan, made now, would take another way.
    pub fn suggests_another_plan(&self, action: &Action) -> bool {
        match self {
            Failure::ModifyHadNoEffect | Failure::NeedsEndpoint => true,
            Failure::Hns(error) => {
                matches!(action, Action::ModifyLoadBalancer { .. })
                    && (error.class() == Class::Unsupported || is_load_balancer_absent(error))
            }
            _ => false,
        }
    }

    /// Whether HNS could not be asked at all.
    pub fn is_unavailable(&self) -> bool {
        matches!(self, Failure::Hns(error) if error.class() == Class::Unavailable)
    }

    /// Whether others hold the frontend.
    pub fn is_port_in_use(&self) -> bool {
        matches!(self, Failure::Hns(error) if error.class() == Class::PortInUse)
    }

    /// Whether HNS must hold something else than believed.
    pub fn suggests_another_look(&self) -> bool {
        match self {
            Failure::OtherContent => true,
            Failure::Hns(error) => matches!(error.class(), Class::PortInUse | Class::Exists | Class::Absent),
            _ => false,
        }
    }
}

/// Whether a modify failed because the load balancer is not there, and not because of one of its backends.
fn is_load_balancer_absent(error: &Error) -> bool {
    error.class() == Class::Absent && error.code() != Some(Hresult::HCN_E_ENDPOINT_NOT_FOUND)
}

/// What became of a step.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// The step.
    pub step: Step,
    /// Whether it was done.
    pub result: Result<(), Failure>,
    /// Whether the load balancer that was to be replaced is back, after its successor was refused.
    pub put_back: bool,
}

/// Something that takes the jobs of a queue and carries them out.
pub trait Driver {
    /// Carries out all jobs, until the queue has no more.
    fn drive(&self, client: &Client, queue: &mut Queue<'_>);
}

/// One job after the other, in the order of the plan.
#[derive(Debug, Clone, Copy, Default)]
pub struct OneByOne;

impl Driver for OneByOne {
    fn drive(&self, client: &Client, queue: &mut Queue<'_>) {
        while let Some(job) = queue.take() {
            let answers = job.perform(client);
            queue.note(job, answers);
        }
    }
}
