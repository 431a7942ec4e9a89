//! A job: steps that one thread carries out without others in between, and what their results show about HNS.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use hcn::schema::{Endpoint, LoadBalancer};
use hcn::{Class, Client, Error, Guid, Kind};
use smallvec::SmallVec;

use super::{Clock, Failure, is_load_balancer_absent};
use crate::frontend::Frontend;
use crate::identity::{self, Content, LoadBalancerContent};
use crate::observe::{ObservedEndpoint, ObservedLoadBalancer, Owner, readable_backends};
use crate::plan::{Action, Step};
use crate::settings::Capabilities;

/// One endpoint's step, or all steps on one frontend. No other step of the frontend runs between them, so a replaced
/// load balancer is missing only for the duration of one call.
#[derive(Debug, Clone)]
pub struct Job {
    pub(super) steps: SmallVec<[Step; 1]>,
    /// The load balancer that a replacement deletes. It is created again if HNS refuses the new one.
    pub(super) previous: Option<LoadBalancer>,
    pub(super) capabilities: Capabilities,
    /// Whether modified load balancers are read back.
    pub(super) verify: bool,
    /// Whether reading back can show that HNS supports modification in place: the old content is known, and differs
    /// from the new one.
    pub(super) proves: bool,
    /// Whether HNS was unavailable for a job of the queue.
    pub(super) hns_unavailable: Arc<AtomicBool>,
}

/// What a call shows about HNS.
#[derive(Debug, Clone)]
pub(super) enum Fact {
    /// The endpoint exists. HNS may have given it another id than the requested one.
    Endpoint {
        requested: Guid,
        id: Guid,
        observed: ObservedEndpoint,
    },
    EndpointDeleted(Guid),
    /// The load balancer exists. As for an endpoint, HNS may have given it another id.
    LoadBalancer {
        requested: Guid,
        id: Guid,
        observed: ObservedLoadBalancer,
    },
    /// It was deleted by us.
    LoadBalancerDeleted(Guid),
    /// Another program deleted it.
    LoadBalancerAbsent(Guid),
    /// The object may exist, although its creation failed. A load balancer then has these endpoints.
    CreateUncertain {
        kind: Kind,
        id: Guid,
        endpoints: Vec<Guid>,
    },
    /// A deletion may or may not have taken effect.
    DeleteUncertain(Guid),
    /// A modification may or may not have taken effect.
    ModifyUncertain {
        id: Guid,
        attempted: ObservedLoadBalancer,
    },
    /// Another program changed the object: its id no longer shows its content.
    ContentNotOfId(Guid),
    /// A modify took effect.
    ModifyWorks,
    /// HNS refuses to modify, or ignores it.
    ModifyFails,
}

/// The result of one step of a job.
#[derive(Debug)]
pub struct Answer {
    pub(super) result: Result<(), Failure>,
    pub(super) facts: Vec<Fact>,
    pub(super) restored: bool,
    /// By the clock of the caller.
    pub(super) duration: Duration,
}

#[cfg(test)]
impl Answer {
    pub(super) fn without_calls(result: Result<(), Failure>) -> Self {
        Self { result, facts: Vec::new(), restored: false, duration: Duration::ZERO }
    }
}

impl Job {
    /// Makes the calls. The answers are in the order of the steps. Once HNS is unavailable for a step of this job or of
    /// another, no further step begins, and it has no answer. If this job has deleted a load balancer, an
    /// unanswered call of another job does not end it: its frontend would have no load balancer although HNS may answer again.
    pub fn perform(&self, client: &Client, clock: Clock<'_>) -> Vec<Answer> {
        // HNS refuses a second load balancer on a frontend (0x803B0013), so nothing is created where the old one could not be deleted.
        let (mut released, mut has_deleted, mut unanswered) = (true, false, false);
        let mut answers = Vec::with_capacity(self.steps.len());
        for step in &self.steps {
            // If a call of this job was unanswered, only an audit shows what HNS has.
            if unanswered || !has_deleted && self.is_hns_unavailable() {
                break;
            }
            let start = clock();
            let mut facts = Vec::new();
            let (mut result, mut restored) = (Err(Failure::NotReleased), false);
            if released || !matches!(step.action, Action::CreateLoadBalancer { .. }) {
                result = self.carry_out(&step.action, client, &mut facts);
            }
            match (&step.action, &result) {
                (Action::DeleteLoadBalancer { .. }, Ok(())) => has_deleted = true,
                (Action::DeleteLoadBalancer { .. }, Err(_)) => released = false,
                (Action::CreateLoadBalancer { frontend, .. }, Err(failure))
                    // If the creation was unanswered, restoring the old load balancer would be unanswered too.
                    if released && !failure.is_unavailable() =>
                {
                    match self.restore_previous(*frontend, client, &mut facts) {
                        // The outage counts more than the refusal: nothing is written until an audit succeeds.
                        Err(failure) if failure.is_unavailable() => result = Err(failure),
                        outcome => restored = outcome.is_ok(),
                    }
                }
                _ => {}
            }
            unanswered = result.as_ref().is_err_and(Failure::is_unavailable);
            if unanswered {
                // Before the answers are recorded, since a job in progress on another thread must not begin a call.
                self.hns_unavailable.store(true, Ordering::SeqCst);
            }
            answers.push(Answer { result, facts, restored, duration: clock().saturating_sub(start) });
        }
        answers
    }

