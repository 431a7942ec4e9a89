//! Keeps HNS in step with the cluster: notes what changes, looks at HNS, plans, applies, and remembers what failed.
//!
//! One path serves everything. A change to a Service, a local endpoint that appears, an object lost by HNS, a retry that is due: each
//! makes frontends or addresses dirty, and a run plans and applies for these alone. The first run is the one where all are dirty.
//!
//! Time is an argument: the duration since any fixed moment. What an error of HNS leaves unknown stays as it was believed.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Duration;

use hcn::schema::Endpoint;
use hcn::{Client, Guid, Version};
use rustc_hash::{FxHashMap, FxHashSet};
use smol_str::SmolStr;

use crate::apply::{Failure, Outcome, Run};
use crate::backoff::Backoff;
use crate::desire::{Context, Wishes, desire};
use crate::desired::{Desired, Dirty};
use crate::frontend::{EndpointPurpose, Frontend, Target};
use crate::model::{Cluster, Service, ServiceName, Slice, SliceName};
use crate::notice::Notice;
use crate::observe::Observed;
use crate::plan::{Action, FrontendStatus, Plan, Planner, Subject};
use crate::settings::{Capabilities, Host, Network, Node, Settings};

/// How often one run plans anew at once: after a change in place that had no effect, or a refusal that a second look may explain.
const ROUNDS: usize = 6;
/// On overlay networks, every how many looks the subnets of other nodes are read again: at audits of 5 s, every 30 s.
const SUBNETS_EVERY: u32 = 6;
/// How long after a failed look the next is due.
const LOOK_AGAIN_AFTER: Duration = Duration::from_secs(1);

/// Why HNS could not be looked at.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ObserveError {
    /// HNS could not be asked, or gave no sensible answer.
    #[error("HNS could not be read")]
    Hns(#[from] hcn::Error),
    /// There is no network of the name.
    #[error("HNS has no network of the name {name:?}; the CNI makes it, --network-name or KUBE_NETWORK names it")]
    NetworkAbsent {
        /// The name.
        name: String,
    },
    /// The network's document lacks an id.
    #[error("HNS describes the network {name:?} without an id")]
    NetworkWithoutId {
        /// The name.
        name: String,
    },
    /// Overlay networks need more of the settings or the host.
    #[error("network {name:?} is an overlay network, which needs {needs}")]
    OverlayNeeds {
        /// The name.
        name: String,
        /// What is missing, and where it comes from.
        needs: &'static str,
    },
}

/// What a look at HNS found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Observation {
    /// Frontends whose load balancer is not what was believed.
    pub frontends: usize,
    /// Addresses whose endpoint is not what was believed.
    pub addresses: usize,
    /// Whether the network is another than before.
    pub network_changed: bool,
}

/// When to run again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// When something changes.
    Idle,
    /// At this time, if nothing changes before.
    At(Duration),
}

/// How much was visited: what proves that the work for a change does not grow with the cluster.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Work {
    /// Services whose wishes were computed.
    pub services: usize,
    /// Frontends that were planned.
    pub frontends: usize,
    /// Addresses that were planned.
    pub addresses: usize,
}

/// What a run did.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    /// The steps, in order, with what became of each.
    pub outcomes: Vec<Outcome>,
    /// When to run again.
    pub next: Next,
    /// How much was visited.
    pub work: Work,
}

impl Report {
    /// The steps that failed.
    pub fn failures(&self) -> impl Iterator<Item = (&Outcome, &Failure)> {
        self.outcomes.iter().filter_map(|outcome| Some((outcome, outcome.result.as_ref().err()?)))
    }
}

