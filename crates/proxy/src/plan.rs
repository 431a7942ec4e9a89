//! The difference between what HNS should hold and what it holds, as ordered steps.
//!
//! A [`Plan`] is a value: it can be printed, counted, tested, and run. It covers just the dirty frontends and addresses, so that its
//! cost is that of the change. It decides everything; [`apply`](crate::apply) only carries steps out.
//!
//! Promises, checked by the property tests:
//! - equal states give an empty plan;
//! - local endpoints, and objects of others on frontends and addresses that nobody here wants, are never touched;
//! - a frontend is released just before it is claimed again, and a load balancer that differs in its backends only is changed in
//!   place where HNS can;
//! - an endpoint is created before the first load balancer that refers to it, and deleted after the last has let it go.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use hcn::Guid;
use hcn::schema::{Endpoint, LoadBalancer};
use rustc_hash::FxHashSet;
use serde::Serialize;

use crate::desired::{Desired, Dirty, Owned};
use crate::frontend::{EndpointPurpose, Frontend, FrontendKind, Target, endpoint_document};
use crate::identity;
use crate::model::ServiceName;
use crate::notice::{Notice, Problem};
use crate::observe::{HeldLoadBalancer, Observed, Owner};
use crate::resolve::Resolved;
use crate::settings::{Capabilities, Host, Network, Settings};

/// One write to HNS.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub enum Action {
    /// Creates an endpoint of ours.
    CreateEndpoint {
        /// Its id.
        id: Guid,
        /// Its address.
        address: IpAddr,
        /// What it is for.
        purpose: EndpointPurpose,
        /// The document.
        document: Endpoint,
    },
    /// Deletes a remote endpoint.
    DeleteEndpoint {
        /// Its id.
        id: Guid,
        /// Its address.
        address: IpAddr,
    },
    /// Creates a load balancer.
    CreateLoadBalancer {
        /// Its id.
        id: Guid,
        /// Its frontend.
        frontend: Frontend,
        /// The document.
        document: LoadBalancer,
    },
    /// Changes a load balancer in place.
    ModifyLoadBalancer {
        /// Its id.
        id: Guid,
        /// Its frontend.
        frontend: Frontend,
        /// The document.
        document: LoadBalancer,
    },
    /// Deletes a load balancer.
    DeleteLoadBalancer {
        /// Its id.
        id: Guid,
        /// Its frontend.
        frontend: Frontend,
    },
}

impl Action {
    /// What the step is about, for retries.
    pub fn subject(&self) -> Subject {
        match self {
            Action::CreateEndpoint { address, .. } | Action::DeleteEndpoint { address, .. } => {
                Subject::Address(*address)
            }
            Action::CreateLoadBalancer { frontend, .. }
            | Action::ModifyLoadBalancer { frontend, .. }
            | Action::DeleteLoadBalancer { frontend, .. } => Subject::Frontend(*frontend),
        }
    }
}

impl std::fmt::Display for Action {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Action::CreateEndpoint { address, purpose, .. } => {
                let what = match purpose {
                    EndpointPurpose::Backend => "remote endpoint",
                    EndpointPurpose::ServiceAddress => "endpoint for the Service address",
                    EndpointPurpose::SourceVip => "endpoint for the source address",
                };
                write!(f, "create {what} {address}")
            }
            Action::DeleteEndpoint { address, .. } => write!(f, "delete remote endpoint {address}"),
            Action::CreateLoadBalancer { frontend, document, .. } => {
                write!(f, "create load balancer {frontend} with {}", backends(document))
            }
            Action::ModifyLoadBalancer { frontend, document, .. } => {
                write!(f, "change load balancer {frontend} in place to {}", backends(document))
            }
            Action::DeleteLoadBalancer { frontend, .. } => write!(f, "delete load balancer {frontend}"),
        }
    }
}

fn backends(document: &LoadBalancer) -> String {
    match document.host_compute_endpoints.len() {
        1 => "1 backend".to_owned(),
        count => format!("{count} backends"),
    }
}

/// What a step is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Subject {
    /// A load balancer.
    Frontend(Frontend),
    /// An endpoint of ours.
    Address(IpAddr),
}

/// Why a step is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum Reason {
    /// HNS has nothing there.
    Missing,
    /// The backends are others.
    BackendsDiffer,
    /// More than the backends differs.
    ContentDiffers,
    /// Others hold the frontend, with another content.
    HeldByOthers,
    /// The Service has no backend that serves.
    NoBackends,
    /// No Service wants it.
    NotWanted,
    /// The address has become a local one.
    LocalEndpointExists,
}

