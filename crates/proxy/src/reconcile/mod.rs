//! Keeps HNS in step with the cluster: notes what changes, looks at HNS, plans, applies, and remembers what failed.
//!
//! One path serves everything. A change to a Service, a local endpoint that appears, an object lost by HNS, a retry that is due: each
//! makes frontends or addresses dirty, and a run plans and applies for these alone. The first run is the one where all are dirty.
//!
//! Time is an argument: the duration since any fixed moment. What an error of HNS leaves unknown stays as it was believed.

mod arrivals;
mod explain;
mod holder;
mod liveness;
mod look;
mod network;
mod pacing;
mod progress;
mod run;

pub use arrivals::{Changes, Trigger};
pub use liveness::Liveness;
pub use progress::{Progress, Tally};

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Duration;

use hcn::schema::Endpoint;
use hcn::{Class, Client, Guid, Version};
use rustc_hash::{FxHashMap, FxHashSet};
use smol_str::SmolStr;

use crate::apply::{Failure, Outcome};
use crate::backoff::Backoff;
use crate::desire::{Context, Wishes, desire};
use crate::desired::{Desired, Dirty};
use crate::frontend::{EndpointPurpose, Frontend, Target};
use crate::health_check::HealthChecks;
use crate::model::{Cluster, Service, ServiceName, Slice, SliceName};
use crate::network::Networks;
use crate::notice::{Notice, Problem};
use crate::observe::{Drift, Observed};
use crate::plan::{Action, FrontendStatus, Plan, Planner, Restraint, Subject};
use crate::settings::{Capabilities, Host, Node, Settings};
use arrivals::Arrivals;
use liveness::Health;
use pacing::Pacing;

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

impl ObserveError {
    /// The error's kind in one word, for Events.
    pub fn reason(&self) -> &'static str {
        match self {
            ObserveError::Hns(_) => "HNSUnavailable",
            ObserveError::NetworkAbsent { .. } => "NetworkAbsent",
            ObserveError::NetworkWithoutId { .. } => "NetworkWithoutId",
            ObserveError::OverlayNeeds { .. } => "OverlayNeedsMore",
        }
    }
}

/// What a look at HNS found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Observation {
    /// Frontends whose load balancer is not what was believed.
    pub frontends: usize,
    /// Addresses whose endpoint is not what was believed.
    pub addresses: usize,
    /// Whether a network is another than before.
    pub network_changed: bool,
    /// Whether load balancers are still to be looked at.
    pub half: bool,
    /// What none of our own writes explains: what HNS lost, what others did. Nothing at a first look.
    pub drift: Vec<Drift>,
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
    /// What looks in between found that none of our own writes explains.
    pub drift: Vec<Drift>,
}

impl Report {
    /// The steps that failed.
    pub fn failures(&self) -> impl Iterator<Item = (&Outcome, &Failure)> {
        Self::failed(&self.outcomes)
    }

    fn failed(outcomes: &[Outcome]) -> impl Iterator<Item = (&Outcome, &Failure)> {
        outcomes.iter().filter_map(|outcome| Some((outcome, outcome.result.as_ref().err()?)))
    }
}

/// A load balancer of others on a frontend that no Service here wants.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct OthersLoadBalancer {
    /// Its frontends.
    pub frontends: Vec<Frontend>,
    /// Its id.
    pub id: Guid,
    /// Whether it has the form of those that kube-proxy makes, so that taking over from it would remove it.
    pub like_kube_proxys: bool,
}

impl std::fmt::Display for OthersLoadBalancer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let frontends: Vec<_> = self.frontends.iter().map(Frontend::to_string).collect();
        write!(f, "the load balancer {} on {} is not ours, and no Service asks for it", self.id, frontends.join(", "))?;
        f.write_str(match self.like_kube_proxys {
            true => "; it looks like one of kube-proxy's, which --take-over removes",
            false => "; it is left alone",
        })
    }
}