/// The proxy of one node.
#[derive(Debug)]
pub struct Reconciler {
    settings: Settings,
    host: Host,
    node: Node,
    cluster: Cluster,
    /// Services whose wishes have to be computed anew.
    stale: FxHashSet<ServiceName>,
    network: Option<Network>,
    version: Option<Version>,
    capabilities: Option<Capabilities>,
    modify_verified: bool,
    desired: Desired,
    observed: Observed,
    dirty: Dirty,
    /// Whether all Services, and all slices, were handed over once. Before that nothing is planned: what is not known yet would seem
    /// to be unwanted.
    complete: (bool, bool),
    /// Whether HNS could not be asked, or lacks the network. Nothing is written until a look at it succeeds.
    suspended: bool,
    /// Looks at HNS so far.
    looks: u32,
    /// The host's own endpoint, when it was last looked for.
    root: Option<Guid>,
    /// What failed.
    failed: Backoff,
    /// Local backends without an endpoint, to be looked for again.
    awaited: Backoff,
    /// Whether the endpoints were listed since the cluster last changed: looking again at once would find nothing new.
    endpoints_fresh: bool,
    /// Whether the network's remote subnets were read since the cluster last changed.
    network_fresh: bool,
    work: Work,
    notices: FxHashMap<Frontend, Vec<Notice>>,
}

impl Reconciler {
    /// A proxy that knows nothing yet.
    pub fn new(settings: Settings, host: Host) -> Self {
        let node = Node { name: settings.node_name.clone(), zone: None };
        Self {
            settings,
            host,
            node,
            cluster: Cluster::default(),
            stale: FxHashSet::default(),
            network: None,
            version: None,
            capabilities: None,
            modify_verified: false,
            desired: Desired::default(),
            observed: Observed::default(),
            dirty: Dirty::default(),
            complete: (false, false),
            suspended: false,
            looks: 0,
            root: None,
            failed: Backoff::default(),
            awaited: Backoff::default(),
            endpoints_fresh: false,
            network_fresh: false,
            work: Work::default(),
            notices: FxHashMap::default(),
        }
    }

    fn concern(&mut self, services: impl IntoIterator<Item = ServiceName>) {
        let before = self.stale.len();
        self.stale.extend(services);
        if self.stale.len() > before {
            (self.endpoints_fresh, self.network_fresh) = (false, false);
        }
    }

    /// Adds or replaces a Service.
    pub fn apply_service(&mut self, service: Service) {
        let concerned = self.cluster.apply_service(service);
        self.concern(concerned);
    }

    /// Removes a Service.
    pub fn delete_service(&mut self, name: &ServiceName) {
        let concerned = self.cluster.delete_service(name);
        self.concern(concerned);
    }

    /// Adds or replaces a slice.
    pub fn apply_slice(&mut self, slice: Slice) {
        let concerned = self.cluster.apply_slice(slice);
        self.concern(concerned);
    }

    /// Removes a slice.
    pub fn delete_slice(&mut self, name: &SliceName) {
        let concerned = self.cluster.delete_slice(name);
        self.concern(concerned);
    }

    /// Replaces all Services by a new complete list.
    pub fn reset_services(&mut self, services: Vec<Service>) {
        self.complete.0 = true;
        let concerned = self.cluster.reset_services(services);
        self.concern(concerned);
    }

    /// Replaces all slices by a new complete list.
    pub fn reset_slices(&mut self, slices: Vec<Slice>) {
        self.complete.1 = true;
        let concerned = self.cluster.reset_slices(slices);
        self.concern(concerned);
    }

    /// Sets the node's zone, its label `topology.kubernetes.io/zone`.
    pub fn set_zone(&mut self, zone: Option<SmolStr>) {
        if self.node.zone != zone {
            self.node.zone = zone;
            self.concern_all();
        }
    }

    /// The node's zone, if it is known.
    pub fn zone(&self) -> Option<&SmolStr> {
        self.node.zone.as_ref()
    }

    fn concern_all(&mut self) {
        let all: Vec<_> = self.cluster.iter().map(|(name, _)| name.clone()).collect();
        self.stale.extend(all);
    }

    /// The cluster as it is known.
    pub fn cluster(&self) -> &Cluster {
        &self.cluster
    }

    /// The version of HNS, once it was looked at.
    pub fn version(&self) -> Option<Version> {
        self.version
    }

    /// The network, once it was found.
    pub fn network(&self) -> Option<&Network> {
        self.network.as_ref()
    }

    /// What HNS can do, once it was looked at.
    pub fn capabilities(&self) -> Option<&Capabilities> {
        self.capabilities.as_ref()
    }

