//! Endpoints of ours: which an address should have, and which nobody needs.

use std::net::IpAddr;

use hcn::Guid;
use hcn::schema::Endpoint;
use rustc_hash::FxHashMap;

use super::{Action, Plan, Planner, Reason, Step};
use crate::frontend::{EndpointPurpose, endpoint_document};
use crate::identity;
use crate::network::Network;
use crate::observe::Owner;

/// An endpoint of ours that an address should have, whether it is there or not.
#[derive(Debug, Clone, PartialEq)]
pub struct ExpectedEndpoint {
    /// Its network.
    pub network: Guid,
    /// Its id.
    pub id: Guid,
    /// Its address.
    pub address: IpAddr,
    /// What it is for.
    pub purpose: EndpointPurpose,
    /// The document.
    pub document: Endpoint,
}

impl ExpectedEndpoint {
    pub(super) fn into_action(self) -> Action {
        let Self { network, id, address, purpose, document } = self;
        Action::CreateEndpoint { network, id, address, purpose, document }
    }
}

/// How many load balancers let an endpoint go in a plan. Less than nothing: more take it up.
pub(super) type Released = FxHashMap<Guid, isize>;

impl Planner<'_> {
    /// The endpoint of ours that an address should have; none, where nobody needs one or its network is not there.
    pub fn expected_endpoint(&self, address: IpAddr) -> Option<ExpectedEndpoint> {
        let purpose = self.desired.purpose(address)?;
        let network = self.networks.present(self.place_for(address))?;
        let document = endpoint_document(purpose, address, network, self.host);
        let content = identity::endpoint_content(network.id, &document);
        let mut id = identity::endpoint_id(address, content);
        if self.observed.endpoint(id).is_some_and(|held| held.content != content) {
            // Others have changed the endpoint of this id. It is of use until another has taken its place.
            id = identity::endpoint_id(address, content.by_another_name());
        }
        Some(ExpectedEndpoint { network: network.id, id, address, purpose, document })
    }

    /// The endpoint that serves an expected one's purpose: itself, or one of others with the same content.
    pub(crate) fn standing(&self, expected: &ExpectedEndpoint) -> Option<Guid> {
        let content = identity::endpoint_content(expected.network, &expected.document);
        if self.observed.endpoint(expected.id).is_some_and(|held| held.content == content) {
            return Some(expected.id);
        }
        self.observed.at(expected.address).find(|(_, held)| held.content == content).map(|(id, _)| id)
    }

    pub(super) fn missing_endpoint(&self, address: IpAddr) -> Option<ExpectedEndpoint> {
        let expected = self.expected_endpoint(address)?;
        let there = self.observed.local_at(address).is_some()
            || self.standing(&expected).is_some()
            || self.restraint.blocked.contains(&address);
        (!there).then_some(expected)
    }

    pub(super) fn is_others_endpoint(&self, id: Guid) -> bool {
        self.observed.endpoint(id).is_some_and(|held| held.remote && held.owner == Owner::Foreign)
    }

    /// The endpoints that the load balancers of a plan let go, and take up.
    pub(super) fn released(&self, plan: &Plan) -> Released {
        let mut released = Released::default();
        let mut count = |endpoints: &mut dyn Iterator<Item = Guid>, by: isize| {
            endpoints.for_each(|id| *released.entry(id).or_default() += by);
        };
        let held =
            |id: Guid| self.observed.load_balancer(id).into_iter().flat_map(|held| held.endpoints.iter().copied());
        for step in &plan.steps {
            match &step.action {
                Action::DeleteLoadBalancer { id, .. } => count(&mut held(*id), 1),
                Action::ModifyLoadBalancer { id, document, .. } => {
                    count(&mut held(*id), 1);
                    count(&mut document.endpoint_ids(), -1);
                }
                Action::CreateLoadBalancer { document, .. } => count(&mut document.endpoint_ids(), -1),
                Action::CreateEndpoint { .. } | Action::DeleteEndpoint { .. } => {}
            }
        }
        released
    }

    /// Whether a load balancer refers to an endpoint when the plan is done.
    fn stays_in_use(&self, id: Guid, released: &Released) -> bool {
        let released = released.get(&id).copied().unwrap_or_default();
        isize::try_from(self.observed.references(id)).is_ok_and(|references| references > released)
    }

    /// Whether an endpoint that is there serves a load balancer when the plan is done, as it does if it is in the only network. Among
    /// several, the load balancers of its backend may be in others.
    fn is_of_use(&self, expected: &ExpectedEndpoint, released: &Released) -> bool {
        self.networks.len() == 1
            || expected.purpose != EndpointPurpose::Backend
            || self.standing(expected).is_none_or(|id| self.stays_in_use(id, released))
    }

    /// Remote endpoints that an address should not have: beside a local one any, else those of ours that nobody needs. One that a
    /// load balancer keeps for now stays until that is replaced.
    pub(super) fn plan_removals(&self, address: IpAddr, released: &Released, plan: &mut Plan) {
        let local = self.observed.local_at(address).is_some();
        let expected = self.expected_endpoint(address).filter(|expected| self.is_of_use(expected, released));
        let standing = expected.as_ref().and_then(|expected| self.standing(expected));
        if let Some(id) = standing.filter(|id| !local && self.is_others_endpoint(*id)) {
            plan.adopted_endpoints.insert(id);
        }
        // A remote endpoint may keep the local one of the source address from being created.
        let local = local || self.desired.purpose(address) == Some(EndpointPurpose::SourceVip);
        for (id, held) in self.observed.at(address).filter(|(_, held)| held.remote) {
            let left = || self.settings.take_over && self.is_kube_proxys_endpoint(address, id);
            let reason = match () {
                () if local => Reason::LocalEndpointExists,
                () if standing == Some(id) => continue,
                () if held.owner == Owner::Foreign && left() => Reason::LeftByKubeProxy,
                () if held.owner == Owner::Foreign => continue,
                () if expected.is_some() => Reason::ContentDiffers,
                () => Reason::NotWanted,
            };
            if !self.stays_in_use(id, released) {
                plan.steps.push(Step { action: Action::DeleteEndpoint { id, address }, service: None, reason });
            }
        }
    }

    /// Whether a remote endpoint of others is of the kind that kube-proxy makes: for a backend, or on overlay networks for a Service.
    fn is_kube_proxys_endpoint(&self, address: IpAddr, id: Guid) -> bool {
        let Some(held) = self.observed.endpoint(id) else { return false };
        let is_for_service = |network: &Network| {
            let document = endpoint_document(EndpointPurpose::ServiceAddress, address, network, self.host);
            held.content == identity::endpoint_content(network.id, &document)
        };
        let overlay = || self.networks.overlay().and_then(|place| self.networks.present(place));
        held.derived_mac || overlay().is_some_and(is_for_service)
    }
}
