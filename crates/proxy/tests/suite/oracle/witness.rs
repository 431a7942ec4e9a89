//! Sees each write to HNS in order, from any number of threads, and judges it by what HNS has at that moment.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};
use std::net::IpAddr;
use std::thread::ThreadId;

use hcn::schema::{Endpoint, LoadBalancer};
use hcn::{Class, Error, Guid, Kind};
use hcn_emulator::Emulator;
use proxy::Frontend;

use super::cluster::SmallCluster;
use super::difference::{Comparison, Difference, Snapshot, Subject, address_of};
use super::disturbances::Disturbances;
use super::job::Job;
use super::networks::Networks;
use super::wanted::{Backend, Facts, Frontends, Wanted};
use super::write::Write;

/// The MAC address of the host.
const OWN_MAC: &str = "16:3f:c8:c9:10:9d";
/// How many lines of the log are kept for a failure.
const LOG: usize = 250;

/// What the process was told, and what it may therefore do.
pub(super) struct Witness {
    pub(super) cluster: SmallCluster,
    pub(super) frontends: Frontends,
    pub(super) facts: Facts,
    pub(super) disturbances: Disturbances,
    /// Objects of other programs.
    pub(super) foreign: BTreeSet<Guid>,
    /// The addresses of all endpoints that ever were.
    pub(super) seen: HashMap<Guid, Vec<IpAddr>>,
    pub(super) threads: usize,
    /// Whether the previous load balancer of a replacement is always known, so that it can be restored.
    pub(super) restores: bool,
    /// Frontends that some Service had since the process began.
    claimed: HashSet<Frontend>,
    /// Frontends with backends whose load balancer was deleted, and whether its successor was refused.
    pub(super) released: Vec<(Frontend, bool)>,
    /// The backends of the load balancer that a frontend had last.
    last_backends: HashMap<Frontend, BTreeSet<IpAddr>>,
    /// How often others changed something.
    pub(super) incidents: HashMap<Subject, u32>,
    /// Frontends and addresses whose last write failed.
    pub(super) failed: HashSet<Subject>,
    /// The job of each thread.
    pub(super) jobs: HashMap<ThreadId, Job>,
    /// Frontends that were replaced since the last whole second of the model's clock.
    pub(super) replaced: BTreeMap<Frontend, std::time::Duration>,
    pub(super) now: std::time::Duration,
    /// The lists that must succeed before the next write: endpoints, load balancers.
    unread: (bool, bool),
    /// Writes since HNS was unavailable. Those of other threads may be on their way.
    unread_writes: usize,
    /// Threads with an unanswered write that the others do not know yet.
    pub(super) unrecorded: HashSet<ThreadId>,
    /// Whether a load balancer was written in this run.
    wrote_any: bool,
    /// Whether a call failed in this run.
    pub(super) had_error: bool,
    /// Writes in this step.
    pub(super) writes: usize,
    log: VecDeque<String>,
    pub(super) complaints: Vec<String>,
}

impl Witness {
    pub(super) fn new(cluster: SmallCluster, facts: Facts, threads: usize, restores: bool) -> Self {
        Self {
            cluster,
            frontends: Frontends::new(),
            facts,
            disturbances: Disturbances::default(),
            foreign: BTreeSet::new(),
            seen: HashMap::new(),
            threads,
            restores,
            claimed: HashSet::new(),
            released: Vec::new(),
            last_backends: HashMap::new(),
            incidents: HashMap::new(),
            failed: HashSet::new(),
            jobs: HashMap::new(),
            replaced: BTreeMap::new(),
            now: std::time::Duration::ZERO,
            unread: (false, false),
            unread_writes: 0,
            unrecorded: HashSet::new(),
            wrote_any: false,
            had_error: false,
            writes: 0,
            log: VecDeque::new(),
            complaints: Vec::new(),
        }
    }