    /// What HNS is believed to hold.
    pub fn observed(&self) -> &Observed {
        &self.observed
    }

    /// Looks at HNS: version and network, then the ids of endpoints and load balancers, then what is unknown among these. What is
    /// not as believed becomes dirty. The first look makes six calls and two more for each unknown object.
    ///
    /// # Errors
    /// Where HNS could not be asked, or lacks the network. What was believed then stays.
    pub fn observe(&mut self, client: &Client) -> Result<Observation, ObserveError> {
        let result = self.observe_now(client);
        self.suspended = result.is_err();
        result
    }

    fn observe_now(&mut self, client: &Client) -> Result<Observation, ObserveError> {
        let capabilities = match self.capabilities {
            Some(capabilities) => capabilities,
            None => {
                let version = client.version()?;
                self.version = Some(version);
                *self.capabilities.insert(Capabilities::of(version, client.generation()))
            }
        };
        let network_changed = self.find_network(client)?;
        let Some(network) = self.network.clone() else {
            return Err(ObserveError::NetworkAbsent { name: self.settings.network_name.clone() });
        };
        self.refresh_wishes();

        let mut found = Dirty::default();
        let result = self.look(client, &network, &capabilities, &mut found);
        let observation =
            Observation { frontends: found.frontends.len(), addresses: found.addresses.len(), network_changed };
        self.absorb(found);
        result?;
        self.endpoints_fresh = true;
        Ok(observation)
    }

    fn look(
        &mut self,
        client: &Client,
        network: &Network,
        capabilities: &Capabilities,
        found: &mut Dirty,
    ) -> Result<(), hcn::Error> {
        self.look_at_endpoints(client, network, capabilities, found)?;
        let (desired, settings, host) = (&self.desired, &self.settings, &self.host);
        let expected = |observed: &Observed| {
            let blocked = FxHashSet::default();
            let planner = Planner { desired, observed, settings, host, network, capabilities, blocked: &blocked };
            desired.iter().filter_map(|owned| planner.expected_load_balancer(owned)).collect()
        };
        self.observed.look_at_load_balancers(client, capabilities, expected, found)
    }

    fn look_at_endpoints(
        &mut self,
        client: &Client,
        network: &Network,
        capabilities: &Capabilities,
        found: &mut Dirty,
    ) -> Result<(), hcn::Error> {
        let (desired, settings, host) = (&self.desired, &self.settings, &self.host);
        let expected = || {
            let (observed, blocked) = (&Observed::default(), &FxHashSet::default());
            let planner = Planner { desired, observed, settings, host, network, capabilities, blocked };
            let endpoint = |address| planner.expected_endpoint(address).map(|(id, _, document)| (id, document));
            desired.addresses().into_iter().filter_map(endpoint).collect::<FxHashMap<Guid, Endpoint>>()
        };
        self.observed.look_at_endpoints(client, network.id, expected, found)
    }

    /// What was found not to be as believed concerns its users too.
    fn absorb(&mut self, found: Dirty) {
        for address in &found.addresses {
            self.dirty.frontends.extend(self.desired.users_of(*address));
        }
        let root = self.observed.named(&self.settings.root_endpoint_name);
        if self.root != root {
            self.root = root;
            self.dirty.frontends.extend(self.desired.users(Target::Root));
        }
        self.dirty.frontends.extend(found.frontends);
        self.dirty.addresses.extend(found.addresses);
    }

    /// Finds the network, and answers whether it is another than before.
    fn find_network(&mut self, client: &Client) -> Result<bool, ObserveError> {
        let name = &self.settings.network_name;
        self.looks = self.looks.wrapping_add(1);
        // The subnets of other nodes change without notice, and ids do not tell: they are read again once in a while.
        let reread =
            self.network.as_ref().is_some_and(|network| network.overlay) && self.looks.is_multiple_of(SUBNETS_EVERY);
        if let Some(known) = self.network.as_ref().filter(|_| !reread) {
            match client.network_id(name)? {
                Some(id) if id == known.id => return Ok(false),
                Some(_) => {}
                None => return Err(ObserveError::NetworkAbsent { name: name.clone() }),
            }
        }
        self.read_network(client)
    }