/// The proxy of one node.
#[derive(Debug)]
pub struct Reconciler {
    settings: Settings,
    host: Host,
    node: Node,
    cluster: Cluster,
    health_checks: HealthChecks,
    arrivals: Arrivals,
    /// Services whose wishes have to be computed anew.
    stale: FxHashSet<ServiceName>,
    networks: Networks,
    version: Option<Version>,
    capabilities: Option<Capabilities>,
    modify_verified: bool,
    desired: Desired,
    observed: Observed,
    dirty: Dirty,
    /// Whether all Services, and all slices, were handed over once. Before that nothing is planned: what is not known yet would seem
    /// to be unwanted.
    complete: (bool, bool),
    /// Whether HNS could not be asked, or lacks all networks. Nothing is written until a look at it succeeds.
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
    /// Whether the remote subnets of the overlay network were read since the cluster last changed.
    network_fresh: bool,
    /// Whether everything was looked at once: from then on differences are drift.
    looked: bool,
    /// Whether load balancers are still to be looked at in the look that is under way.
    half_looked: bool,
    /// Whether HNS keeps the ids that it is asked for; none: not known yet.
    honours_ids: Option<bool>,
    health: Health,
    pacing: Pacing,
    /// Frontends whose backends are in networks that are not there.
    waiting: BTreeSet<Frontend>,
    /// What was found, and not yet handed over.
    drift: Vec<Drift>,
    work: Work,
    notices: FxHashMap<Frontend, Vec<Notice>>,
}

impl Reconciler {
    /// A proxy that knows nothing yet.
    pub fn new(settings: Settings, host: Host) -> Self {
        let node = Node { name: settings.node_name.clone(), zone: None };
        let networks = Networks::new(&settings.network_names, host.primary_family());
        Self {
            settings,
            host,
            node,
            cluster: Cluster::default(),
            health_checks: HealthChecks::default(),
            arrivals: Arrivals::default(),
            stale: FxHashSet::default(),
            networks,
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
            looked: false,
            half_looked: false,
            honours_ids: None,
            health: Health::default(),
            pacing: Pacing::default(),
            waiting: BTreeSet::new(),
            drift: Vec::new(),
            work: Work::default(),
            notices: FxHashMap::default(),
        }
    }

    /// Whether all Services, and all slices, were handed over once: nothing is planned before.
    pub fn is_complete(&self) -> bool {
        self.complete == (true, true)
    }

    fn concern(&mut self, services: impl IntoIterator<Item = ServiceName>) {
        let before = self.stale.len();
        for service in services {
            self.health_checks.update(&service, &self.cluster, &self.node.name);
            self.stale.insert(service);
        }
        if self.stale.len() > before {
            (self.endpoints_fresh, self.network_fresh) = (false, false);
        }
    }

    /// Adds or replaces a Service.
    pub fn apply_service(&mut self, service: Service) {
        let concerned = self.cluster.apply_service(service);
        self.arrivals.services(concerned.iter().count());
        self.concern(concerned);
    }

    /// Removes a Service.
    pub fn delete_service(&mut self, name: &ServiceName) {
        let concerned = self.cluster.delete_service(name);
        self.arrivals.services(concerned.iter().count());
        self.concern(concerned);
    }

    /// Adds or replaces a slice.
    pub fn apply_slice(&mut self, slice: Slice) {
        self.note_trigger(&slice);
        let concerned = self.cluster.apply_slice(slice);
        self.arrivals.slices(usize::from(!concerned.is_empty()));
        self.concern(concerned);
    }

    /// Removes a slice.
    pub fn delete_slice(&mut self, name: &SliceName) {
        let concerned = self.cluster.delete_slice(name);
        concerned.iter().for_each(|service| self.arrivals.removed(service));
        self.arrivals.slices(concerned.iter().count());
        self.concern(concerned);
    }

    fn note_trigger(&mut self, slice: &Slice) {
        let before = self.cluster.get(&slice.service).and_then(|entry| entry.slices.get(&slice.name));
        if before != Some(slice) {
            self.arrivals.triggered(slice);
        }
    }

    /// Replaces all Services by a new complete list.
    pub fn reset_services(&mut self, services: Vec<Service>) {
        self.complete.0 = true;
        let concerned = self.cluster.reset_services(services);
        self.arrivals.services(concerned.len());
        self.concern(concerned);
    }

