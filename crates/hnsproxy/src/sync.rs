//! Drives the proxy core: the one place that reads the clock for it, hands it the cluster, and logs what it does.

use std::collections::BTreeSet;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hcn::{Client, Counts, Features, Generation};
use jiff::Timestamp;
use proxy::apply::{Outcome, Workers};
use proxy::model::ServiceName;
use proxy::observe::{Drift, by_cause};
use proxy::{
    Explanation, FrontendStatus, Host, Next, Notice, Observation, ObserveError, Plan, Reconciler, Report, Settings,
};
use tracing::{debug, info, warn};

use crate::cli::HnsApi;
use crate::hns::Hns;
use crate::metrics::Metrics;
use crate::source::{Catalog, Change};
use crate::status::{NodeStatus, Status};

/// A proxy at work on an HNS.
pub struct Session<'a> {
    hns: &'a Hns,
    client: Client,
    reconciler: Reconciler,
    settings: Settings,
    host: Host,
    /// How many writes HNS is asked for at once.
    workers: Workers,
    /// Whether load balancers may send this node traffic.
    node_eligible: bool,
    /// Whether the cluster has this node's Node, once that is known.
    node_found: Option<bool>,
    metrics: Arc<Metrics>,
    /// When this began, for people.
    began: Timestamp,
    start: Instant,
    /// What was last logged of each kind, so that a state is logged when it begins, not each time it is met.
    told_of_services: BTreeSet<String>,
    notices: Arc<[Notice]>,
    told_of_host: BTreeSet<String>,
    unreadable: Option<String>,
    slow: bool,
    /// How many steps were done.
    done: usize,
}

/// What became of an audit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Audit {
    /// HNS was looked at.
    Done,
    /// The other half is to come, after what has changed meanwhile.
    Half,
    /// HNS could not be read.
    Failed,
}

/// Beyond so many objects that HNS holds otherwise than believed, only their number is logged, not each.
const NAMED_AT_MOST: usize = 20;

impl<'a> Session<'a> {
    /// A proxy that knows nothing yet.
    pub fn new(hns: &'a Hns, settings: Settings, host: Host, concurrency: NonZeroUsize) -> Self {
        let generation = if hns.api() == HnsApi::V1 { Generation::V1 } else { Generation::V2 };
        Self {
            hns,
            client: hns.client(generation),
            reconciler: Reconciler::new(settings.clone(), host.clone()),
            settings,
            host,
            workers: Workers(concurrency),
            node_eligible: false,
            node_found: None,
            metrics: Arc::default(),
            began: Timestamp::now(),
            #[allow(clippy::disallowed_methods, reason = "the edge: the core is given durations since this moment")]
            start: Instant::now(),
            told_of_services: BTreeSet::new(),
            notices: Arc::default(),
            told_of_host: BTreeSet::new(),
            unreadable: None,
            slow: false,
            done: 0,
        }
    }

    /// Has all that happens counted.
    pub fn count_in(&mut self, metrics: Arc<Metrics>) {
        self.metrics = metrics;
    }

    /// Goes on where a session before this one ends: what was logged is not logged again, and the Node, if it is the same, is as it was
    /// until it is seen.
    pub fn succeed(&mut self, before: &Session<'_>) {
        self.told_of_services.clone_from(&before.told_of_services);
        self.told_of_host.clone_from(&before.told_of_host);
        self.notices = before.notices.clone();
        if self.settings.node_name == before.settings.node_name {
            self.node_eligible = before.node_eligible;
        }
    }

    /// The time that the core is told.
    pub fn now(&self) -> Duration {
        self.start.elapsed()
    }

    /// Hands over the cluster as it is now.
    pub fn load(&mut self, catalog: &Catalog) {
        self.reconciler.reset_services(catalog.services.values().cloned().collect());
        self.reconciler.reset_slices(catalog.slices.values().cloned().collect());
        let node = catalog.nodes.get(&self.settings.node_name);
        self.reconciler.set_zone(node.and_then(|node| node.zone.clone()));
        self.node_found = Some(node.is_some());
        // Files without the Node have nobody who could ask it to go.
        self.node_eligible = node.is_none_or(|node| node.eligible);
    }