    /// Reads the network's document, and answers whether it says something else than before.
    fn read_network(&mut self, client: &Client) -> Result<bool, ObserveError> {
        let name = self.settings.network_name.clone();
        let Some(document) = client.network(&name)? else { return Err(ObserveError::NetworkAbsent { name }) };
        self.take_network(name, document)
    }

    fn take_network(&mut self, name: String, document: hcn::schema::Network) -> Result<bool, ObserveError> {
        let Some(id) = document.id else { return Err(ObserveError::NetworkWithoutId { name }) };
        let overlay = document.kind.is_overlay();
        if overlay {
            let needs = |needs| Err(ObserveError::OverlayNeeds { name: name.clone(), needs });
            if self.settings.source_vip.is_none() {
                return needs("--source-vip, an address of the pod subnet that no pod has");
            }
            if self.host.mac.is_none() {
                return needs("the MAC address of the adapter that has the node's address; no adapter was found");
            }
            if self.host.node_ips.is_empty() {
                return needs("the node's address");
            }
        }
        // A subnet that can't be read is left out; the addresses behind it count as outside the cluster.
        let subnets = document.policies.iter().filter_map(|policy| policy.as_remote_subnet()?.ok());
        let network = Network { id, overlay, remote_subnets: subnets.collect() };
        self.network_fresh = true;
        if self.network.as_ref() == Some(&network) {
            return Ok(false);
        }
        let source_vip = self.settings.source_vip.filter(|_| overlay);
        self.network = Some(network);
        self.desired.set_source_vip(source_vip, &mut self.dirty);
        // Ids and documents of endpoints depend on the network.
        self.dirty.addresses.extend(self.desired.addresses());
        self.dirty.frontends.extend(self.desired.iter().map(|owned| owned.spec.frontend));
        self.concern_all();
        Ok(true)
    }

    /// Computes the wishes of Services that changed.
    fn refresh_wishes(&mut self) {
        let (Some(network), Some(capabilities)) = (&self.network, &self.capabilities) else { return };
        let context = Context { settings: &self.settings, host: &self.host, node: &self.node, network, capabilities };
        for name in self.stale.drain() {
            self.work.services += 1;
            let entry = self.cluster.get(&name);
            let wishes = entry.map_or_else(Wishes::default, |entry| desire(entry, &context));
            let created = entry.and_then(|entry| entry.service.as_ref()).map_or(0, |service| service.created);
            self.desired.set(&name, created, wishes, &mut self.dirty);
        }
    }

    /// What is to be done now. Nothing before HNS was looked at, and all Services and slices were handed over.
    pub fn plan(&mut self, now: Duration) -> Plan {
        self.refresh_wishes();
        let blocked = self.blocked(now);
        let planner = self.planner(&blocked).filter(|_| self.complete == (true, true));
        planner.map(|planner| planner.plan(&self.dirty)).unwrap_or_default()
    }

    fn planner<'a>(&'a self, blocked: &'a FxHashSet<IpAddr>) -> Option<Planner<'a>> {
        Some(Planner {
            desired: &self.desired,
            observed: &self.observed,
            settings: &self.settings,
            host: &self.host,
            network: self.network.as_ref()?,
            capabilities: self.capabilities.as_ref()?,
            blocked,
        })
    }

    /// Addresses whose endpoints could not be created, and are not due yet.
    fn blocked(&self, now: Duration) -> FxHashSet<IpAddr> {
        let address = |subject| match subject {
            Subject::Address(address) if self.failed.holds_back(subject, now) => Some(address),
            _ => None,
        };
        self.failed.subjects().filter_map(address).collect()
    }

    /// How every frontend stands.
    pub fn frontends(&self) -> Vec<FrontendStatus> {
        let blocked = FxHashSet::default();
        self.planner(&blocked).map(|planner| planner.statuses()).unwrap_or_default()
    }

