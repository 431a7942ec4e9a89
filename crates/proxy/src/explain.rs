//! Why a Service's frontends are as they are: each backend with the reason why it is in or out, what is wanted of HNS, what HNS holds,
//! and what would be done.
//!
//! An [`Explanation`] is a value that can be sent as JSON and read again. Its cost is that of the Service, whatever the cluster's size.

use std::net::IpAddr;

use hcn::Guid;
use hcn::schema::LoadBalancer;
use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

use crate::desired::Dirty;
use crate::frontend::{Frontend, FrontendKind, LoadBalancerSpec, Target};
use crate::model::{Service, ServiceEntry, ServiceName};
use crate::notice::Problem;
use crate::observe::Owner;
use crate::plan::{Plan, Planner, Subject};
use crate::resolve::Resolved;
use crate::select::{Hints, Judged, Verdict, judge};
use crate::settings::Node;

/// Everything about one Service.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Explanation {
    /// The Service.
    pub service: ServiceName,
    /// How far what is said of HNS can be relied on.
    pub hns: HnsView,
    /// What is not as the Service asks.
    pub notices: Vec<ExplainedNotice>,
    /// Its frontends: by port, then by kind.
    pub frontends: Vec<ExplainedFrontend>,
    /// What would be done, in order.
    pub steps: Vec<String>,
}

/// How far what is known of HNS can be relied on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum HnsView {
    /// As it was at the last look.
    Known,
    /// HNS can't be asked at present: as it was before.
    Unavailable,
    /// HNS was not looked at yet: nothing can be said of frontends.
    NotLookedAt,
}

/// Something that is not as the Service asks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ExplainedNotice {
    /// Its kind, as in Events and metrics.
    pub reason: String,
    /// In words.
    pub text: String,
}

impl From<&Problem> for ExplainedNotice {
    fn from(problem: &Problem) -> Self {
        Self { reason: problem.reason().to_owned(), text: problem.to_string() }
    }
}

/// One frontend.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ExplainedFrontend {
    /// The frontend.
    pub frontend: String,
    /// What it is to the Service.
    pub kind: FrontendKind,
    /// The Service's port.
    pub port_name: SmolStr,
    /// Whether its traffic stays on this node.
    pub local_only: bool,
    /// Which topology hints hold for it.
    pub hints: Hints,
    /// The Service that has the frontend, where it is another one.
    pub held_by: Option<ServiceName>,
    /// Its backends, with the reason why each is in or out.
    pub backends: Vec<ExplainedBackend>,
    /// The load balancer that HNS should hold, with its id: none where no backend serves, or another Service has the frontend.
    pub wanted: Option<ExplainedLoadBalancer>,
    /// The load balancers that HNS holds there.
    pub held: Vec<ExplainedLoadBalancer>,
    /// Whether HNS holds what it should: nothing would be done for this frontend.
    pub confirmed: bool,
    /// Whether something failed for it and is not due to be tried again yet.
    pub waits: bool,
}

/// A load balancer, wanted or held.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ExplainedLoadBalancer {
    /// Its id.
    pub id: Guid,
    /// Whether it is, or would be, of our making.
    pub ours: bool,
    /// The addresses of its backends; an endpoint that is not known by its id.
    pub backends: Vec<String>,
    /// The document; of those that are held only ids are kept.
    pub document: Option<LoadBalancer>,
}

/// A backend of a frontend.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ExplainedBackend {
    /// Its address.
    pub address: IpAddr,
    /// Its port.
    pub port: u16,
    /// The node it runs on, where that is said.
    pub node: Option<SmolStr>,
    /// Whether that is this node.
    pub local: bool,
    /// Why it is in or out.
    pub state: BackendState,
    /// The endpoint that stands for it, once there is one.
    pub endpoint: Option<Guid>,
}

/// Why a backend is in or out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum BackendState {
    /// In: ready.
    Ready,
    /// In: on its way out, but it still answers and no other is ready.
    TerminatingFallback,
    /// In: ready, and its endpoint is about to be created.
    EndpointToCome,
    /// In: it uses the host's network, and the host's own endpoint stands for it.
    ByHostEndpoint,
    /// Out: not ready.
    NotReady,
    /// Out: on its way out, and others are ready.
    Terminating,
    /// Out: its hints name other zones.
    OtherZone,
    /// Out: its hints name other nodes.
    OtherNode,
    /// Out: it runs on another node, and a traffic policy is Local.
    NotLocal,
    /// Out: it has another port than most, and a load balancer has one port.
    OtherPort,
    /// Out: there are more than a load balancer may have.
    OverLimit,
    /// Out for now: it runs on this node, and the CNI has made no endpoint for it.
    NoHnsEndpoint,
    /// Out: it uses the host's network, and the host has no endpoint of its own.
    NoHostEndpoint,
    /// Out for now: its endpoint could not be created.
    EndpointFailed,
}