    /// Takes a change of the cluster.
    pub fn take(&mut self, change: Change) {
        let reconciler = &mut self.reconciler;
        match change {
            Change::Services(services) => reconciler.reset_services(services),
            Change::Service(service) => reconciler.apply_service(service),
            Change::ServiceGone(name) => reconciler.delete_service(&name),
            Change::Slices(slices) => reconciler.reset_slices(slices),
            Change::Slice(slice) => reconciler.apply_slice(slice),
            Change::SliceGone(name) => reconciler.delete_slice(&name),
            Change::Node(Some(node)) => {
                reconciler.set_zone(node.zone);
                self.node_eligible = node.eligible;
                self.node_found = Some(true);
            }
            // Its addresses and eligibility stay as they were: the kubelet may create it again.
            Change::Node(None) => self.node_found = Some(false),
            Change::Problems(_) | Change::Trouble(_) => {}
        }
    }

    /// Whether all Services, and all slices, were handed over once.
    pub fn knows_cluster(&self) -> bool {
        self.reconciler.is_complete()
    }

    /// Says what the host knows of itself.
    pub fn set_host(&mut self, host: Host) {
        if self.host != host {
            let ips: Vec<_> = host.node_ips.iter().map(ToString::to_string).collect();
            info!(
                "this node has the addresses {}",
                if ips.is_empty() { "that nobody knows".into() } else { ips.join(", ") }
            );
            self.host = host.clone();
            self.reconciler.set_host(host);
        }
    }

    /// Looks at HNS. With `--hns-api auto`, falls back to the first generation where HNS is too old for the second: no call more is made
    /// where it is not.
    ///
    /// # Errors
    /// Where HNS could not be asked, or lacks all networks.
    pub fn observe(&mut self) -> Result<(), ObserveError> {
        let result = self.reconciler.observe(&self.client);
        self.note_look(result).map(drop)
    }

    /// Notes what was found, and looks again where HNS was asked in a way that is too new for it. Answers whether load balancers are still
    /// to be looked at.
    fn note_look(&mut self, result: Result<Observation, ObserveError>) -> Result<bool, ObserveError> {
        let too_old = self.reconciler.version().is_some_and(|version| !Features::of(version).v2);
        if too_old && self.hns.api() == HnsApi::Auto && self.client.generation() == Generation::V2 {
            info!("HNS has no v2 interface; its first generation is used");
            self.client = self.hns.client(Generation::V1);
            let cluster = self.reconciler.cluster();
            let services = cluster.iter().filter_map(|(_, entry)| entry.service.clone()).collect();
            let slices = cluster.iter().flat_map(|(_, entry)| entry.slices.values().cloned()).collect();
            let zone = self.reconciler.zone().cloned();
            self.reconciler = Reconciler::new(self.settings.clone(), self.host.clone());
            self.reconciler.set_zone(zone);
            self.reconciler.reset_services(services);
            self.reconciler.reset_slices(slices);
            return self.observe().map(|()| false);
        }
        if let Ok(found) = &result {
            if found.frontends + found.addresses > 0 {
                debug!(frontends = found.frontends, addresses = found.addresses, "HNS differs from what was known");
            }
            name_drift(&found.drift);
            self.metrics.drift(&found.drift);
        }
        result.map(|found| found.half)
    }

    /// Looks at HNS, where all is well at a part of it, and logs an error when it begins and when it is over.
    pub fn audit(&mut self) -> Audit {
        let result = self.reconciler.observe_part(&self.client);
        let result = self.note_look(result);
        let audit = match &result {
            Ok(true) => Audit::Half,
            Ok(false) => Audit::Done,
            Err(_) => Audit::Failed,
        };
        let error = result.err().map(|error| chain(&error));
        if error != self.unreadable {
            match &error {
                Some(error) => warn!("{error}; nothing is changed until HNS can be read"),
                None => info!("HNS can be read again"),
            }
            self.unreadable = error;
        }
        if audit != Audit::Half {
            self.tell_of_host();
        }
        audit
    }

    /// Logs what was found of the host that an operator should know, when it begins and when it is over.
    pub fn tell_of_host(&mut self) {
        let remarks = self.reconciler.remarks().into_iter().map(|remark| remark.to_string());
        let others = self.reconciler.load_balancers_of_others().into_iter().map(|other| other.to_string());
        tell(&mut self.told_of_host, remarks.chain(others).collect());
    }

    /// What is to be done now.
    pub fn plan(&mut self) -> Plan {
        let now = self.now();
        self.reconciler.plan(now)
    }

    /// Explains a Service; none, if there is no such Service.
    pub fn explain(&mut self, service: &ServiceName) -> Option<Explanation> {
        let now = self.now();
        self.reconciler.explain(service, now)
    }