    /// Replaces all slices by a new complete list.
    pub fn reset_slices(&mut self, slices: Vec<Slice>) {
        self.complete.1 = true;
        slices.iter().for_each(|slice| self.note_trigger(slice));
        let concerned = self.cluster.reset_slices(slices);
        self.arrivals.slices(concerned.len());
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

    /// The networks, and what is known of each.
    pub fn networks(&self) -> &Networks {
        &self.networks
    }

    /// What HNS can do, once it was looked at.
    pub fn capabilities(&self) -> Option<&Capabilities> {
        self.capabilities.as_ref()
    }

    /// What HNS is believed to hold.
    pub fn observed(&self) -> &Observed {
        &self.observed
    }

    /// Computes the wishes of Services that changed.
    fn refresh_wishes(&mut self) {
        let Some(capabilities) = self.capabilities.as_ref().filter(|_| self.networks.any_known()) else { return };
        let (settings, host, node, networks) = (&self.settings, &self.host, &self.node, &self.networks);
        let context = Context { settings, host, node, networks, capabilities };
        for name in self.stale.drain() {
            self.work.services += 1;
            let entry = self.cluster.get(&name);
            let wishes = entry.map_or_else(Wishes::default, |entry| desire(entry, &context));
            let created = entry.and_then(|entry| entry.service.as_ref()).map_or(0, |service| service.created);
            self.desired.set(&name, created, wishes, &mut self.dirty);
        }
        self.arrivals.taken();
    }

    /// What is to be done now. Nothing before HNS was looked at, and all Services and slices were handed over.
    pub fn plan(&mut self, now: Duration) -> Plan {
        self.refresh_wishes();
        let restraint = self.restraint(now);
        let planner = self.planner(&restraint).filter(|_| self.is_complete());
        planner.map(|planner| planner.plan(&self.dirty)).unwrap_or_default()
    }

    fn planner<'a>(&'a self, restraint: &'a Restraint) -> Option<Planner<'a>> {
        let networks = Some(&self.networks).filter(|networks| networks.any_known())?;
        Some(Planner {
            desired: &self.desired,
            observed: &self.observed,
            settings: &self.settings,
            host: &self.host,
            networks,
            capabilities: self.capabilities.as_ref()?,
            restraint,
        })
    }

    /// What is not to be done now, or only after all else.
    fn restraint(&mut self, now: Duration) -> Restraint {
        let held_back = |subject: &Subject| self.failed.holds_back(*subject, now);
        Restraint {
            blocked: self.failed.subjects().filter(held_back).filter_map(Subject::address).collect(),
            replaced: self.pacing.recent(now),
            failed: self.failed.subjects().filter_map(Subject::frontend).collect(),
        }
    }

    /// How every frontend stands.
    pub fn frontends(&self) -> Vec<FrontendStatus> {
        let restraint = Restraint::default();
        self.planner(&restraint).map(|planner| planner.statuses()).unwrap_or_default()
    }

    /// The load balancers of others on frontends that nobody here wants, in the order of frontends.
    pub fn load_balancers_of_others(&self) -> Vec<OthersLoadBalancer> {
        let unwanted = self
            .observed
            .foreign_load_balancers()
            .filter(|(_, held)| held.frontends.iter().all(|frontend| self.desired.owned(*frontend).is_none()));
        let mut others: Vec<_> = unwanted
            .map(|(id, held)| OthersLoadBalancer {
                frontends: held.frontends.to_vec(),
                id,
                like_kube_proxys: held.resembles_kube_proxy(),
            })
            .collect();
        others.sort();
        others
    }

    /// What is not as the Services ask.
    pub fn notices(&self) -> Vec<Notice> {
        let mut notices = self.desired.notices();
        notices.extend(self.notices.values().flatten().cloned());
        notices.sort_by_cached_key(|notice| (notice.service.clone(), notice.problem.to_string()));
        notices.dedup();
        notices
    }

    /// Whether HNS holds what it should, as far as is known: the cluster is known whole, nothing is dirty, nothing has failed.
    pub fn is_converged(&self) -> bool {
        let pending = !self.stale.is_empty() || !self.dirty.is_empty() || !self.pacing.is_idle();
        !pending && self.failed.is_empty() && self.networks.any_known() && self.is_complete()
    }

    /// How many entries all that is remembered has, for those who watch that memory does not grow.
    pub fn size(&self) -> usize {
        let own = [self.stale.len(), self.dirty.frontends.len(), self.dirty.addresses.len(), self.notices.len()];
        let parts = [self.cluster.size(), self.desired.size(), self.observed.size(), self.pacing.len()];
        let waiting = [self.waiting.len(), self.awaited.subjects().count()];
        let kept = waiting.into_iter().chain([self.arrivals.len(), self.failed.subjects().count(), self.drift.len()]);
        own.into_iter().chain(parts).chain(kept).sum()
    }
}
