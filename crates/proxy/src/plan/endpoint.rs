//! Remote endpoints and the endpoints of overlay networks: which one an address should have, and which ones to delete.

use std::net::IpAddr;

use hcn::Guid;
use hcn::schema::{Endpoint, EndpointFlags, IpConfiguration, Policy};
use rustc_hash::FxHashMap;
use smallvec::SmallVec;
use smol_str::SmolStr;

use super::{Action, Plan, Planner, Reason, Step};
use crate::frontend::EndpointPurpose;
use crate::identity::{self, Content};
use crate::mac::{derived_mac, is_derived_mac};
use crate::model::Family;
use crate::network::Network;
use crate::observe::{ObservedEndpoint, ObservedLoadBalancer, Owner};
use crate::settings::Host;

/// An endpoint of ours that an address should have, whether HNS has it or not.
#[derive(Debug, Clone, PartialEq)]
pub struct ExpectedEndpoint {
    pub network: Guid,
    pub address: IpAddr,
    pub purpose: EndpointPurpose,
    /// That of the document.
    pub content: Content,
    form: Form,
}

/// The values from which the document of an own endpoint is created. Most endpoints are only compared, which needs no document.
#[derive(Debug, Clone, PartialEq)]
struct Form {
    address: IpAddr,
    remote: bool,
    mac_address: String,
    provider: Option<IpAddr>,
}

impl ExpectedEndpoint {
    pub(super) fn into_action(self, id: Guid) -> Action {
        let Self { network, address, purpose, content, form } = self;
        Action::CreateEndpoint { network, id, address, purpose, document: form.into_document(), content }
    }

    /// Converts the endpoint to the observed state after its creation.
    pub fn into_observed(self) -> ObservedEndpoint {
        let Self { network, address, content, form, .. } = self;
        ObservedEndpoint {
            network,
            addresses: SmallVec::from([address]),
            remote: form.remote,
            derived_mac: is_derived_mac(&form.mac_address, address),
            name: SmolStr::default(),
            content,
            owner: Owner::Us,
        }
    }
}

impl Form {
    /// Uses the same values as kube-proxy, so that each proxy can adopt the endpoints of the other.
    fn of(purpose: EndpointPurpose, address: IpAddr, network: &Network, host: &Host) -> Self {
        let node_ip = host.node_ip(Family::of(address));
        let provider = match purpose {
            // An address in no remote subnet is outside the cluster: its traffic leaves through this node, as in
            // kube-proxy.
            EndpointPurpose::Backend => network.provider_address(address).or(node_ip),
            EndpointPurpose::ServiceAddress => node_ip,
            // As in kube-proxy: a local endpoint without a provider address, since the source VIP is an address of this
            // node.
            EndpointPurpose::SourceVip => None,
        };
        let mac_address = match purpose {
            EndpointPurpose::Backend => derived_mac(address),
            EndpointPurpose::ServiceAddress | EndpointPurpose::SourceVip => host.mac.clone().unwrap_or_default(),
        };
        // Only overlay networks encapsulate: on other types a provider address has no meaning.
        let provider = provider.filter(|_| network.overlay);
        Self { address, remote: purpose != EndpointPurpose::SourceVip, mac_address, provider }
    }

    fn content(&self, network: Guid) -> Content {
        identity::content_of_endpoint_at(self.address, network, self.remote, &self.mac_address, self.provider)
    }

    fn into_document(self) -> Endpoint {
        Endpoint {
            policies: self.provider.map(Policy::provider_address).into_iter().collect(),
            // No prefix length: HNS adds the prefix length of the subnet, or none if the address is in no subnet.
            ip_configurations: vec![IpConfiguration {
                ip_address: self.address.to_string(),
                ..IpConfiguration::default()
            }],
            mac_address: self.mac_address,
            flags: EndpointFlags::NONE.with(EndpointFlags::REMOTE, self.remote),
            ..Endpoint::default()
        }
    }
}

/// What is used by the load balancers that a plan deletes or modifies.
#[derive(Debug, Default)]
pub(super) struct Released {
    /// The number of references to each endpoint that are removed. Negative if references are added.
    pub(super) endpoints: FxHashMap<Guid, isize>,
    /// The number of load balancers with each source VIP that are deleted.
    pub(super) source_vips: FxHashMap<IpAddr, usize>,
}

