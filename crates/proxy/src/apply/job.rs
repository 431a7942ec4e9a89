//! Steps that one thread carries out back to back, and what they taught about HNS.

use hcn::schema::{Endpoint, LoadBalancer};
use hcn::{Class, Client, Guid};
use smallvec::SmallVec;

use super::{Failure, is_load_balancer_absent};
use crate::frontend::Frontend;
use crate::identity;
use crate::observe::{ObservedEndpoint, ObservedLoadBalancer, Owner};
use crate::plan::{Action, Step};
use crate::settings::Capabilities;

/// One endpoint's step, or all steps on one frontend, with nothing of others in between: so a replaced load balancer is away for as
/// long as one call takes.
#[derive(Debug, Clone)]
pub struct Job {
    pub(super) steps: SmallVec<[Step; 1]>,
    /// The load balancer that is there before a replacement: put back if its successor is refused.
    pub(super) previous: Option<LoadBalancer>,
    pub(super) capabilities: Capabilities,
    /// Whether changes in place are read back.
    pub(super) verify: bool,
    /// Whether a change in place that is read back shows that HNS makes such changes: what was there before is known to be different.
    pub(super) proves: bool,
}

/// What is known of HNS after a call.
#[derive(Debug, Clone)]
pub(super) enum Fact {
    /// There is an endpoint, asked for by an id, and perhaps under another.
    Endpoint { asked: Guid, id: Guid, held: ObservedEndpoint },
    /// An endpoint was deleted.
    EndpointDeleted(Guid),
    /// There is a load balancer.
    LoadBalancer { id: Guid, held: ObservedLoadBalancer },
    /// A load balancer was deleted: the next of its id will say what the id tells.
    LoadBalancerDeleted(Guid),
    /// A load balancer was found not to be there.
    LoadBalancerAbsent(Guid),
    /// A load balancer may say this now, or not.
    Doubt { id: Guid, attempted: ObservedLoadBalancer },
    /// The id of an object does not tell its content.
    IdLies(Guid),
    /// Changes in place take.
    ModifyWorks,
    /// Changes in place are refused, or do not take.
    ModifyFails,
}

/// What one step of a job came to.
#[derive(Debug)]
pub struct Answer {
    pub(super) result: Result<(), Failure>,
    pub(super) facts: Vec<Fact>,
    pub(super) put_back: bool,
}

impl Job {
    /// Makes the calls. One answer for each step.
    pub fn perform(&self, client: &Client) -> Vec<Answer> {
        let mut released = true;
        let one = |step: &Step| {
            let mut facts = Vec::new();
            let (mut result, mut put_back) = (Err(Failure::NotReleased), false);
            if released || !matches!(step.action, Action::CreateLoadBalancer { .. }) {
                result = self.carry_out(&step.action, client, &mut facts);
            }
            match (&step.action, &result) {
                (Action::DeleteLoadBalancer { .. }, Err(_)) => released = false,
                (Action::CreateLoadBalancer { frontend, .. }, Err(failure))
                    if released && !failure.is_unavailable() =>
                {
                    put_back = self.put_back(*frontend, client, &mut facts);
                }
                _ => {}
            }
            Answer { result, facts, put_back }
        };
        self.steps.iter().map(one).collect()
    }

    fn carry_out(&self, action: &Action, client: &Client, facts: &mut Vec<Fact>) -> Result<(), Failure> {
        match action {
            Action::CreateEndpoint { network, id, document, .. } => {
                create_endpoint(*network, *id, document, client, facts)
            }
            Action::DeleteEndpoint { id, .. } => {
                client.delete_endpoint(*id)?;
                facts.push(Fact::EndpointDeleted(*id));
                Ok(())
            }
            Action::CreateLoadBalancer { id, document, .. } => self.create_load_balancer(*id, document, client, facts),
            Action::ModifyLoadBalancer { id, document, .. } => self.modify_load_balancer(*id, document, client, facts),
            Action::DeleteLoadBalancer { id, .. } => {
                client.delete_load_balancer(*id)?;
                facts.push(Fact::LoadBalancerDeleted(*id));
                Ok(())
            }
        }
    }

    fn create_load_balancer(
        &self,
        asked: Guid,
        document: &LoadBalancer,
        client: &Client,
        facts: &mut Vec<Fact>,
    ) -> Result<(), Failure> {
        let held = ObservedLoadBalancer::of(document, &self.capabilities, Owner::Us);
        let id = match client.create_load_balancer(asked, document) {
            Err(error) if error.class() == Class::Exists => {
                let there = client.load_balancer(asked)?;
                if identity::load_balancer_content(&there, &self.capabilities) != held.content {
                    facts.push(Fact::IdLies(asked));
                    return Err(Failure::OtherContent);
                }
                asked
            }
            result => result?,
        };
        facts.push(Fact::LoadBalancer { id, held });
        Ok(())
    }

    fn modify_load_balancer(
        &self,
        id: Guid,
        document: &LoadBalancer,
        client: &Client,
        facts: &mut Vec<Fact>,
    ) -> Result<(), Failure> {
        // Of others' making or not: what serves our Service now says what we want, and goes when we no longer do.
        let held = ObservedLoadBalancer::of(document, &self.capabilities, Owner::Us);
        let read_back = match client.modify_load_balancer(id, document, self.verify) {
            Ok(read_back) => read_back,
            Err(error) => {
                facts.extend(match error.class() {
                    Class::Unsupported => Some(Fact::ModifyFails),
                    Class::Invalid => None,
                    _ if is_load_balancer_absent(&error) => Some(Fact::LoadBalancerAbsent(id)),
                    // It may have been done all the same.
                    _ => Some(Fact::Doubt { id, attempted: held }),
                });
                return Err(error.into());
            }
        };
        if let Some(read_back) = read_back {
            if identity::load_balancer_content(&read_back, &self.capabilities) != held.content {
                facts.push(Fact::ModifyFails);
                return Err(Failure::ModifyHadNoEffect);
            }
            facts.extend(self.proves.then_some(Fact::ModifyWorks));
        }
        facts.extend([Fact::LoadBalancer { id, held }, Fact::IdLies(id)]);
        Ok(())
    }

    /// Brings back what was there before a replacement that was refused: an old set of backends is better than none.
    fn put_back(&self, frontend: Frontend, client: &Client, facts: &mut Vec<Fact>) -> bool {
        let Some(document) = &self.previous else { return false };
        let content = identity::load_balancer_content(document, &self.capabilities);
        let id = identity::load_balancer_id(frontend, content);
        self.create_load_balancer(id, document, client, facts).is_ok()
    }
}

fn create_endpoint(
    network: Guid,
    asked: Guid,
    document: &Endpoint,
    client: &Client,
    facts: &mut Vec<Fact>,
) -> Result<(), Failure> {
    let id = match client.create_endpoint(network, asked, document) {
        Err(error) if error.class() == Class::Exists => {
            let there = client.endpoint(asked)?;
            let content = |endpoint| identity::endpoint_content(network, endpoint);
            if content(&there) != content(document) {
                facts.push(Fact::IdLies(asked));
                return Err(Failure::OtherContent);
            }
            asked
        }
        result => result?,
    };
    facts.push(Fact::Endpoint { asked, id, held: ObservedEndpoint::of(network, document, Owner::Us) });
    Ok(())
}