    pub(super) fn log(&mut self, line: String) {
        if self.log.len() == LOG {
            self.log.pop_front();
        }
        self.log.push_back(line);
    }

    /// What happened last, for a failure.
    pub(super) fn history(&self) -> String {
        self.log.iter().cloned().collect::<Vec<_>>().join("\n")
    }

    pub(super) fn complain(&mut self, text: String) {
        self.log(format!("!! {text}"));
        self.complaints.push(text);
    }

    /// A new process: all that is not recognizably ours is foreign to it.
    pub(super) fn begin(&mut self, emulator: &Emulator) {
        let snapshot = Snapshot::of(emulator);
        let all = snapshot.endpoints.keys().chain(snapshot.load_balancers.keys());
        self.foreign.extend(all.copied().filter(|id| !proxy::identity::is_ours(*id)));
        self.disturbances.restarted();
        self.claimed.clear();
        self.released.clear();
        self.failed.clear();
        self.incidents.clear();
        self.replaced.clear();
        (self.unread, self.unread_writes) = ((false, false), 0);
    }

    pub(super) fn begin_run(&mut self, interrupted: bool) {
        (self.wrote_any, self.had_error) = (interrupted, false);
        self.unrecorded.clear();
        self.jobs.clear();
        self.claimed.extend(self.frontends.keys());
    }

    /// No successor of a load balancer may be missing at the end of a run.
    pub(super) fn end_run(&mut self, emulator: &Emulator) {
        if self.released.is_empty() {
            return;
        }
        let snapshot = Snapshot::of(emulator);
        for (frontend, _) in std::mem::take(&mut self.released) {
            let is_disturbed = self.disturbances.is_disturbed(Subject::Frontend(frontend));
            if !is_disturbed && snapshot.on(frontend).next().is_none() {
                self.complain(format!("{frontend} was left without a load balancer"));
            }
        }
    }

    /// Records that this thread takes another job, so that the other threads know the answers of its last one.
    pub(super) fn recorded(&mut self) {
        self.unrecorded.remove(&std::thread::current().id());
    }

    /// An audit failed: nothing may be written before another has read HNS.
    pub(super) fn require_lists(&mut self) {
        (self.unread, self.unread_writes) = ((true, true), 0);
    }

    pub(super) fn listed(&mut self, kind: Kind) {
        match kind {
            Kind::Endpoint => self.unread.0 = false,
            Kind::LoadBalancer => self.unread.1 = false,
            _ => {}
        }
    }

    fn comparison<'a>(&'a self, snapshot: &'a Snapshot) -> Comparison<'a> {
        let Self { frontends, cluster, facts, foreign, seen, .. } = self;
        Comparison { snapshot, frontends, cluster, facts, foreign, seen }
    }

    pub(super) fn differences(&self, snapshot: &Snapshot) -> Vec<Difference> {
        self.comparison(snapshot).differences()
    }

    /// The addresses of the backends that a load balancer may have.
    pub(super) fn reachable(&self, snapshot: &Snapshot, wanted: &Wanted) -> Vec<IpAddr> {
        self.comparison(snapshot).reachable(wanted)
    }

    /// Whether another program or a mistake of HNS explains a difference.
    pub(super) fn is_explained(&self, difference: &Difference) -> bool {
        difference.subjects.iter().any(|one| self.disturbances.is_disturbed(*one))
    }

    /// Differences that nothing explains.
    fn unexplained(&self, snapshot: &Snapshot) -> Vec<Difference> {
        self.differences(snapshot).into_iter().filter(|one| !self.is_explained(one)).collect()
    }

