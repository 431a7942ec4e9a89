//! Plans the load balancer of one frontend: resolves its backends, calls [`decide`], and turns the decision into steps.

use hcn::Guid;
use hcn::schema::LoadBalancer;

use super::decision::{Candidate, Decision, DesiredLoadBalancer, Inputs, WaitingFor, decide};
use super::resolve::Resolved;
use super::{Action, ExpectedEndpoint, Plan, PlanReport, Planner, Reason, Step};
use crate::condition::{Condition, ServiceCondition};
use crate::desire::DesiredFrontend;
use crate::frontend::Frontend;
use crate::identity::{self, LoadBalancerContent};
use crate::model::ServiceName;
use crate::network::Network;
use crate::observe::{ObservedLoadBalancer, Owner};

/// A load balancer's backends as endpoints.
#[derive(Debug, Default)]
struct Backends<'a> {
    /// `None` if it is missing.
    network: Option<&'a Network>,
    /// The endpoints, including those to be created.
    endpoints: Vec<Guid>,
    create: Vec<(Guid, ExpectedEndpoint)>,
    remote: Vec<Guid>,
    /// Whether a backend is left out because its endpoint could not be created.
    blocked: bool,
}

impl Planner<'_> {
    /// The backends that have endpoints, or will have them after the plan. The report says why others are left out.
    fn resolve(&self, desired: &DesiredFrontend, report: &mut PlanReport) -> Backends<'_> {
        let choice = self.choose(&desired.spec.targets);
        let mut backends =
            Backends { network: choice.network.and_then(|index| self.networks.known(index)), ..Backends::default() };
        let frontend = desired.spec.frontend;
        let name = || self.settings.root_endpoint_name.clone();
        let mut condition = |condition| {
            report.conditions.push((frontend, ServiceCondition { service: desired.service.clone(), condition }))
        };
        choice.conditions.into_iter().for_each(&mut condition);
        for target in &desired.spec.targets {
            match self.resolve_target(*target, choice.network) {
                Resolved::Local(id) => backends.endpoints.push(id),
                // Several backends in the host's network share the host's endpoint. If it were listed twice, it might
                // get twice the connections.
                Resolved::Host(id) if backends.endpoints.contains(&id) => {}
                Resolved::Host(id) => backends.endpoints.push(id),
                Resolved::Remote(id) => {
                    backends.endpoints.push(id);
                    backends.remote.push(id);
                }
                Resolved::Create(id, endpoint) => {
                    backends.endpoints.push(id);
                    backends.create.push((id, *endpoint));
                }
                // Decides whether a frontend without any endpoint waits for a retry or loses its load balancer.
                Resolved::Blocked => backends.blocked = true,
                Resolved::NoLocalEndpoint(address) => {
                    // The CNI often creates the endpoint after the EndpointSlice, and HNS does not notify when an endpoint is created. It
                    // may notify when one is attached, but that is not reliable: the endpoints are listed again with backoff.
                    condition(Condition::NoLocalEndpoint { address });
                    report.missing_local.insert(address);
                }
                Resolved::NoHostEndpoint(address) => condition(Condition::NoHostEndpoint { address, name: name() }),
                Resolved::NoRootEndpoint => condition(Condition::NoRootEndpoint { frontend, name: name() }),
                // Its endpoint may be unused now, in which case this plan deletes it.
                Resolved::OtherNetwork => report.left_out.extend(target.address()),
                // A missing network was already reported when the network was chosen.
                Resolved::NetworkMissing | Resolved::NotDesired => {}
            }
        }
        backends
    }

    /// The load balancer that hnsproxy would create for a frontend, with the backends that already have endpoints.
    pub fn expected_load_balancer(&self, desired: &DesiredFrontend) -> Option<(Guid, LoadBalancer)> {
        let (document, content) = self.document(desired, &self.resolve(desired, &mut PlanReport::default()))?;
        Some((identity::load_balancer_id(desired.spec.frontend, content), document))
    }

    /// `None` if no backend has an endpoint, or the network is missing.
    fn document(
        &self,
        desired: &DesiredFrontend,
        backends: &Backends<'_>,
    ) -> Option<(LoadBalancer, LoadBalancerContent)> {
        let network = backends.network.filter(|_| !backends.endpoints.is_empty())?;
        let document = desired.spec.document(&backends.endpoints, network);
        let content = identity::load_balancer_content(&document, self.capabilities);
        Some((document, content))
    }

    pub(super) fn plan_frontend(&self, frontend: Frontend, plan: &mut Plan) {
        let desired = self.desired.frontend(frontend);
        let backends = desired.map(|desired| self.resolve(desired, &mut plan.report)).unwrap_or_default();
        let decision = decide(Inputs {
            desired: self.desired_load_balancer(desired, &backends),
            observed: self.candidates(frontend, backends.network),
            can_modify: self.capabilities.modify,
            recently_replaced: self.constraints.replaced.contains(&frontend),
            not_forwarding: self.constraints.not_forwarding.contains(&frontend),
        });
        self.push_steps(decision, frontend, desired.map(|desired| &desired.service), backends, plan);
    }

    fn desired_load_balancer(&self, desired: Option<&DesiredFrontend>, backends: &Backends<'_>) -> DesiredLoadBalancer {
        let Some(desired) = desired else { return DesiredLoadBalancer::Unclaimed };
        match self.document(desired, backends) {
            Some((document, content)) => DesiredLoadBalancer::LoadBalancer { document: Box::new(document), content },
            None if backends.network.is_none() => DesiredLoadBalancer::NetworkMissing,
            None if desired.spec.targets.is_empty() => DesiredLoadBalancer::NoBackends,
            None => DesiredLoadBalancer::NoEndpoints { failed: backends.blocked },
        }
    }

    fn candidates(&self, frontend: Frontend, network: Option<&Network>) -> Vec<Candidate> {
        let candidate = |(id, observed): (Guid, &ObservedLoadBalancer)| Candidate {
            id,
            owner: observed.owner,
            content: observed.content,
            perhaps_deleted: self.observed.is_perhaps_deleted(id),
            in_network: network.is_some_and(|network| self.is_in(observed, network.id)),
            // kube-proxy programs one network only. A load balancer whose endpoints are all in networks that we do
            // not manage may belong to another program, even if it looks like one of kube-proxy.
            left_by_kube_proxy: observed.owner == Owner::Foreign
                && self.settings.take_over
                && observed.resembles_kube_proxy(self.capabilities)
                && observed.endpoints.iter().any(|id| self.observed.endpoint(*id).is_some()),
        };
        self.observed.on(frontend).map(candidate).collect()
    }

    /// Whether a load balancer has no backend in another network. Backends that HNS no longer has do not count.
    fn is_in(&self, observed: &ObservedLoadBalancer, network: Guid) -> bool {
        let mut endpoints = observed.endpoints.iter().filter_map(|id| self.observed.endpoint(*id));
        endpoints.all(|endpoint| endpoint.network == network)
    }

    /// The steps of a decision, in their order: endpoints before the load balancer that refers to them, then deletions
    /// on the frontend, then the load balancer. The steps on one frontend are adjacent, so that `apply` makes their
    /// calls without others in between.
    fn push_steps(
        &self,
        decision: Decision,
        frontend: Frontend,
        service: Option<&ServiceName>,
        backends: Backends<'_>,
        plan: &mut Plan,
    ) {
        let step = |action, reason| Step { action, service: service.cloned(), reason };
        let delete = |reason| move |id| step(Action::DeleteLoadBalancer { id, frontend }, reason);
        let create = |document, content| {
            let id = identity::load_balancer_id(frontend, content);
            Action::CreateLoadBalancer { id, frontend, document, content }
        };
        if decision.needs_endpoints() {
            // The endpoints of a load balancer in sync are checked too: HNS lets other programs delete an endpoint that
            // the load balancer refers to.
            plan.adopted_endpoints.extend(backends.remote.into_iter().filter(|id| self.is_foreign_endpoint(*id)));
            let create = |(id, endpoint): (Guid, ExpectedEndpoint)| step(endpoint.into_action(id), Reason::Missing);
            plan.steps.extend(backends.create.into_iter().map(create));
        }
        match decision {
            // Surplus load balancers have no reason of their own. One of them may even equal the desired one: the reason is only reported.
            Decision::Keep { surplus } => plan.steps.extend(surplus.into_iter().map(delete(Reason::ContentDiffers))),
            Decision::Adopt { id, surplus } => {
                plan.adopted_load_balancers.insert(id);
                plan.steps.extend(surplus.into_iter().map(delete(Reason::ContentDiffers)));
            }
            Decision::Create { document, content } => {
                plan.steps.push(step(create(*document, content), Reason::Missing));
            }
            Decision::Modify { id, document, content, surplus } => {
                // Surplus load balancers are deleted first, as in a replacement: a frontend has one load balancer.
                plan.steps.extend(surplus.into_iter().map(delete(Reason::BackendsDiffer)));
                let modify = Action::ModifyLoadBalancer { id, frontend, document: *document, content };
                plan.steps.push(step(modify, Reason::BackendsDiffer));
            }
            Decision::Replace { old, document, content, reason } => {
                plan.steps.extend(old.into_iter().map(delete(reason)));
                plan.steps.push(step(create(*document, content), reason));
            }
            // Their endpoints are deleted later in the same plan, if nothing else refers to them.
            Decision::Delete { load_balancers } => {
                plan.steps.extend(load_balancers.into_iter().map(|(id, reason)| delete(reason)(id)));
            }
            Decision::Postpone => {
                plan.report.postponed.insert(frontend);
            }
            Decision::Wait(WaitingFor::Network) => {
                plan.report.waiting.insert(frontend);
            }
            // Nothing to record: the retry of the address plans its frontends again.
            Decision::Wait(WaitingFor::Endpoint) => {}
        }
    }
}