    fn is_hns_unavailable(&self) -> bool {
        self.hns_unavailable.load(Ordering::SeqCst)
    }

    fn carry_out(&self, action: &Action, client: &Client, facts: &mut Vec<Fact>) -> Result<(), Failure> {
        match action {
            Action::CreateEndpoint { network, id, document, content, .. } => {
                create_endpoint(*network, *id, (document, *content), client, facts)
            }
            Action::DeleteEndpoint { id, .. } => {
                let result = client.delete_endpoint(*id);
                facts.extend(deletion(&result, *id, Fact::EndpointDeleted(*id)));
                Ok(result?)
            }
            Action::CreateLoadBalancer { id, document, content, .. } => {
                self.create_load_balancer(*id, (document, *content), client, facts)
            }
            Action::ModifyLoadBalancer { id, document, content, .. } => {
                self.modify_load_balancer(*id, (document, *content), client, facts)
            }
            Action::DeleteLoadBalancer { id, .. } => {
                let result = client.delete_load_balancer(*id);
                facts.extend(deletion(&result, *id, Fact::LoadBalancerDeleted(*id)));
                Ok(result?)
            }
        }
    }

    fn create_load_balancer(
        &self,
        requested: Guid,
        (document, content): (&LoadBalancer, LoadBalancerContent),
        client: &Client,
        facts: &mut Vec<Fact>,
    ) -> Result<(), Failure> {
        let observed = ObservedLoadBalancer::with_content(document, content, Owner::Us);
        let endpoints = || observed.endpoints.to_vec();
        let uncertain = || Fact::CreateUncertain { kind: Kind::LoadBalancer, id: requested, endpoints: endpoints() };
        let id = match client.create_load_balancer(requested, document) {
            Err(error) if error.class() == Class::Exists => {
                // An earlier call may have created it before it failed. Compare the content. If the read fails, the load balancer may
                // be ours, even if the requested id is absent: HNS may have chosen another id.
                let existing = match client.load_balancer(requested).inspect_err(|_| facts.push(uncertain())) {
                    Ok(existing) => existing,
                    // The id is free, so the frontend is in use, for example after HNS restored older objects (kubernetes 139519).
                    Err(absent) if absent.class() == Class::Absent => return Err(Failure::FrontendTaken(error)),
                    Err(failed) => return Err(more_telling(error, failed).into()),
                };
                if identity::load_balancer_content(&existing, &self.capabilities) != observed.content {
                    facts.push(Fact::ContentNotOfId(requested));
                    return Err(Failure::OtherContent);
                }
                requested
            }
            Err(error) => {
                // The load balancer may exist, so its endpoints must not be deleted.
                if is_creation_uncertain(&error) {
                    facts.push(uncertain());
                }
                return Err(error.into());
            }
            Ok(id) => id,
        };
        facts.push(Fact::LoadBalancer { requested, id, observed });
        Ok(())
    }