    /// Judges a write before it is made.
    pub(super) fn before(&mut self, write: &Write, emulator: &Emulator) {
        self.writes += 1;
        if self.unread != (false, false) {
            self.unread_writes += usize::from(self.unrecorded.is_empty());
            // Other threads finish what they have begun: up to two deletions, a creation and a restore.
            let is_own = self.unrecorded.contains(&std::thread::current().id());
            if is_own || self.unread_writes > (self.threads - 1) * 4 {
                self.complain(format!("a write before HNS was read again: {write:?}"));
            }
        }
        if let Some(document) = write.load_balancer() {
            self.check_references(document, emulator);
            self.check_backends(document, emulator);
        }
        if matches!(write, Write::ModifyLoadBalancer(..) | Write::CreateLoadBalancer(_) | Write::DeleteLoadBalancer(_))
        {
            self.check_order(write, emulator);
        }
        if let Write::DeleteEndpoint(id) = write {
            let snapshot = Snapshot::of(emulator);
            for user in snapshot.users(*id) {
                let mut frontends = Frontend::of(&snapshot.load_balancers[&user]).map(Subject::Frontend);
                if !frontends.any(|subject| self.disturbances.is_disturbed(subject)) {
                    self.complain(format!("endpoint {id} is deleted while load balancer {user} refers to it"));
                }
            }
        }
        self.check_foreign(write, emulator);
        self.check_successor(write);
    }

    /// No load balancer refers to an endpoint that does not exist.
    fn check_references(&mut self, document: &LoadBalancer, emulator: &Emulator) {
        // A load balancer that is restored may have lost a backend before. HNS refuses it then.
        for id in document.endpoint_ids().filter(|id| emulator.document(Kind::Endpoint, *id).is_none()) {
            let addresses = self.seen.get(&id).cloned().unwrap_or_default();
            let is_restored = |frontend| {
                self.last_backends.get(&frontend).is_some_and(|last| addresses.iter().any(|one| last.contains(one)))
            };
            if Frontend::of(document).any(is_restored) {
                continue;
            }
            let mut lost = addresses.iter().map(|address| Subject::Address(*address)).chain([Subject::Networks]);
            if !lost.any(|subject| self.disturbances.is_disturbed(subject)) {
                self.complain(format!("a load balancer refers to endpoint {id}, which does not exist: {document:?}"));
            }
        }
    }

    /// Each backend is wanted now, or was one of the load balancer that is restored.
    fn check_backends(&mut self, document: &LoadBalancer, emulator: &Emulator) {
        for frontend in Frontend::of(document) {
            let candidates = self.frontends.get(&frontend).cloned().unwrap_or_default();
            let wanted: BTreeSet<IpAddr> =
                candidates.iter().flat_map(|one| &one.backends).filter_map(address_of).collect();
            let restored = self.last_backends.get(&frontend).cloned().unwrap_or_default();
            let has_root = candidates.iter().any(|one| {
                let is_root = |backend: &Backend| match backend {
                    Backend::Root => true,
                    Backend::Address { address, .. } => self.is_of_host(*address),
                };
                one.backends.iter().any(is_root)
            });
            for id in document.endpoint_ids() {
                let Some(endpoint) = emulator.document(Kind::Endpoint, id) else { continue };
                let endpoint: Endpoint = serde_json::from_value(endpoint).unwrap();
                let is_root = has_root && endpoint.name == self.facts.settings.root_endpoint_name;
                let known = |address: IpAddr| wanted.contains(&address) || restored.contains(&address);
                // If another program has deleted the load balancer meanwhile, the restored one is unknown here.
                let is_disturbed = self.disturbances.is_disturbed(Subject::Frontend(frontend));
                if !is_root && !is_disturbed && !endpoint.addresses().any(known) {
                    self.complain(format!("{frontend} gets a backend that it never had: {endpoint:?}"));
                }
            }
        }
    }

    fn is_of_host(&self, address: IpAddr) -> bool {
        ["192.168.77.1", "fd00:77::1"].contains(&address.to_string().as_str())
    }