    /// What is not as the Services ask.
    pub fn notices(&self) -> Vec<Notice> {
        let mut notices = self.desired.notices();
        notices.extend(self.notices.values().flatten().cloned());
        notices.sort_by_cached_key(|notice| (notice.service.clone(), notice.problem.to_string()));
        notices.dedup();
        notices
    }

    /// Whether HNS holds what it should, as far as is known: nothing is dirty, nothing has failed.
    pub fn is_converged(&self) -> bool {
        self.stale.is_empty() && self.dirty.is_empty() && self.failed.is_empty() && self.network.is_some()
    }

    /// Brings HNS in step, as far as it can be now. What fails is tried again when it is due.
    pub fn run(&mut self, client: &Client, now: Duration) -> Report {
        self.work = Work::default();
        let mut outcomes = Vec::new();
        let ready = self.complete == (true, true) && !(self.suspended && self.observe(client).is_err());
        if !ready {
            let next = if self.suspended { Next::At(now + LOOK_AGAIN_AFTER) } else { Next::Idle };
            return Report { outcomes, next, work: self.work };
        }
        self.wake(now);
        let mut looked = false;
        for _ in 0..ROUNDS {
            let plan = self.plan(now);
            if self.look_before(&plan, client) {
                continue;
            }
            let dirty = std::mem::take(&mut self.dirty);
            self.work.frontends += dirty.frontends.len();
            self.work.addresses += dirty.addresses.len();
            let aftermath = self.apply(plan, &dirty, client, now, &mut outcomes);
            if aftermath.doubt && !looked {
                looked = true;
                self.look_again(client);
            }
            if self.dirty.is_empty() || self.suspended {
                break;
            }
        }
        let pending = match (self.suspended, self.dirty.is_empty()) {
            (true, _) => Some(now + LOOK_AGAIN_AFTER),
            (false, true) => None,
            (false, false) => Some(now),
        };
        let next = [pending, self.failed.next(), self.awaited.next()].into_iter().flatten().min();
        Report { outcomes, next: next.map_or(Next::Idle, Next::At), work: self.work }
    }

    /// Makes dirty what is due to be tried, or looked for, again.
    fn wake(&mut self, now: Duration) {
        for subject in self.failed.due(now) {
            match subject {
                Subject::Frontend(frontend) => {
                    self.dirty.frontends.insert(frontend);
                }
                Subject::Address(address) => {
                    self.dirty.addresses.insert(address);
                    self.dirty.frontends.extend(self.desired.users_of(address));
                }
            }
        }
        for subject in self.awaited.due(now) {
            if let Subject::Address(address) = subject {
                self.endpoints_fresh = false;
                let users: Vec<_> = self.desired.users(Target::Address { address, local: true }).collect();
                if users.is_empty() {
                    self.awaited.settled(subject);
                }
                self.dirty.frontends.extend(users);
            }
        }
    }

    /// Looks at everything after a refusal that says that HNS holds something else than believed.
    fn look_again(&mut self, client: &Client) {
        let (Some(network), Some(capabilities)) = (self.network.clone(), self.capabilities) else { return };
        let mut found = Dirty::default();
        // Where HNS can't be asked, nothing is learned; what failed is tried again when it is due.
        let _ = self.look(client, &network, &capabilities, &mut found);
        self.absorb(found);
    }

    /// Looks again at what a plan found missing, if it was not looked at since the cluster changed: endpoints of local backends, and
    /// subnets of overlay networks. Answers whether to plan anew.
    fn look_before(&mut self, plan: &Plan, client: &Client) -> bool {
        let on_other_node =
            |action: &Action| matches!(action, Action::CreateEndpoint { purpose: EndpointPurpose::Backend, .. });
        let overlay = self.network.as_ref().filter(|network| network.overlay).map(|network| network.id);
        if let Some(id) = overlay.filter(|_| !self.network_fresh)
            && plan.steps.iter().any(|step| on_other_node(&step.action))
        {
            self.network_fresh = true;
            let name = self.settings.network_name.clone();
            // An error here changes nothing: the plan goes on with the subnets that are known.
            return client.network_of(id).is_ok_and(|document| self.take_network(name, document).unwrap_or(false));
        }
        if !self.endpoints_fresh && !plan.awaited.is_empty() {
            self.endpoints_fresh = true;
            let (Some(network), Some(capabilities)) = (self.network.clone(), self.capabilities) else { return false };
            let mut found = Dirty::default();
            let result = self.look_at_endpoints(client, &network, &capabilities, &mut found);
            let changed = !found.is_empty();
            self.absorb(found);
            return result.is_ok() && changed;
        }
        false
    }