/// The properties of an endpoint that decide about its removal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Candidate {
    remote: bool,
    owner: Owner,
    /// Whether it is the expected endpoint, or has the same content.
    matches: bool,
    /// Whether `--take-over` is set, and it is of the kind that kube-proxy creates.
    left_by_kube_proxy: bool,
}

/// The needs of an address that decide about removals.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Needs {
    /// Whether the address has a local endpoint, or must get one.
    local: bool,
    /// Whether it needs an endpoint of ours.
    ours: bool,
}

/// Why an endpoint at an address must be deleted; `None` if it stays.
fn removal(endpoint: Candidate, needs: Needs) -> Option<Reason> {
    match endpoint {
        // The endpoint of a former source VIP: its address may become that of a pod here.
        Candidate { remote: false, owner: Owner::Us, .. } if !needs.ours => Some(Reason::NotDesired),
        // Other local endpoints belong to the CNI.
        Candidate { remote: false, .. } => None,
        // Each address is on one node. A remote endpoint for the same address would send its traffic to another node,
        // and can keep the CNI from creating the pod (kubernetes issue 130963). Foreign ones are deleted too: they have
        // the same effect.
        _ if needs.local => Some(Reason::LocalEndpointExists),
        // It is the expected endpoint, or a foreign one with the same content.
        Candidate { matches: true, .. } => None,
        // kube-proxy does not clean up when it exits, and --take-over asks for it.
        Candidate { owner: Owner::Foreign, left_by_kube_proxy: true, .. } => Some(Reason::LeftByKubeProxy),
        // Other programs share HNS. Their endpoints stay.
        Candidate { owner: Owner::Foreign, .. } => None,
        // Another endpoint of ours replaces it, for example because the address is on another node now.
        _ if needs.ours => Some(Reason::ContentDiffers),
        // An address that no Service uses may become the address of a pod here.
        _ => Some(Reason::NotDesired),
    }
}

