//! The load balancer of one frontend: with which backends, and how it gets there from what HNS holds.

use std::net::IpAddr;

use hcn::Guid;
use hcn::schema::LoadBalancer;

use super::{Action, ExpectedEndpoint, Plan, Planner, Reason, Step};
use crate::desired::Owned;
use crate::frontend::Frontend;
use crate::identity;
use crate::model::ServiceName;
use crate::network::Network;
use crate::notice::{Notice, Problem};
use crate::observe::{ObservedLoadBalancer, Owner};
use crate::resolve::Resolved;

/// A load balancer's backends as endpoints.
#[derive(Debug)]
struct Resolution<'a> {
    /// Their network; none: it is not there.
    network: Option<&'a Network>,
    endpoints: Vec<Guid>,
    create: Vec<ExpectedEndpoint>,
    adopt: Vec<Guid>,
    /// Backends in other networks.
    left_out: Vec<IpAddr>,
    /// Whether a backend is left out because its endpoint could not be created.
    blocked: bool,
    problems: Vec<(Problem, Option<IpAddr>)>,
}

impl Planner<'_> {
    /// The document of a load balancer with the backends that have endpoints, or will have when the plan has run.
    fn resolve(&self, owned: &Owned) -> Resolution<'_> {
        let choice = self.choose(&owned.spec.targets);
        let mut resolution = Resolution {
            network: choice.place.and_then(|place| self.networks.known(place)),
            endpoints: Vec::new(),
            create: Vec::new(),
            adopt: Vec::new(),
            left_out: Vec::new(),
            blocked: false,
            problems: choice.problems.into_iter().map(|problem| (problem, None)).collect(),
        };
        for target in &owned.spec.targets {
            let name = || self.settings.root_endpoint_name.clone();
            let mut problem = |problem, awaited| resolution.problems.push((problem, awaited));
            match self.resolve_target(*target, choice.place) {
                Resolved::Local(id) => resolution.endpoints.push(id),
                Resolved::Host(id) if resolution.endpoints.contains(&id) => {}
                Resolved::Host(id) => resolution.endpoints.push(id),
                Resolved::Remote(id) => {
                    resolution.endpoints.push(id);
                    resolution.adopt.push(id);
                }
                Resolved::Create(endpoint) => {
                    resolution.endpoints.push(endpoint.id);
                    resolution.create.push(*endpoint);
                }
                Resolved::Blocked => resolution.blocked = true,
                Resolved::NoLocalEndpoint(address) => problem(Problem::NoLocalEndpoint { address }, Some(address)),
                Resolved::NoHostEndpoint(address) => problem(Problem::NoHostEndpoint { address, name: name() }, None),
                Resolved::NoRootEndpoint => {
                    problem(Problem::NoRootEndpoint { frontend: owned.spec.frontend, name: name() }, None);
                }
                Resolved::OtherNetwork => resolution.left_out.extend(target.address()),
                Resolved::NetworkMissing | Resolved::NotWanted => {}
            }
        }
        resolution
    }

    /// The load balancer of ours that a frontend should have, as far as its backends have endpoints already.
    pub fn expected_load_balancer(&self, owned: &Owned) -> Option<(Guid, LoadBalancer)> {
        let resolution = self.resolve(owned);
        if resolution.endpoints.is_empty() {
            return None;
        }
        let document = owned.spec.document(&resolution.endpoints, resolution.network?);
        let content = identity::load_balancer_content(&document, self.capabilities);
        Some((identity::load_balancer_id(owned.spec.frontend, content), document))
    }

    pub(super) fn plan_frontend(&self, frontend: Frontend, plan: &mut Plan) {
        let mut held: Vec<(Guid, &ObservedLoadBalancer)> = self.observed.on(frontend).collect();
        let Some(owned) = self.desired.owned(frontend) else {
            return self.plan_unwanted(frontend, &held, plan);
        };
        let service = Some(owned.service.clone());
        let resolution = self.resolve(owned);
        for (problem, awaited) in resolution.problems {
            plan.awaited.extend(awaited);
            plan.notices.push((frontend, Notice { service: owned.service.clone(), problem }));
        }
        plan.left_out.extend(resolution.left_out);
        let Some(network) = resolution.network else {
            plan.waiting.insert(frontend);
            return;
        };
        if resolution.endpoints.is_empty() {
            if resolution.blocked {
                // There are backends, only no endpoints yet: what serves, however badly, stays until there are.
                return;
            }
            if !owned.spec.targets.is_empty() {
                // The same holds for what others have put there. Ours would send traffic to backends that no longer serve.
                held.retain(|(_, held)| held.owner == Owner::Us);
            }
            let delete = |(id, _)| delete_load_balancer(id, frontend, service.clone(), Reason::NoBackends);
            plan.steps.extend(held.into_iter().map(delete));
            return;
        }
        let document = owned.spec.document(&resolution.endpoints, network);
        let content = identity::load_balancer_content(&document, self.capabilities);
        let create = resolution.create.into_iter().map(|endpoint| Step {
            action: endpoint.into_action(),
            service: service.clone(),
            reason: Reason::Missing,
        });
        let adopted = resolution.adopt.into_iter().filter(|id| self.is_others_endpoint(*id));
        if let Some(index) = held.iter().position(|(_, held)| held.content.whole == content.whole) {
            let (id, same) = held.swap_remove(index);
            if same.owner == Owner::Foreign {
                plan.adopted_load_balancers.insert(id);
            }
            plan.adopted_endpoints.extend(adopted);
            // It may refer to endpoints that are gone.
            plan.steps.extend(create);
            let delete = |(id, _)| delete_load_balancer(id, frontend, service.clone(), Reason::ContentDiffers);
            plan.steps.extend(held.into_iter().map(delete));
            return;
        }
        let same_shape = held.iter().position(|(_, held)| held.content.shape == content.shape);
        let reason = match (same_shape, held.as_slice()) {
            (_, []) => Reason::Missing,
            (Some(_), _) => Reason::BackendsDiffer,
            (None, held) if held.iter().any(|(_, held)| held.owner == Owner::Foreign) => Reason::HeldByOthers,
            (None, _) => Reason::ContentDiffers,
        };
        let can_be_changed = |index: &usize| {
            self.capabilities.modify && held.get(*index).is_some_and(|(_, held)| self.is_in(held, network.id))
        };
        let in_place = same_shape.filter(can_be_changed).map(|index| held.swap_remove(index).0);
        if !held.is_empty() && in_place.is_none() && self.restraint.replaced.contains(&frontend) {
            plan.postponed.insert(frontend);
            return;
        }
        plan.adopted_endpoints.extend(adopted);
        plan.steps.extend(create);
        let delete = |(id, _)| delete_load_balancer(id, frontend, service.clone(), reason);
        plan.steps.extend(held.into_iter().map(delete));
        let action = match in_place {
            Some(id) => Action::ModifyLoadBalancer { id, frontend, document },
            None => {
                Action::CreateLoadBalancer { id: identity::load_balancer_id(frontend, content), frontend, document }
            }
        };
        plan.steps.push(Step { action, service, reason });
    }

    /// Whether a load balancer has no backend in another network. One that has is not changed in place: that HNS can move it is not known.
    fn is_in(&self, held: &ObservedLoadBalancer, network: Guid) -> bool {
        held.endpoints.iter().filter_map(|id| self.observed.endpoint(*id)).all(|endpoint| endpoint.network == network)
    }

    /// What no Service wants: ours goes, and what kube-proxy left where the settings say so.
    fn plan_unwanted(&self, frontend: Frontend, held: &[(Guid, &ObservedLoadBalancer)], plan: &mut Plan) {
        for (id, held) in held {
            let of_network = |id: &Guid| self.observed.endpoint(*id).is_some();
            let left =
                || self.settings.take_over && held.resembles_kube_proxy() && held.endpoints.iter().any(of_network);
            let reason = match held.owner {
                Owner::Us => Reason::NotWanted,
                Owner::Foreign if left() => Reason::LeftByKubeProxy,
                Owner::Foreign => continue,
            };
            plan.steps.push(delete_load_balancer(*id, frontend, None, reason));
        }
    }
}

fn delete_load_balancer(id: Guid, frontend: Frontend, service: Option<ServiceName>, reason: Reason) -> Step {
    Step { action: Action::DeleteLoadBalancer { id, frontend }, service, reason }
}