impl BackendState {
    /// Whether the backend gets traffic.
    pub fn serves(self) -> bool {
        use BackendState::{ByHostEndpoint, EndpointToCome, Ready, TerminatingFallback};
        matches!(self, Ready | TerminatingFallback | EndpointToCome | ByHostEndpoint)
    }

    /// In words.
    pub fn words(self) -> &'static str {
        match self {
            BackendState::Ready => "ready",
            BackendState::TerminatingFallback => "terminating, but none is ready",
            BackendState::EndpointToCome => "serves; its HNS endpoint is to be created",
            BackendState::ByHostEndpoint => "serves; uses the host's network, by the host's own endpoint",
            BackendState::NotReady => "not ready",
            BackendState::Terminating => "terminating, and others are ready",
            BackendState::OtherZone => "its hints name other zones",
            BackendState::OtherNode => "its hints name other nodes",
            BackendState::NotLocal => "on another node, and the traffic policy is Local",
            BackendState::OtherPort => "its port is not the one that most have",
            BackendState::OverLimit => "more backends than a load balancer may have",
            BackendState::NoHnsEndpoint => "on this node, but HNS has no endpoint for it yet",
            BackendState::NoHostEndpoint => "uses the host's network, for which HNS has no endpoint",
            BackendState::EndpointFailed => "its HNS endpoint could not be created; tried again later",
        }
    }
}

impl From<Verdict> for BackendState {
    fn from(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Ready => BackendState::Ready,
            Verdict::TerminatingFallback => BackendState::TerminatingFallback,
            Verdict::NotReady => BackendState::NotReady,
            Verdict::Terminating => BackendState::Terminating,
            Verdict::OtherZone => BackendState::OtherZone,
            Verdict::OtherNode => BackendState::OtherNode,
            Verdict::NotLocal => BackendState::NotLocal,
        }
    }
}

/// Explains a Service's frontends and backends, and what would be done. The explanation lacks notices; the planner knows none.
pub(crate) struct Explainer<'a> {
    pub(crate) entry: &'a ServiceEntry,
    pub(crate) service: &'a Service,
    pub(crate) node: &'a Node,
    pub(crate) planner: Planner<'a>,
}