impl Planner<'_> {
    /// The endpoint of ours that an address should have; `None` if no Service needs one, or its network is missing.
    pub fn expected_endpoint(&self, address: IpAddr) -> Option<ExpectedEndpoint> {
        let purpose = self.desired.purpose(address)?;
        let network = self.networks.present(self.network_for(address))?;
        let form = Form::of(purpose, address, network, self.host);
        let content = form.content(network.id);
        Some(ExpectedEndpoint { network: network.id, address, purpose, content, form })
    }

    /// The id with which an expected endpoint is created.
    pub fn id_of(&self, expected: &ExpectedEndpoint) -> Guid {
        let ExpectedEndpoint { address, content, .. } = *expected;
        let id = identity::endpoint_id(address, content);
        // Another program modified our endpoint. HNS refuses a second endpoint with the same id, so the replacement gets an alternative
        // id. Load balancers use the old endpoint until the replacement exists.
        if self.observed.endpoint(id).is_some_and(|observed| observed.content != content) {
            return identity::endpoint_id(address, content.alternative());
        }
        id
    }

    /// The observed endpoint that equals an expected one: itself, or a foreign one with the same content.
    pub(crate) fn matching_endpoint(&self, expected: &ExpectedEndpoint) -> Option<Guid> {
        // One that may be deleted already is created again. If it still exists, HNS says so.
        let is_certain = |id: &Guid| !self.observed.is_perhaps_deleted(*id);
        let mut equal = self.equal_endpoints(expected);
        // Usually there is only one, so its id need not be compared.
        let (first, second) = (equal.next()?, equal.next());
        if second.is_none() {
            return Some(first).filter(is_certain);
        }
        let id = self.id_of(expected);
        match self.equal_endpoints(expected).find(|equal| *equal == id) {
            Some(id) => Some(id).filter(is_certain),
            None => self.equal_endpoints(expected).find(is_certain),
        }
    }

    /// The observed endpoints that equal an expected one, even if they may be deleted.
    fn equal_endpoints(&self, expected: &ExpectedEndpoint) -> impl Iterator<Item = Guid> {
        let content = expected.content;
        self.observed.at(expected.address).filter(move |(_, observed)| observed.content == content).map(|(id, _)| id)
    }

    pub(super) fn missing_endpoint(&self, address: IpAddr) -> Option<ExpectedEndpoint> {
        let expected = self.expected_endpoint(address)?;
        let present_or_blocked = self.observed.local_at(address).is_some()
            || self.matching_endpoint(&expected).is_some()
            // Its retry is not due: to ask again now would fail again, and delay other Services.
            || self.constraints.blocked.contains(&address);
        (!present_or_blocked).then_some(expected)
    }

    pub(super) fn is_foreign_endpoint(&self, id: Guid) -> bool {
        self.observed.endpoint(id).is_some_and(|observed| observed.remote && observed.owner == Owner::Foreign)
    }

    pub(super) fn released(&self, plan: &Plan) -> Released {
        let mut released = Released::default();
        let mut count = |endpoints: &mut dyn Iterator<Item = Guid>, by: isize| {
            endpoints.for_each(|id| *released.endpoints.entry(id).or_default() += by);
        };
        let mut source_vips = FxHashMap::default();
        let backends = |id: Guid| {
            self.observed.load_balancer(id).into_iter().flat_map(|observed| observed.endpoints.iter().copied())
        };
        for step in &plan.steps {
            match &step.action {
                Action::DeleteLoadBalancer { id, .. } => {
                    count(&mut backends(*id), 1);
                    let source_vip = self.observed.load_balancer(*id).and_then(ObservedLoadBalancer::source_vip);
                    source_vip.into_iter().for_each(|address| *source_vips.entry(address).or_default() += 1);
                }
                Action::ModifyLoadBalancer { id, document, .. } => {
                    count(&mut backends(*id), 1);
                    count(&mut document.endpoint_ids(), -1);
                }
                Action::CreateLoadBalancer { document, .. } => count(&mut document.endpoint_ids(), -1),
                Action::CreateEndpoint { .. } | Action::DeleteEndpoint { .. } => {}
            }
        }
        Released { source_vips, ..released }
    }

    /// Whether a load balancer refers to an endpoint after the plan.
    fn remains_referenced(&self, id: Guid, released: &Released) -> bool {
        let released = released.endpoints.get(&id).copied().unwrap_or_default();
        self.observed.is_perhaps_hidden(id)
            || isize::try_from(self.observed.references(id)).is_ok_and(|references| references > released)
    }

    /// Whether the endpoint of a former source VIP is still needed after the plan: a load balancer uses it, or the new source VIP has no
    /// endpoint yet.
    fn is_source_vip_needed(&self, address: IpAddr, released: &Released, plan: &Plan) -> bool {
        let released = released.source_vips.get(&address).copied().unwrap_or_default();
        let is_created = |new: IpAddr| {
            plan.steps
                .iter()
                .any(|step| matches!(step.action, Action::CreateEndpoint { address, .. } if address == new))
        };
        let is_absent = |new: IpAddr| self.observed.local_at(new).is_none() && !is_created(new);
        self.observed.uses_of_source_vip(address) > released || self.desired.source_vip().is_some_and(is_absent)
    }

    /// Whether a load balancer uses an endpoint after the plan. With one network, an expected endpoint is always used.
    /// With several, the load balancers of its backend may be in other networks.
    fn is_needed(&self, expected: &ExpectedEndpoint, released: &Released) -> bool {
        if self.networks.len() == 1 || expected.purpose != EndpointPurpose::Backend {
            return true;
        }
        // An endpoint that may be deleted counts too: otherwise the retry of a failed deletion would find nothing to delete.
        let mut equal = self.equal_endpoints(expected).peekable();
        equal.peek().is_none() || equal.any(|id| self.remains_referenced(id, released))
    }

    /// Plans the removal of the endpoints that an address should not have.
    pub(super) fn plan_removals(&self, address: IpAddr, released: &Released, plan: &mut Plan) {
        // Avoids the work below at a first start, when no address has an endpoint.
        if self.observed.at(address).next().is_none() {
            return;
        }
        let local = self.observed.local_at(address).is_some();
        let expected = self.expected_endpoint(address).filter(|expected| self.is_needed(expected, released));
        let matching = expected.as_ref().and_then(|expected| self.matching_endpoint(expected));
        if let Some(id) = matching.filter(|id| !local && self.is_foreign_endpoint(*id)) {
            plan.adopted_endpoints.insert(id);
        }
        let needs = Needs {
            // The endpoint of the source VIP is a local one, and HNS may refuse it while a remote one has its address.
            local: local || self.desired.purpose(address) == Some(EndpointPurpose::SourceVip),
            ours: expected.is_some(),
        };
        for (id, observed) in self.observed.at(address) {
            let endpoint = Candidate {
                remote: observed.remote,
                owner: observed.owner,
                // One that is created again because it may be deleted has the expected id.
                matches: matching == Some(id) || expected.as_ref().is_some_and(|expected| self.id_of(expected) == id),
                left_by_kube_proxy: observed.owner == Owner::Foreign
                    && self.settings.take_over
                    && self.is_kube_proxys_endpoint(address, id),
            };
            let Some(reason) = removal(endpoint, needs) else { continue };
            // HNS deletes an endpoint that a load balancer refers to, and the load balancer keeps sending it
            // connections (kubernetes issue 112836). It is deleted after the load balancer has been replaced.
            let is_needed = observed.is_of_source_vip() && self.is_source_vip_needed(address, released, plan);
            if !is_needed && !self.remains_referenced(id, released) {
                plan.steps.push(Step { action: Action::DeleteEndpoint { id, address }, service: None, reason });
            }
        }
    }

    /// Whether an endpoint is of the kind that kube-proxy creates: for a backend, or on overlay networks for a Service address.
    fn is_kube_proxys_endpoint(&self, address: IpAddr, id: Guid) -> bool {
        let Some(observed) = self.observed.endpoint(id) else { return false };
        let is_for_service = |network: &Network| {
            let form = Form::of(EndpointPurpose::ServiceAddress, address, network, self.host);
            observed.content == form.content(network.id)
        };
        let overlay = || self.networks.overlay().and_then(|index| self.networks.present(index));
        observed.derived_mac || overlay().is_some_and(is_for_service)
    }
}