    /// DNS is written before other Services.
    fn check_order(&mut self, write: &Write, emulator: &Emulator) {
        // After an error, what is to come first may have failed already.
        if std::mem::replace(&mut self.wrote_any, true) || self.threads > 1 || self.had_error {
            return;
        }
        let is_dns = |frontend: &Frontend, all: &Frontends| {
            all.get(frontend).is_some_and(|wanted| wanted.iter().all(|one| one.service.name == "kube-dns"))
        };
        let document = match write {
            Write::DeleteLoadBalancer(id) => {
                emulator.document(Kind::LoadBalancer, *id).map(|document| serde_json::from_value(document).unwrap())
            }
            other => other.load_balancer().cloned(),
        };
        let Some(document) = document else { return };
        let may_be_dns = |frontend| {
            self.frontends.get(&frontend).is_some_and(|all| all.iter().any(|one| one.service.name == "kube-dns"))
        };
        if Frontend::of(&document).any(may_be_dns) {
            return;
        }
        // The first audit of a process may be made by the run itself: what it has found is not known here yet.
        if !self.facts.networks.is_as_in(&Networks::in_hns(emulator, &self.facts.settings.network_names)) {
            return;
        }
        let late = self.unexplained(&Snapshot::of(emulator)).into_iter().find(|one| {
            let Some(Subject::Frontend(frontend)) = one.subjects.first() else { return false };
            let recent =
                self.replaced.get(frontend).is_some_and(|at| *at + std::time::Duration::from_secs(1) > self.now);
            // The repair of what another program keeps deleting is delayed.
            let contended = one.subjects.iter().any(|one| self.incidents.get(one).is_some_and(|count| *count > 2));
            is_dns(frontend, &self.frontends)
                && !contended
                && !recent
                && !one.subjects.iter().any(|one| self.failed.contains(one))
        });
        if let Some(late) = late {
            self.complain(format!("{write:?} comes before DNS: {}", late.text));
        }
    }

    fn check_foreign(&mut self, write: &Write, emulator: &Emulator) {
        let Some((kind, id)) = write.object().filter(|(_, id)| self.foreign.contains(id)) else { return };
        let Some(document) = emulator.document(kind, id) else { return };
        let allowed = match kind {
            Kind::Endpoint => {
                let endpoint: Endpoint = serde_json::from_value(document).unwrap();
                let snapshot = Snapshot::of(emulator);
                let is_contended = endpoint.addresses().any(|address| {
                    snapshot.local_at(address).is_some()
                        || self.facts.settings.source_vip_address() == Some(address)
                        || self.disturbances.is_disturbed(Subject::Address(address))
                });
                // One with the MAC address of an own endpoint may have been adopted, and is deleted once nothing needs it.
                let mac = endpoint.mac_address.as_str();
                endpoint.is_remote() && (is_contended || mac.starts_with("02-11-") || mac == OWN_MAC)
            }
            _ => {
                let document: LoadBalancer = serde_json::from_value(document).unwrap();
                Frontend::of(&document).any(|frontend| self.claimed.contains(&frontend))
            }
        };
        if !allowed && !self.facts.settings.take_over {
            self.complain(format!("{kind:?} {id} is foreign and is touched by {write:?}"));
        }
    }

    /// A deleted load balancer is followed by its successor at once.
    fn check_successor(&mut self, write: &Write) {
        if self.threads > 1 {
            return;
        }
        // After a refusal, the old one is created again at once.
        let Some((frontend, _)) = self.released.first().copied() else { return };
        let is_successor = matches!(write, Write::CreateLoadBalancer(document)
            if Frontend::of(document).any(|own| own == frontend));
        let is_surplus = matches!(write, Write::DeleteLoadBalancer(_));
        if !is_successor && !is_surplus {
            self.complain(format!("{frontend} was left without a load balancer for {write:?}"));
            self.released.clear();
        }
    }