impl std::fmt::Display for Reason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Reason::Missing => "HNS has none",
            Reason::BackendsDiffer => "its backends differ",
            Reason::ContentDiffers => "its content differs",
            Reason::HeldByOthers => "a load balancer of others holds the frontend",
            Reason::NoBackends => "the Service has no backend that serves",
            Reason::NotWanted => "no Service wants it",
            Reason::LocalEndpointExists => "a local endpoint has the address",
        })
    }
}

/// One write, for whom, and why.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Step {
    /// The write.
    pub action: Action,
    /// The Service it is for.
    pub service: Option<ServiceName>,
    /// Why.
    pub reason: Reason,
}

impl std::fmt::Display for Step {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.action, self.reason)?;
        match &self.service {
            Some(service) => write!(f, " (Service {service})"),
            None => Ok(()),
        }
    }
}

/// What is to be done.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Plan {
    /// The steps, in order.
    pub steps: Vec<Step>,
    /// Endpoints of others that are just what we want: from now on ours.
    pub adopted_endpoints: BTreeSet<Guid>,
    /// Load balancers of others that are just what we want: from now on ours.
    pub adopted_load_balancers: BTreeSet<Guid>,
    /// Backends on this node that have no endpoint yet.
    #[serde(skip)]
    pub awaited: BTreeSet<IpAddr>,
    /// What can't be had at present.
    #[serde(skip)]
    pub notices: Vec<(Frontend, Notice)>,
}

impl Plan {
    /// Whether HNS holds what it should, as far as this plan looked.
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }
}

/// Everything that a plan depends on.
#[derive(Debug, Clone, Copy)]
pub struct Planner<'a> {
    /// What HNS should hold.
    pub desired: &'a Desired,
    /// What it holds.
    pub observed: &'a Observed,
    /// What the operator sets.
    pub settings: &'a Settings,
    /// What the host knows of itself.
    pub host: &'a Host,
    /// The network.
    pub network: &'a Network,
    /// What HNS can do.
    pub capabilities: &'a Capabilities,
    /// Addresses whose endpoints could not be created, and are not to be tried again yet.
    pub blocked: &'a FxHashSet<IpAddr>,
}

/// A load balancer's backends as endpoints.
#[derive(Debug, Default)]
struct Resolution {
    endpoints: Vec<Guid>,
    create: Vec<(Guid, IpAddr, EndpointPurpose, Endpoint)>,
    adopt: Vec<Guid>,
    /// Whether a backend is left out because its endpoint could not be created.
    blocked: bool,
    problems: Vec<(Problem, Option<IpAddr>)>,
}

/// The order of Services: DNS and the API server first, removals without a Service last.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Priority {
    Infrastructure,
    Service,
    Nobody,
}

#[derive(Debug, Default)]
struct Unit {
    addresses: Vec<IpAddr>,
    frontends: Vec<Frontend>,
}