/// The content of the endpoint that hnsproxy or kube-proxy creates for a source VIP.
pub(crate) fn source_vip_content(address: IpAddr, network: &Network, host: &Host) -> Content {
    Form::of(EndpointPurpose::SourceVip, address, network, host).content(network.id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_expected_endpoint_is_observed_as_its_document_says() {
        let backend = Form {
            address: [10, 244, 2, 7].into(),
            remote: true,
            mac_address: derived_mac([10, 244, 2, 7].into()),
            provider: Some([192, 168, 77, 2].into()),
        };
        let service = Form { mac_address: "16:3F:c8:c9:10:9d".into(), ..backend.clone() };
        let source_vip =
            Form { address: [0xfd00, 0, 0, 0, 0, 0, 0, 9].into(), remote: false, provider: None, ..service.clone() };
        let network = Guid::from_u128(7);
        for form in [backend, service, source_vip] {
            let (address, content, purpose) = (form.address, form.content(network), EndpointPurpose::Backend);
            let document = form.clone().into_document();
            let expected = ExpectedEndpoint { network, address, purpose, content, form };
            assert_eq!(expected.into_observed(), ObservedEndpoint::of(network, &document, Owner::Us));
        }
    }

    #[test]
    fn each_endpoint_of_an_address_stays_or_is_deleted_for_a_reason() {
        let ours = Candidate { remote: true, owner: Owner::Us, matches: false, left_by_kube_proxy: false };
        let foreign = Candidate { owner: Owner::Foreign, ..ours };
        let left = Candidate { left_by_kube_proxy: true, ..foreign };
        let local = Candidate { remote: false, ..foreign };
        let own_local = Candidate { remote: false, ..ours };
        let matching = |endpoint| Candidate { matches: true, ..endpoint };
        let unused = Needs { local: false, ours: false };
        let (has_local, used) = (Needs { local: true, ..unused }, Needs { ours: true, ..unused });
        let table = [
            ("local, unused", local, unused, None),
            ("local, needed", local, has_local, None),
            ("of a former source VIP", own_local, has_local, Some(Reason::NotDesired)),
            ("of the source VIP", matching(own_local), Needs { local: true, ours: true }, None),
            ("ours, address has a local endpoint", matching(ours), has_local, Some(Reason::LocalEndpointExists)),
            ("foreign, address has a local endpoint", foreign, has_local, Some(Reason::LocalEndpointExists)),
            ("ours, matching", matching(ours), used, None),
            ("kube-proxy's, matching", matching(left), used, None),
            ("kube-proxy's, unused", left, unused, Some(Reason::LeftByKubeProxy)),
            ("foreign, unused", foreign, unused, None),
            ("foreign, another is used", foreign, used, None),
            ("ours, another is used", ours, used, Some(Reason::ContentDiffers)),
            ("ours, unused", ours, unused, Some(Reason::NotDesired)),
        ];
        for (situation, endpoint, needs, expected) in table {
            assert_eq!(removal(endpoint, needs), expected, "{situation}");
        }
    }
}