    fn modify_load_balancer(
        &self,
        id: Guid,
        (document, content): (&LoadBalancer, LoadBalancerContent),
        client: &Client,
        facts: &mut Vec<Fact>,
    ) -> Result<(), Failure> {
        // Modifying adopts a foreign load balancer: it has the desired content, and is deleted when that content is no
        // longer desired.
        let observed = ObservedLoadBalancer::with_content(document, content, Owner::Us);
        let read_back = match client.modify_load_balancer(id, document, self.verify) {
            Ok(read_back) => read_back,
            Err(error) => {
                facts.extend(match error.class() {
                    // E_NOTIMPL: this HNS cannot modify, whatever its version says. Load balancers are replaced from
                    // now on.
                    Class::Unsupported => Some(Fact::ModifyFails),
                    // HNS has checked the document and refused it, so the load balancer is as before.
                    Class::Invalid => None,
                    _ if is_load_balancer_absent(&error) => Some(Fact::LoadBalancerAbsent(id)),
                    // HNS may have modified it before the error, for example before a timeout.
                    _ => Some(Fact::ModifyUncertain { id, attempted: observed }),
                });
                return Err(error.into());
            }
        };
        if let Some(read_back) = read_back {
            // HNS 15.4 reports success and changes nothing (kubernetes issue 131466).
            if identity::unreadable_load_balancer_content(&read_back).next().is_some() {
                // What cannot be read does not show whether HNS modifies: only backends that can be read are compared.
                if backends(&read_back).is_some_and(|read| read != backends(document).unwrap_or_default()) {
                    return Err(Failure::ModifyHadNoEffect);
                }
                facts.push(Fact::LoadBalancer { requested: id, id, observed });
                return Ok(());
            }
            if identity::load_balancer_content(&read_back, &self.capabilities) != observed.content {
                facts.push(Fact::ModifyFails);
                return Err(Failure::ModifyHadNoEffect);
            }
            facts.extend(self.proves.then_some(Fact::ModifyWorks));
        }
        facts.push(Fact::LoadBalancer { requested: id, id, observed });
        Ok(())
    }

    /// Creates the old load balancer again after HNS has refused the new one: old backends are better than none.
    fn restore_previous(&self, frontend: Frontend, client: &Client, facts: &mut Vec<Fact>) -> Result<(), Failure> {
        let Some(document) = &self.previous else { return Err(Failure::NotReleased) };
        let content = identity::load_balancer_content(document, &self.capabilities);
        let id = identity::load_balancer_id(frontend, content);
        self.create_load_balancer(id, (document, content), client, facts)
    }
}

/// The backends of a load balancer, sorted; `None` if they cannot be read.
fn backends(document: &LoadBalancer) -> Option<Vec<Guid>> {
    let mut backends = readable_backends(document)?;
    backends.sort_unstable();
    Some(backends)
}

/// Which error of a refused creation and the failed read after it is reported: the refusal if the id may be free. In the HNS v1 API, older builds
/// report an absent object without a code.
fn more_telling(refusal: Error, failed: Error) -> Error {
    let is_perhaps_absent = failed.class() == Class::Absent || matches!(failed, Error::Envelope { .. });
    if is_perhaps_absent { refusal } else { failed }
}

/// Whether the object may exist although its creation failed. With other errors, HNS has checked the document and refused it.
fn is_creation_uncertain(error: &Error) -> bool {
    matches!(error.class(), Class::Other | Class::Unavailable)
}

/// What the result of a deletion shows.
fn deletion(result: &Result<(), Error>, id: Guid, deleted: Fact) -> Option<Fact> {
    match result.as_ref().map_err(Error::class) {
        Ok(()) => Some(deleted),
        // HNS has refused it, so the object is as before.
        Err(Class::Unsupported | Class::Invalid) => None,
        // HNS may have deleted it before the error, for example before a timeout.
        Err(_) => Some(Fact::DeleteUncertain(id)),
    }
}

fn create_endpoint(
    network: Guid,
    requested: Guid,
    (document, content): (&Endpoint, Content),
    client: &Client,
    facts: &mut Vec<Fact>,
) -> Result<(), Failure> {
    let uncertain = || Fact::CreateUncertain { kind: Kind::Endpoint, id: requested, endpoints: Vec::new() };
    let id = match client.create_endpoint(network, requested, document) {
        Err(error) if error.class() == Class::Exists => {
            // As for load balancers: an earlier call may have created it.
            // If the id is free, the address is in use.
            let existing = client.endpoint(requested).inspect_err(|_| facts.push(uncertain()));
            let existing = existing.map_err(|failed| more_telling(error, failed))?;
            if identity::endpoint_content(network, &existing) != content {
                facts.push(Fact::ContentNotOfId(requested));
                return Err(Failure::OtherContent);
            }
            requested
        }
        Err(error) => {
            if is_creation_uncertain(&error) {
                facts.push(uncertain());
            }
            return Err(error.into());
        }
        Ok(id) => id,
    };
    let observed = ObservedEndpoint::with_content(network, document, content, Owner::Us);
    facts.push(Fact::Endpoint { requested, id, observed });
    Ok(())
}