impl Planner<'_> {
    /// What is to be done for the dirty frontends and addresses.
    pub fn plan(&self, dirty: &Dirty) -> Plan {
        let mut plan = Plan::default();
        let mut creating = FxHashSet::default();
        for ((_, service), unit) in self.units(dirty) {
            for address in unit.addresses {
                if let Some((id, purpose, document)) = self.missing_endpoint(address) {
                    self.create_endpoint(&mut plan, &mut creating, service.clone(), (id, address, purpose, document));
                }
            }
            for frontend in unit.frontends {
                self.plan_frontend(frontend, &mut plan, &mut creating);
            }
        }
        for address in &dirty.addresses {
            self.plan_removals(*address, &mut plan);
        }
        plan
    }

    /// The dirty frontends and Service addresses, by Service, in the order of priority.
    fn units(&self, dirty: &Dirty) -> BTreeMap<(Priority, Option<ServiceName>), Unit> {
        let mut units: BTreeMap<_, Unit> = BTreeMap::new();
        for address in &dirty.addresses {
            if matches!(self.desired.purpose(*address), Some(EndpointPurpose::SourceVip)) {
                units.entry((Priority::Infrastructure, None)).or_default().addresses.push(*address);
            } else if let Some(service) = self.desired.service_at(*address) {
                let key = (priority(Some(service)), Some(service.clone()));
                units.entry(key).or_default().addresses.push(*address);
            }
        }
        for frontend in &dirty.frontends {
            let service = self.desired.owned(*frontend).map(|owned| owned.service.clone());
            units.entry((priority(service.as_ref()), service)).or_default().frontends.push(*frontend);
        }
        units
    }

    /// The endpoint of ours that an address should have, whether it is there or not.
    pub fn expected_endpoint(&self, address: IpAddr) -> Option<(Guid, EndpointPurpose, Endpoint)> {
        let purpose = self.desired.purpose(address)?;
        let document = endpoint_document(purpose, address, self.network, self.host);
        let id = identity::endpoint_id(address, identity::endpoint_content(self.network.id, &document));
        Some((id, purpose, document))
    }

    /// The endpoint that serves an expected one's purpose: itself, or one of others with the same content.
    pub(crate) fn standing(&self, address: IpAddr, id: Guid, document: &Endpoint) -> Option<Guid> {
        if self.observed.endpoint(id).is_some() {
            return Some(id);
        }
        let content = identity::endpoint_content(self.network.id, document);
        self.observed.at(address).find(|(_, held)| held.content == content).map(|(id, _)| id)
    }

    fn missing_endpoint(&self, address: IpAddr) -> Option<(Guid, EndpointPurpose, Endpoint)> {
        let (id, purpose, document) = self.expected_endpoint(address)?;
        let there = self.observed.local_at(address).is_some()
            || self.standing(address, id, &document).is_some()
            || self.blocked.contains(&address);
        (!there).then_some((id, purpose, document))
    }

    fn create_endpoint(
        &self,
        plan: &mut Plan,
        creating: &mut FxHashSet<Guid>,
        service: Option<ServiceName>,
        (id, address, purpose, document): (Guid, IpAddr, EndpointPurpose, Endpoint),
    ) {
        if creating.insert(id) {
            let action = Action::CreateEndpoint { id, address, purpose, document };
            plan.steps.push(Step { action, service, reason: Reason::Missing });
        }
    }

    /// The document of a load balancer with the backends that have endpoints, or will have when the plan has run.
    fn resolve(&self, owned: &Owned) -> Resolution {
        let mut resolution = Resolution::default();
        for target in &owned.spec.targets {
            let name = || self.settings.root_endpoint_name.clone();
            let mut problem = |problem, awaited| resolution.problems.push((problem, awaited));
            match self.resolve_target(*target) {
                Resolved::Local(id) => resolution.endpoints.push(id),
                Resolved::Host(id) if resolution.endpoints.contains(&id) => {}
                Resolved::Host(id) => resolution.endpoints.push(id),
                Resolved::Remote(id) => {
                    resolution.endpoints.push(id);
                    resolution.adopt.push(id);
                }
                Resolved::Create(endpoint) => {
                    resolution.endpoints.push(endpoint.0);
                    resolution.create.push(*endpoint);
                }
                Resolved::Blocked => resolution.blocked = true,
                Resolved::NoLocalEndpoint(address) => problem(Problem::NoLocalEndpoint { address }, Some(address)),
                Resolved::NoHostEndpoint(address) => problem(Problem::NoHostEndpoint { address, name: name() }, None),
                Resolved::NoRootEndpoint => {
                    problem(Problem::NoRootEndpoint { frontend: owned.spec.frontend, name: name() }, None);
                }
                Resolved::NotWanted => {}
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
        let document = owned.spec.document(&resolution.endpoints);
        let content = identity::load_balancer_content(&document, self.capabilities);
        Some((identity::load_balancer_id(owned.spec.frontend, content), document))
    }

    fn plan_frontend(&self, frontend: Frontend, plan: &mut Plan, creating: &mut FxHashSet<Guid>) {
        let mut held: Vec<(Guid, &HeldLoadBalancer)> = self.observed.on(frontend).collect();
        let Some(owned) = self.desired.owned(frontend) else {
            held.retain(|(_, held)| held.owner == Owner::Us);
            let delete = |(id, _)| delete_load_balancer(id, frontend, None, Reason::NotWanted);
            plan.steps.extend(held.into_iter().map(delete));
            return;
        };
        let service = Some(owned.service.clone());
        let resolution = self.resolve(owned);
        for (problem, awaited) in resolution.problems {
            plan.awaited.extend(awaited);
            plan.notices.push((frontend, Notice { service: owned.service.clone(), problem }));
        }
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
        let document = owned.spec.document(&resolution.endpoints);
        let content = identity::load_balancer_content(&document, self.capabilities);
        plan.adopted_endpoints.extend(resolution.adopt.into_iter().filter(|id| self.is_others_endpoint(*id)));
        for endpoint in resolution.create {
            self.create_endpoint(plan, creating, service.clone(), endpoint);
        }
        if let Some(index) = held.iter().position(|(_, held)| held.content.whole == content.whole) {
            let (id, same) = held.swap_remove(index);
            if same.owner == Owner::Others {
                plan.adopted_load_balancers.insert(id);
            }
            let delete = |(id, _)| delete_load_balancer(id, frontend, service.clone(), Reason::ContentDiffers);
            plan.steps.extend(held.into_iter().map(delete));
            return;
        }
        let id = identity::load_balancer_id(frontend, content);
        let (reason, in_place) = match held.as_slice() {
            [] => (Reason::Missing, None),
            [(id, held)] if held.content.shape == content.shape => (Reason::BackendsDiffer, Some(*id)),
            held if held.iter().any(|(_, held)| held.owner == Owner::Others) => (Reason::HeldByOthers, None),
            _ => (Reason::ContentDiffers, None),
        };
        if let Some(id) = in_place.filter(|_| self.capabilities.modify) {
            let action = Action::ModifyLoadBalancer { id, frontend, document };
            plan.steps.push(Step { action, service, reason });
            return;
        }
        let delete = |(id, _)| delete_load_balancer(id, frontend, service.clone(), reason);
        plan.steps.extend(held.into_iter().map(delete));
        plan.steps.push(Step { action: Action::CreateLoadBalancer { id, frontend, document }, service, reason });
    }

    fn is_others_endpoint(&self, id: Guid) -> bool {
        self.observed.endpoint(id).is_some_and(|held| held.remote && held.owner == Owner::Others)
    }

    /// Remote endpoints that an address should not have: beside a local one any, else those of ours that nobody needs.
    fn plan_removals(&self, address: IpAddr, plan: &mut Plan) {
        let local = self.observed.local_at(address).is_some();
        let expected = self.expected_endpoint(address);
        let standing = expected.as_ref().and_then(|(id, _, document)| self.standing(address, *id, document));
        if let Some(id) = standing.filter(|id| !local && self.is_others_endpoint(*id)) {
            plan.adopted_endpoints.insert(id);
        }
        // A remote endpoint may keep the local one of the source address from being created.
        let local = local || self.desired.purpose(address) == Some(EndpointPurpose::SourceVip);
        for (id, held) in self.observed.at(address).filter(|(_, held)| held.remote) {
            let reason = match () {
                () if local => Reason::LocalEndpointExists,
                () if held.owner == Owner::Others || standing == Some(id) => continue,
                // It was taken over from others, and is still of use to them.
                () if self.observed.is_used_by_others(id) => continue,
                () if expected.is_some() => Reason::ContentDiffers,
                () => Reason::NotWanted,
            };
            plan.steps.push(Step { action: Action::DeleteEndpoint { id, address }, service: None, reason });
        }
    }
}

fn delete_load_balancer(id: Guid, frontend: Frontend, service: Option<ServiceName>, reason: Reason) -> Step {
    Step { action: Action::DeleteLoadBalancer { id, frontend }, service, reason }
}

/// Names under which clusters run their DNS.
const DNS: [&str; 3] = ["kube-dns", "coredns", "rke2-coredns-rke2-coredns"];

fn priority(service: Option<&ServiceName>) -> Priority {
    match service {
        None => Priority::Nobody,
        Some(s) if s.namespace == "default" && s.name == "kubernetes" => Priority::Infrastructure,
        Some(s) if s.namespace == "kube-system" && DNS.contains(&s.name.as_str()) => Priority::Infrastructure,
        Some(_) => Priority::Service,
    }
}

/// How a frontend stands, for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FrontendStatus {
    /// The Service that has it.
    pub service: ServiceName,
    /// The Service's port.
    pub port_name: smol_str::SmolStr,
    /// What it is to the Service.
    pub kind: FrontendKind,
    /// The frontend.
    pub frontend: Frontend,
    /// The addresses of its backends.
    pub backends: Vec<IpAddr>,
    /// The port of its backends.
    pub internal_port: u16,
    /// Whether its traffic stays on this node.
    pub local_only: bool,
    /// Whether it keeps a client on its backend.
    pub affinity: bool,
    /// Whether HNS holds what it should, as far as that can be had: nothing is left to do.
    pub confirmed: bool,
}

