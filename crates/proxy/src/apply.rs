//! Carries out the steps of a plan, one outcome each; a failing step stops only those that depend on it.
//!
//! What succeeded is noted in the index of what HNS holds. What failed is left to [`reconcile`](crate::reconcile) to try again. That
//! an object of ours exists already is the success of an earlier try, if it says what it should.

use hcn::{Class, Client, Error, Guid, Hresult};
use rustc_hash::{FxHashMap, FxHashSet};

use crate::desired::Dirty;
use crate::frontend::Frontend;
use crate::identity;
use crate::observe::{HeldEndpoint, HeldLoadBalancer, Observed, Owner};
use crate::plan::{Action, Step};
use crate::settings::Capabilities;

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
}

/// One run through a plan.
pub struct Run<'a> {
    client: &'a Client,
    network: Guid,
    observed: &'a mut Observed,
    capabilities: &'a mut Capabilities,
    /// Whether a change in place was seen to take.
    modify_verified: &'a mut bool,
    /// Endpoints to which HNS gave another id than the plan's.
    renamed: FxHashMap<Guid, Guid>,
    not_created: FxHashSet<Guid>,
    not_released: FxHashSet<Frontend>,
}

impl<'a> Run<'a> {
    /// A run against one network.
    pub fn new(
        client: &'a Client,
        network: Guid,
        observed: &'a mut Observed,
        capabilities: &'a mut Capabilities,
        modify_verified: &'a mut bool,
    ) -> Self {
        Self {
            client,
            network,
            observed,
            capabilities,
            modify_verified,
            renamed: FxHashMap::default(),
            not_created: FxHashSet::default(),
            not_released: FxHashSet::default(),
        }
    }

    /// Carries out one step.
    pub fn apply(&mut self, step: Step) -> Outcome {
        let result = self.carry_out(&step.action);
        if result.is_err() {
            match &step.action {
                Action::CreateEndpoint { id, .. } => {
                    self.not_created.insert(*id);
                }
                Action::DeleteLoadBalancer { frontend, .. } => {
                    self.not_released.insert(*frontend);
                }
                _ => {}
            }
        }
        Outcome { step, result }
    }

    fn carry_out(&mut self, action: &Action) -> Result<(), Failure> {
        // Our own writes make nothing dirty: the plan has taken them into account.
        let mut settled = Dirty::default();
        match action {
            Action::CreateEndpoint { id, document, .. } => {
                let actual = match self.client.create_endpoint(self.network, *id, document) {
                    Err(error) if error.class() == Class::Exists => {
                        let there = self.client.endpoint(*id)?;
                        let content = |endpoint| identity::endpoint_content(self.network, endpoint);
                        if content(&there) != content(document) {
                            self.observed.distrust_id(*id);
                            return Err(Failure::OtherContent);
                        }
                        *id
                    }
                    result => result?,
                };
                if actual != *id {
                    self.renamed.insert(*id, actual);
                }
                let held = HeldEndpoint::of(self.network, document, Owner::Us);
                self.observed.insert_endpoint(actual, held, &mut settled);
            }
            Action::DeleteEndpoint { id, .. } => {
                if self.observed.is_referenced(*id) {
                    return Err(Failure::StillReferenced);
                }
                self.client.delete_endpoint(*id)?;
                self.observed.remove_endpoint(*id, &mut settled);
            }
            Action::CreateLoadBalancer { id, frontend, document } => {
                if self.not_released.contains(frontend) {
                    return Err(Failure::NotReleased);
                }
                let document = self.with_actual_endpoints(document)?;
                let held = HeldLoadBalancer::of(&document, self.capabilities, Owner::Us);
                let actual = match self.client.create_load_balancer(*id, &document) {
                    Err(error) if error.class() == Class::Exists => {
                        let there = self.client.load_balancer(*id)?;
                        if identity::load_balancer_content(&there, self.capabilities) != held.content {
                            self.observed.distrust_id(*id);
                            return Err(Failure::OtherContent);
                        }
                        *id
                    }
                    result => result?,
                };
                self.observed.insert_load_balancer(actual, held, &mut settled);
            }
            Action::ModifyLoadBalancer { id, document, .. } => {
                let document = self.with_actual_endpoints(document)?;
                // Of others' making or not: what serves our Service now says what we want, and goes when we no longer do.
                let held = HeldLoadBalancer::of(&document, self.capabilities, Owner::Us);
                let result = self.client.modify_load_balancer(*id, &document, !*self.modify_verified);
                let read_back = match result {
                    Err(error) => {
                        match error.class() {
                            Class::Unsupported => self.capabilities.modify = false,
                            Class::Invalid => {}
                            _ if is_load_balancer_absent(&error) => {
                                self.observed.remove_load_balancer(*id, &mut settled);
                            }
                            // It may have been done all the same.
                            _ => self.observed.doubt_load_balancer(*id, &held),
                        }
                        return Err(error.into());
                    }
                    Ok(read_back) => read_back,
                };
                if let Some(read_back) = read_back {
                    if identity::load_balancer_content(&read_back, self.capabilities) != held.content {
                        self.capabilities.modify = false;
                        return Err(Failure::ModifyHadNoEffect);
                    }
                    *self.modify_verified = true;
                }
                self.observed.insert_load_balancer(*id, held, &mut settled);
                self.observed.distrust_id(*id);
            }
            Action::DeleteLoadBalancer { id, .. } => {
                self.client.delete_load_balancer(*id)?;
                self.observed.forget_load_balancer(*id, &mut settled);
            }
        }
        Ok(())
    }

    /// A load balancer's document with the ids that HNS gave.
    fn with_actual_endpoints(
        &self,
        document: &hcn::schema::LoadBalancer,
    ) -> Result<hcn::schema::LoadBalancer, Failure> {
        let mut document = document.clone();
        for endpoint in &mut document.host_compute_endpoints {
            let Ok(id) = endpoint.parse::<Guid>() else { continue };
            if self.not_created.contains(&id) {
                return Err(Failure::NeedsEndpoint);
            }
            if let Some(actual) = self.renamed.get(&id) {
                *endpoint = actual.to_string();
            }
        }
        Ok(document)
    }
}