impl Explainer<'_> {
    /// What a plan for this Service covers.
    pub(crate) fn scope(&self) -> Dirty {
        let desired = self.planner.desired;
        let specs = desired.specs_of(&self.service.name);
        let targets = specs.iter().flat_map(|spec| spec.targets.iter().copied());
        let backends = targets.filter_map(|target| match target {
            Target::Address { address, .. } => Some(address),
            Target::Root => None,
        });
        let own = desired.service_addresses_of(&self.service.name).iter().copied();
        Dirty { frontends: specs.iter().map(|spec| spec.frontend).collect(), addresses: backends.chain(own).collect() }
    }

    /// The frontends, where a plan for them is known. `waits` says of a frontend whether something failed and is not due again yet.
    pub(crate) fn frontends(&self, plan: &Plan, waits: impl Fn(Frontend) -> bool) -> Vec<ExplainedFrontend> {
        let specs = self.planner.desired.specs_of(&self.service.name);
        let mut ordered: Vec<&LoadBalancerSpec> = specs.iter().map(AsRef::as_ref).collect();
        ordered.sort_by_key(|spec| (self.port_index(spec), spec.kind, spec.frontend));
        let explain = |spec: &LoadBalancerSpec| {
            let subject = Subject::Frontend(spec.frontend);
            let confirmed = !plan.steps.iter().any(|step| step.action.subject() == subject);
            self.frontend(spec, confirmed, waits(spec.frontend))
        };
        ordered.into_iter().map(explain).collect()
    }

    fn port_index(&self, spec: &LoadBalancerSpec) -> usize {
        let same =
            |port: &crate::model::ServicePort| port.name == spec.port_name && port.protocol == spec.frontend.protocol;
        self.service.ports.iter().position(same).unwrap_or(usize::MAX)
    }

    fn frontend(&self, spec: &LoadBalancerSpec, confirmed: bool, waits: bool) -> ExplainedFrontend {
        let (desired, observed) = (self.planner.desired, self.planner.observed);
        let owned = desired.owned(spec.frontend);
        let ours = owned.filter(|owned| owned.service == self.service.name);
        let wanted = ours.and_then(|owned| self.planner.expected_load_balancer(owned)).map(|(id, document)| {
            let backends = document.endpoint_ids().map(|id| self.address(id, Some(spec))).collect();
            ExplainedLoadBalancer { id, ours: true, backends, document: Some(document) }
        });
        let held = observed.on(spec.frontend).map(|(id, held)| ExplainedLoadBalancer {
            id,
            ours: held.owner == Owner::Us,
            backends: held.endpoints.iter().map(|id| self.address(*id, None)).collect(),
            document: None,
        });
        let (hints, backends) = self.backends(spec);
        ExplainedFrontend {
            frontend: spec.frontend.to_string(),
            kind: spec.kind,
            port_name: spec.port_name.clone(),
            local_only: spec.local_only,
            hints,
            held_by: owned.filter(|owned| owned.service != self.service.name).map(|owned| owned.service.clone()),
            backends,
            wanted,
            held: held.collect(),
            confirmed,
            waits,
        }
    }

    /// The address of an endpoint that is there, or that is to be created for a target of a specification.
    fn address(&self, endpoint: Guid, spec: Option<&LoadBalancerSpec>) -> String {
        if let Some(held) = self.planner.observed.endpoint(endpoint)
            && !held.addresses.is_empty()
        {
            return held.addresses.iter().map(IpAddr::to_string).collect::<Vec<_>>().join(" ");
        }
        let to_come = spec.into_iter().flat_map(|spec| &spec.targets).find_map(|target| {
            match self.planner.resolve_target(*target) {
                Resolved::Create(create) if create.0 == endpoint => Some(create.1),
                _ => None,
            }
        });
        to_come.map_or_else(|| endpoint.to_string(), |address| address.to_string())
    }

    fn backends(&self, spec: &LoadBalancerSpec) -> (Hints, Vec<ExplainedBackend>) {
        if spec.kind == FrontendKind::HealthCheck {
            return (Hints::None, self.health_check(spec));
        }
        let Some(port) = self.service.ports.get(self.port_index(spec)) else { return (Hints::None, Vec::new()) };
        let judgement = judge(port, spec.frontend.family, self.entry.slices.values(), self.node);
        let hints = if spec.local_only { Hints::None } else { judgement.hints };
        (hints, judgement.backends.iter().map(|judged| self.backend(spec, judged)).collect())
    }

    fn backend(&self, spec: &LoadBalancerSpec, judged: &Judged<'_>) -> ExplainedBackend {
        let backend = judged.backend;
        let verdict = if spec.local_only { judged.local } else { judged.cluster };
        let target = Target::Address { address: backend.address, local: backend.local };
        let (state, endpoint) = if !verdict.serves() {
            (verdict.into(), None)
        } else if backend.port != spec.internal_port {
            (BackendState::OtherPort, None)
        } else if !spec.targets.contains(&target) {
            (BackendState::OverLimit, None)
        } else {
            match self.planner.resolve_target(target) {
                Resolved::Local(id) | Resolved::Remote(id) => (verdict.into(), Some(id)),
                Resolved::Host(id) => (BackendState::ByHostEndpoint, Some(id)),
                Resolved::Create(_) | Resolved::NotWanted => (BackendState::EndpointToCome, None),
                Resolved::Blocked => (BackendState::EndpointFailed, None),
                Resolved::NoLocalEndpoint(_) => (BackendState::NoHnsEndpoint, None),
                Resolved::NoHostEndpoint(_) | Resolved::NoRootEndpoint => (BackendState::NoHostEndpoint, None),
            }
        };
        let node = judged.record.node.clone();
        ExplainedBackend { address: backend.address, port: backend.port, node, local: backend.local, state, endpoint }
    }

    /// The host's own endpoint behind a health check.
    fn health_check(&self, spec: &LoadBalancerSpec) -> Vec<ExplainedBackend> {
        let Resolved::Local(id) = self.planner.resolve_target(Target::Root) else { return Vec::new() };
        let addresses = self.planner.observed.endpoint(id).map(|held| held.addresses.as_slice()).unwrap_or_default();
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