impl Planner<'_> {
    /// How every frontend stands, in the order of Services.
    pub fn statuses(&self) -> Vec<FrontendStatus> {
        let mut statuses: Vec<_> = self.desired.iter().map(|owned| self.status(owned)).collect();
        statuses.sort_by(|a, b| (&a.service, a.kind, a.frontend).cmp(&(&b.service, b.kind, b.frontend)));
        statuses
    }

    fn status(&self, owned: &Owned) -> FrontendStatus {
        let spec = &owned.spec;
        let mut plan = Plan::default();
        self.plan_frontend(spec.frontend, &mut plan, &mut FxHashSet::default());
        FrontendStatus {
            service: owned.service.clone(),
            port_name: spec.port_name.clone(),
            kind: spec.kind,
            frontend: spec.frontend,
            backends: spec.targets.iter().flat_map(|target| self.addresses_of(target)).collect(),
            internal_port: spec.internal_port,
            local_only: spec.local_only,
            affinity: !spec.distribution.is_default(),
            confirmed: plan.steps.is_empty(),
        }
    }

    fn addresses_of(&self, target: &Target) -> Vec<IpAddr> {
        match target {
            Target::Address { address, .. } => vec![*address],
            Target::Root => self
                .observed
                .named(&self.settings.root_endpoint_name)
                .and_then(|id| self.observed.endpoint(id))
                .map(|held| held.addresses.to_vec())
                .unwrap_or_default(),
        }
    }
}