    /// Brings HNS in step, as far as it can be now, and answers when to do so again.
    pub fn run(&mut self) -> Next {
        let now = self.now();
        let Report { outcomes, next, drift, .. } = self.reconciler.run_with(&self.client, now, &self.workers);
        name_drift(&drift);
        self.metrics.drift(&drift);
        self.metrics.run(&self.reconciler, self.now().saturating_sub(now), &outcomes);
        if self.reconciler.trouble().is_none() {
            let triggers = self.reconciler.take_triggers();
            self.metrics.programmed(&triggers, self.began, Timestamp::now());
        }
        let failed = outcomes.iter().filter(|outcome| outcome.result.is_err()).count();
        self.done += outcomes.len() - failed;
        for Outcome { step, result, put_back } in &outcomes {
            match result {
                Ok(()) => debug!("{step}"),
                Err(failure) if *put_back => {
                    warn!("{step}: {}; the one before is put back, it is tried again later", chain(failure));
                }
                Err(failure) => warn!("{step}: {}; it is tried again later", chain(failure)),
            }
        }
        if !outcomes.is_empty() {
            info!(done = outcomes.len() - failed, failed, "HNS was changed");
        }
        self.note_pace();
        let notices = self.reconciler.notices();
        if *notices != *self.notices {
            tell(&mut self.told_of_services, notices.iter().map(Notice::to_string).collect());
            self.notices = notices.into();
        }
        next
    }

    /// Logs when HNS begins to be slow, and when it no longer is.
    fn note_pace(&mut self) {
        let slowest = self.hns.take_slowest();
        self.reconciler.note_pace(slowest.is_some());
        match slowest {
            Some(call) if !self.slow => warn!("HNS is slow: {call}"),
            None if self.slow => info!("HNS is as fast as it should be again"),
            _ => {}
        }
        self.slow = slowest.is_some();
    }

    /// How many native calls this process has made.
    pub fn counts(&self) -> Counts {
        self.hns.counts()
    }

    /// How many steps were done.
    pub fn done(&self) -> usize {
        self.done
    }

    /// Whether HNS holds what it should.
    pub fn is_converged(&self) -> bool {
        self.reconciler.is_converged()
    }

    /// How the proxy stands.
    pub fn status(&self) -> Status {
        let (generation, notices) = (self.client.generation(), self.notices.clone());
        let node = NodeStatus {
            name: self.settings.node_name.to_string(),
            found: self.node_found,
            addresses: self.host.node_ips.clone(),
        };
        Status { node, ..Status::of(&self.reconciler, generation, self.note(), self.node_eligible, notices) }
    }

    /// How every frontend stands.
    pub fn frontends(&self) -> Vec<FrontendStatus> {
        self.reconciler.frontends()
    }

    /// The client in use.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Which HNS this is, and with what it is programmed.
    pub fn note(&self) -> String {
        let settings = &self.settings;
        let mut note = self.hns.describe();
        if self.client.generation() == Generation::V1 {
            note += " by its first generation";
        }
        note += &format!(" --network-name={} --enable-dsr={}", settings.network_names.join(","), settings.enable_dsr);
        if let Some(source_vip) = settings.source_vip {
            note += &format!(" --source-vip={source_vip}");
        }
        if settings.forward_health_check_vip {
            note += &format!(" --forward-healthcheck-vip=true --root-hnsendpoint-name={}", settings.root_endpoint_name);
        }
        note
    }
}

/// Logs what is not as it should be, when that begins and when it is over.
fn tell(told: &mut BTreeSet<String>, now: BTreeSet<String>) {
    now.difference(told).for_each(|notice| warn!("{notice}"));
    told.difference(&now).for_each(|notice| info!("no longer so: {notice}"));
    *told = now;
}

/// Logs what HNS was found to hold otherwise than believed: each, and how much there is of each kind.
fn name_drift(drift: &[Drift]) {
    drift.iter().take(NAMED_AT_MOST).for_each(|drift| warn!("{drift}"));
    if drift.len() > NAMED_AT_MOST {
        let counts: Vec<_> = by_cause(drift).iter().map(|(cause, count)| format!("{count} x {cause}")).collect();
        warn!("and more, {} in all: {}", drift.len(), counts.join(", "));
    }
}

/// An error with its causes, in one line.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.ends_with(&more) {
            text += &format!(": {more}");
        }
        cause = error.source();
    }
    text
}