    /// Records a write. `effective` says whether HNS made it, and `answer` what the process was told; `deleted` is the
    /// load balancer before a deletion.
    pub(super) fn after(
        &mut self,
        write: &Write,
        effective: bool,
        answer: Result<(), &Error>,
        deleted: Option<LoadBalancer>,
        emulator: &Emulator,
    ) {
        let class = answer.err().map(Error::class);
        let written = self.job().written.clone();
        if class == Some(Class::Unavailable) {
            self.job_unanswered(&written);
        }
        let deletes = matches!(write, Write::DeleteEndpoint(_) | Write::DeleteLoadBalancer(_));
        // The process treats an absent object as deleted.
        let failure = class.filter(|class| !(deletes && *class == Class::Absent));
        let restores = self.is_restoration(write, failure.is_none());
        for subject in written {
            match failure {
                // It is written again after an audit, and keeps its place.
                Some(Class::Unavailable) => {}
                Some(_) => drop(self.failed.insert(subject)),
                // A frontend may have several load balancers, of which only one could be deleted.
                None if restores || matches!(write, Write::DeleteLoadBalancer(_)) => {}
                None => drop(self.failed.remove(&subject)),
            }
        }
        if let Some(document) = &deleted {
            let backends: BTreeSet<IpAddr> =
                document.endpoint_ids().filter_map(|id| self.seen.get(&id)).flatten().copied().collect();
            self.last_backends.extend(Frontend::of(document).map(|frontend| (frontend, backends.clone())));
        }
        match write {
            Write::CreateLoadBalancer(document) => {
                // The process reads an object whose id exists, and takes it for created.
                self.created(document, effective && class.is_none_or(|class| class == Class::Exists));
            }
            Write::DeleteLoadBalancer(id) if effective => {
                self.foreign.remove(id);
                if let Some(document) = deleted.filter(|_| answer.is_ok()) {
                    self.deleted(&document, emulator);
                }
            }
            Write::DeleteEndpoint(id) if effective => drop(self.foreign.remove(id)),
            // Modifying adopts it, unless HNS has changed nothing.
            Write::ModifyLoadBalancer(id, document) if effective && has_backends(emulator, *id, document) => {
                self.foreign.remove(id);
            }
            _ => {}
        }
    }

    fn created(&mut self, document: &LoadBalancer, done: bool) {
        for frontend in Frontend::of(document) {
            if let Some(index) = self.released.iter().position(|(released, _)| *released == frontend) {
                // Even if it failed: the connections are cut already.
                self.replaced.insert(frontend, self.now);
                let again = self.released[index].1;
                // The old one is restored after a refusal; a second refusal in a row leaves the frontend without one.
                if done || again || !self.restores {
                    self.released.remove(index);
                } else {
                    self.released[index].1 = true;
                }
            }
        }
    }

    fn deleted(&mut self, document: &LoadBalancer, emulator: &Emulator) {
        let snapshot = Snapshot::of(emulator);
        for frontend in Frontend::of(document) {
            let is_sure = |address: &IpAddr| {
                let subject = Subject::Address(*address);
                !self.disturbances.is_disturbed(subject) && !self.failed.contains(&subject)
            };
            let comparison = self.comparison(&snapshot);
            let serves = self
                .frontends
                .get(&frontend)
                .is_some_and(|wanted| wanted.iter().all(|one| comparison.reachable(one).iter().any(is_sure)));
            let is_disturbed = self.disturbances.is_disturbed(Subject::Frontend(frontend))
                || self.disturbances.is_disturbed(Subject::Networks);
            if serves && !is_disturbed && snapshot.on(frontend).next().is_none() {
                self.released.push((frontend, false));
            }
        }
    }
}

/// Whether a load balancer in HNS has the backends of a document.
fn has_backends(emulator: &Emulator, id: Guid, document: &LoadBalancer) -> bool {
    let sorted = |document: &LoadBalancer| document.endpoint_ids().collect::<BTreeSet<_>>();
    let present: Option<LoadBalancer> =
        emulator.document(Kind::LoadBalancer, id).map(|one| serde_json::from_value(one).unwrap());
    present.is_some_and(|present| sorted(&present) == sorted(document))
}