    /// Applies a plan, and makes dirty what is worth planning anew at once.
    fn apply(
        &mut self,
        plan: Plan,
        dirty: &Dirty,
        client: &Client,
        now: Duration,
        outcomes: &mut Vec<Outcome>,
    ) -> Aftermath {
        let (Some(network), Some(mut capabilities)) = (self.network.clone(), self.capabilities) else {
            return Aftermath::default();
        };
        plan.adopted_endpoints.iter().for_each(|id| self.observed.adopt_endpoint(*id));
        plan.adopted_load_balancers.iter().for_each(|id| self.observed.adopt_load_balancer(*id));
        self.note(&plan, dirty, now);
        let mut run = Run::new(client, network.id, &mut self.observed, &mut capabilities, &mut self.modify_verified);
        let mut new: Vec<Outcome> = Vec::with_capacity(plan.steps.len());
        for step in plan.steps {
            let outcome = run.apply(step);
            let unavailable = outcome.result.as_ref().is_err_and(Failure::is_unavailable);
            new.push(outcome);
            if unavailable {
                // Whatever is asked next would fail too. All of it is planned again when HNS can be looked at.
                self.suspended = true;
                self.dirty.frontends.extend(dirty.frontends.iter().copied());
                self.dirty.addresses.extend(dirty.addresses.iter().copied());
                break;
            }
        }
        self.capabilities = Some(capabilities);

        let mut aftermath = Aftermath::default();
        let mut unsettled: BTreeSet<Subject> = BTreeSet::new();
        let mut created = Vec::new();
        for Outcome { step, result } in &new {
            let subject = step.action.subject();
            match result {
                Ok(()) => created.extend(match &step.action {
                    Action::CreateEndpoint { address, .. } => Some(*address),
                    _ => None,
                }),
                // Planned anew, the load balancer is replaced, or does without the endpoint that failed.
                Err(failure) if failure.suggests_another_plan(&step.action) => self.dirty.insert(subject),
                Err(failure) => {
                    aftermath.doubt |= failure.suggests_another_look();
                    unsettled.insert(subject);
                }
            }
        }
        unsettled.iter().for_each(|subject| self.failed.failed(*subject, now));
        let frontends = dirty.frontends.iter().map(|frontend| Subject::Frontend(*frontend));
        let addresses = dirty.addresses.iter().copied().chain(created).map(Subject::Address);
        for subject in frontends.chain(addresses).filter(|subject| !unsettled.contains(subject)) {
            // An address that is held back was not tried; its failure stands.
            if matches!(subject, Subject::Frontend(_)) || !self.failed.holds_back(subject, now) {
                self.failed.settled(subject);
            }
        }
        outcomes.extend(new);
        aftermath
    }

    /// Replaces what was noted of the frontends that a plan covers.
    fn note(&mut self, plan: &Plan, dirty: &Dirty, now: Duration) {
        for frontend in &dirty.frontends {
            self.notices.remove(frontend);
        }
        for (frontend, notice) in &plan.notices {
            self.notices.entry(*frontend).or_default().push(notice.clone());
        }
        for address in &plan.awaited {
            self.awaited.failed(Subject::Address(*address), now);
        }
        let found = |address: &IpAddr| self.observed.local_at(*address).is_some();
        dirty.addresses.iter().filter(|a| found(a)).for_each(|a| self.awaited.settled(Subject::Address(*a)));
    }
}

/// What to do after a plan was applied.
#[derive(Debug, Clone, Copy, Default)]
struct Aftermath {
    /// Whether HNS holds something else than believed.
    doubt: bool,
}
