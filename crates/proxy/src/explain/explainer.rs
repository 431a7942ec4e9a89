//! Computes an explanation from the desired and the observed state, without a call to HNS.

use std::net::IpAddr;

use hcn::Guid;
use rustc_hash::FxHashMap;

use super::{BackendState, ExplainedBackend, ExplainedFrontend, ExplainedLoadBalancer};
use crate::desire::select::{Hints, Judged, judge};
use crate::dirty::{Dirty, Subject};
use crate::frontend::{Frontend, FrontendKind, LoadBalancerSpec, Target};
use crate::model::{Family, Service, ServiceEntry, ServicePort};
use crate::observe::Owner;
use crate::plan::{Plan, Planner, Resolved};
use crate::settings::Node;

/// What the explanation of one Service depends on.
pub(crate) struct Explainer<'a> {
    pub(crate) entry: &'a ServiceEntry,
    pub(crate) service: &'a Service,
    pub(crate) node: &'a Node,
    pub(crate) planner: Planner<'a>,
}

impl Explainer<'_> {
    /// The frontends and addresses that a plan for this Service covers.
    pub(crate) fn scope(&self) -> Dirty {
        let desired = self.planner.desired;
        let specs = desired.specs_of(&self.service.name);
        let backends = specs.iter().flat_map(|spec| &spec.targets).filter_map(|target| target.address());
        let own = desired.service_addresses_of(&self.service.name).iter().copied();
        Dirty { frontends: specs.iter().map(|spec| spec.frontend).collect(), addresses: backends.chain(own).collect() }
    }

    /// The frontends with their plan. `waiting` returns whether a step for a frontend is due later.
    pub(crate) fn frontends(&self, plan: &Plan, waiting: impl Fn(Frontend) -> bool) -> Vec<ExplainedFrontend> {
        let specs = self.planner.desired.specs_of(&self.service.name);
        let mut ordered: Vec<&LoadBalancerSpec> = specs.iter().map(AsRef::as_ref).collect();
        ordered.sort_by_key(|spec| (self.port_index(spec), spec.kind, spec.frontend));
        let explain = |spec: &LoadBalancerSpec| {
            let subject = Subject::Frontend(spec.frontend);
            let in_sync = !plan.report.postponed.contains(&spec.frontend)
                && !plan.report.waiting.contains(&spec.frontend)
                && !plan.steps.iter().any(|step| step.action.subject() == subject);
            self.frontend(spec, in_sync, waiting(spec.frontend))
        };
        ordered.into_iter().map(explain).collect()
    }

    fn port_index(&self, spec: &LoadBalancerSpec) -> usize {
        let same = |port: &ServicePort| port.name == spec.port_name && port.protocol == spec.frontend.protocol;
        self.service.ports.iter().position(same).unwrap_or(usize::MAX)
    }

    fn frontend(&self, spec: &LoadBalancerSpec, in_sync: bool, waiting: bool) -> ExplainedFrontend {
        let (desired, observed) = (self.planner.desired, self.planner.observed);
        let owner = desired.frontend(spec.frontend);
        let ours = owner.filter(|owner| owner.service == self.service.name);
        let network = self.planner.choose(&spec.targets).network;
        let resolve = |target: &Target| (*target, self.planner.resolve_target(*target, network));
        let resolved: FxHashMap<Target, Resolved> = spec.targets.iter().map(resolve).collect();
        let planned: FxHashMap<Guid, IpAddr> = resolved
            .values()
            .filter_map(|resolved| match resolved {
                Resolved::Create(id, create) => Some((*id, create.address)),
                _ => None,
            })
            .collect();
        let expected = ours.and_then(|owner| self.planner.expected_load_balancer(owner)).map(|(id, document)| {
            let backends = document.endpoint_ids().map(|id| self.address(id, spec.frontend.family, &planned)).collect();
            ExplainedLoadBalancer { id, ours: true, backends, document: Some(document) }
        });
        let existing = observed.on(spec.frontend).map(|(id, observed)| ExplainedLoadBalancer {
            id,
            ours: observed.owner == Owner::Us,
            backends: observed.endpoints.iter().map(|id| self.address(*id, spec.frontend.family, &planned)).collect(),
            document: None,
        });
        let (hints, backends) = self.backends(spec, &resolved);
        ExplainedFrontend {
            frontend: spec.frontend.to_string(),
            kind: spec.kind,
            port_name: spec.port_name.clone(),
            local_only: spec.local_only,
            hints,
            owned_by: owner.filter(|owner| owner.service != self.service.name).map(|owner| owner.service.clone()),
            backends,
            desired: expected,
            observed: existing.collect(),
            in_sync,
            waiting,
        }
    }

    /// An address of an endpoint that exists, or that a step creates, if possible of the given family. The endpoint of the host, behind an IPv6
    /// health check port, may have only IPv4.
    fn address(&self, endpoint: Guid, family: Family, planned: &FxHashMap<Guid, IpAddr>) -> String {
        let known =
            self.planner.observed.endpoint(endpoint).map(|observed| observed.addresses.as_slice()).unwrap_or_default();
        let addresses = if known.is_empty() { planned.get(&endpoint).map(std::slice::from_ref) } else { Some(known) };
        let addresses = addresses.unwrap_or_default();
        let of_family = addresses.iter().find(|address| Family::of(**address) == family);
        of_family.or(addresses.first()).map_or_else(|| endpoint.to_string(), IpAddr::to_string)
    }

    fn backends(
        &self,
        spec: &LoadBalancerSpec,
        resolved: &FxHashMap<Target, Resolved>,
    ) -> (Hints, Vec<ExplainedBackend>) {
        if spec.kind == FrontendKind::HealthCheck {
            return (Hints::None, self.health_check(spec));
        }
        let Some(port) = self.service.ports.get(self.port_index(spec)) else { return (Hints::None, Vec::new()) };
        let judgement = judge(port, spec.frontend.family, self.entry.slices.values(), self.node);
        let hints = if spec.local_only { Hints::None } else { judgement.hints };
        (hints, judgement.backends.iter().map(|judged| explain_backend(spec, judged, resolved)).collect())
    }

    /// The host's own endpoint behind a health check.
    fn health_check(&self, spec: &LoadBalancerSpec) -> Vec<ExplainedBackend> {
        let network = Some(self.planner.target_network(Target::Root));
        let Resolved::Local(id) = self.planner.resolve_target(Target::Root, network) else { return Vec::new() };
        let addresses =
            self.planner.observed.endpoint(id).map(|observed| observed.addresses.as_slice()).unwrap_or_default();
        let state = if spec.targets.is_empty() { BackendState::NotReady } else { BackendState::Ready };
        let backend = |address: &IpAddr| ExplainedBackend {
            address: *address,
            port: spec.internal_port,
            node: Some(self.node.name.clone()),
            local: true,
            state,
            endpoint: Some(id),
        };
        addresses.iter().map(backend).collect()
    }
}

fn explain_backend(
    spec: &LoadBalancerSpec,
    judged: &Judged<'_>,
    resolved: &FxHashMap<Target, Resolved>,
) -> ExplainedBackend {
    let backend = judged.backend;
    let verdict = if spec.local_only { judged.local } else { judged.cluster };
    let target = Target::Address { address: backend.address, local: backend.local };
    let (state, endpoint) = match resolved.get(&target) {
        _ if !verdict.serves() => (verdict.into(), None),
        _ if backend.port != spec.internal_port => (BackendState::OtherPort, None),
        None => (BackendState::OverLimit, None),
        Some(Resolved::Local(id) | Resolved::Remote(id)) => (verdict.into(), Some(*id)),
        Some(Resolved::Host(id)) => (BackendState::ByHostEndpoint, Some(*id)),
        Some(Resolved::Create(..) | Resolved::NotDesired) => (BackendState::EndpointPending, None),
        Some(Resolved::Blocked) => (BackendState::EndpointFailed, None),
        Some(Resolved::OtherNetwork) => (BackendState::OtherNetwork, None),
        Some(Resolved::NetworkMissing) => (BackendState::NetworkMissing, None),
        Some(Resolved::NoLocalEndpoint(_)) => (BackendState::NoHnsEndpoint, None),
        Some(Resolved::NoHostEndpoint(_) | Resolved::NoRootEndpoint) => (BackendState::NoHostEndpoint, None),
    };
    let node = judged.record.node.clone();
    ExplainedBackend { address: backend.address, port: backend.port, node, local: backend.local, state, endpoint }
}
