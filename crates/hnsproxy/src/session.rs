//! Runs the proxy core with one configuration: passes it the time and the changes of the cluster, and logs and counts the results.

mod explained;
mod probed;
mod records;
mod run;
mod services;

use std::collections::BTreeSet;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::{Duration, Instant};

use cluster_source::{Catalog, Change};
use hcn::{ApiVersion, Client, Counts, Features, Kind};
use jiff::Timestamp;
use proxy::model::ServiceName;
use proxy::network_pattern::is_pattern;
use proxy::observe::Observed;
use proxy::reconcile::Trigger;
use proxy::{
    AuditError, AuditReport, FrontendStatus, Host, IdentifiedObjects, Plan, Reconciler, ServiceCondition, Settings,
    SourceVip,
};
use tracing::{debug, info, warn};

use crate::history::History;
use crate::hns::{Hns, HnsApi};
use crate::host_local::HostLocal;
use crate::last_state::{RemovedBeforeStart, StateFile};
use crate::metrics::Metrics;
use crate::reservation::Reservations;
use crate::status::{ExplanationTable, NodeStatus, NotReady, Pace, ServiceTable, Status};
use probed::Probed;
use records::Records;

pub use run::Ran;

pub struct Session {
    hns: Arc<Hns>,
    client: Client,
    reconciler: Reconciler,
    settings: Settings,
    host: Host,
    threads: NonZeroUsize,
    node: NodeStatus,
    metrics: Arc<Metrics>,
    /// The start of the session by two clocks: changes of the cluster have a wall-clock time, the core counts from the start.
    started: Timestamp,
    start: Instant,
    records: Records,
    services: Arc<ServiceTable>,
    explanations: Arc<ExplanationTable>,
    /// Those that the table does not show yet.
    changed_services: BTreeSet<ServiceName>,
    /// Whether the table contains the Services of this session. Until then, it contains those of the previous session.
    has_services: bool,
    /// The unreadable members of HNS documents that were logged: real HNS may have one in each document.
    logged_unreadable: BTreeSet<(Kind, String)>,
    conditions: Arc<[ServiceCondition]>,
    state_file: StateFile,
    removed_before_start: Option<RemovedBeforeStart>,
    logged_choices: BTreeSet<String>,
    calls_exceed_budget: bool,
    steps_done: usize,
    pace: Pace,
    reservations: Reservations,
    probed: Probed,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuditProgress {
    Complete,
    /// A list, or reads that can wait, are left. Pending changes are programmed first.
    Paused,
    Failed,
}

impl Session {
    pub fn new(hns: Arc<Hns>, settings: Settings, host: Host, concurrency: NonZeroUsize) -> Self {
        let api_version = if hns.api() == HnsApi::V1 { ApiVersion::V1 } else { ApiVersion::V2 };
        let started = Timestamp::now();
        Self {
            client: hns.client(api_version),
            hns,
            reconciler: reconciler(&settings, &host, started),
            node: NodeStatus { name: settings.node_name.to_string(), ..NodeStatus::default() },
            settings,
            host,
            threads: concurrency,
            metrics: Arc::default(),
            started,
            #[allow(
                clippy::disallowed_methods,
                reason = "only the program reads the clock: the core is given durations since this moment"
            )]
            start: Instant::now(),
            records: Records::default(),
            services: Arc::default(),
            explanations: Arc::default(),
            changed_services: BTreeSet::new(),
            has_services: false,
            logged_unreadable: BTreeSet::new(),
            conditions: Arc::default(),
            state_file: StateFile::default(),
            removed_before_start: None,
            logged_choices: BTreeSet::new(),
            calls_exceed_budget: false,
            steps_done: 0,
            pace: Pace::default(),
            reservations: Reservations::default(),
            probed: Probed::default(),
        }
    }

    /// Counts everything in these metrics instead of in its own.
    #[must_use]
    pub fn with_metrics(mut self, metrics: Arc<Metrics>) -> Self {
        self.metrics = metrics;
        self
    }

    /// Records everything in this history instead of in its own.
    #[must_use]
    pub fn with_history(mut self, history: History) -> Self {
        self.records = Records::of(history);
        self
    }

    /// Keeps these tables of Services up to date, once the cluster is complete.
    #[must_use]
    pub fn with_services(mut self, services: Arc<ServiceTable>, explanations: Arc<ExplanationTable>) -> Self {
        (self.services, self.explanations) = (services, explanations);
        self
    }

    /// Compares this file with the state of HNS at the start, and keeps it up to date.
    #[must_use]
    pub fn with_state_file(mut self, file: StateFile) -> Self {
        self.state_file = file;
        self
    }

    /// Reserves the source VIP there if no endpoint has it.
    #[must_use]
    pub fn with_host_local(mut self, host_local: HostLocal) -> Self {
        self.reservations = Reservations::of(host_local);
        self
    }

    /// Continues a session with other settings: its conditions are not logged a second time, its counts are continued, and the eligibility of
    /// the Node is kept until the Node is read again.
    pub fn inherit(&mut self, before: &Session) {
        self.records.inherit(&before.records);
        self.logged_choices.clone_from(&before.logged_choices);
        self.conditions = before.conditions.clone();
        self.probed.inherit(&before.probed);
        self.state_file.clone_from(&before.state_file);
        self.removed_before_start.clone_from(&before.removed_before_start);
        self.client.inherit_counts(&before.client);
        self.logged_unreadable.clone_from(&before.logged_unreadable);
        if self.settings.node_name == before.settings.node_name {
            self.node.eligible = before.node.eligible;
        }
    }

    /// The time for the core: since the start of the session.
    pub fn now(&self) -> Duration {
        self.start.elapsed()
    }

    /// Replaces the cluster by this one.
    pub fn load(&mut self, catalog: &Catalog) {
        let changes = catalog.changes(&self.settings.node_name);
        changes.into_iter().for_each(|change| self.apply(change));
    }

    pub fn apply(&mut self, change: Change) {
        let reconciler = &mut self.reconciler;
        match change {
            Change::ResetServices(services) => reconciler.reset_services(services),
            Change::ApplyService(service) => reconciler.apply_service(service),
            Change::DeleteService(name) => reconciler.delete_service(&name),
            Change::ResetSlices(slices) => reconciler.reset_slices(slices),
            Change::ApplySlice(slice) => reconciler.apply_slice(slice),
            Change::DeleteSlice(name) => reconciler.delete_slice(&name),
            Change::Node(Some(node)) => {
                reconciler.set_zone(node.zone);
                self.node.eligible = node.eligible;
            }
            // A deleted Node keeps its zone and eligibility: the kubelet creates it again when it registers.
            Change::Node(None) | Change::Problems(_) | Change::ResetProblems(_) | Change::Outage(_) => {}
        }
    }

    /// Records that a change has been pending since an earlier time than that of the version that was applied.
    pub fn record_trigger(&mut self, service: ServiceName, trigger: Trigger) {
        self.reconciler.record_trigger(service, trigger);
    }

    /// Records that HNS has disconnected its notifications.
    pub fn record_disconnect(&mut self) {
        self.reconciler.record_disconnect();
    }

    /// Whether Services and EndpointSlices were listed completely.
    pub fn has_complete_cluster(&self) -> bool {
        self.reconciler.is_complete()
    }

    pub fn set_host(&mut self, host: Host) {
        if self.host != host {
            self.records.node_addresses(&host.node_ips);
            self.host = host.clone();
            self.reconciler.set_host(host);
        }
    }

    /// Runs a whole audit, which also reads the version of HNS. If that version has no HCN v2 API, `--hns-api auto` falls back to the HNS v1
    /// API.
    ///
    /// # Errors
    /// If HNS cannot be read, or has none of the networks.
    pub fn audit(&mut self) -> Result<(), AuditError> {
        let result = self.reconciler.audit(&self.client);
        self.handle_audit(result).map(drop)
    }

    /// Logs and counts what was found. Audits again if HNS does not have the API in use. Returns whether the audit paused.
    fn handle_audit(&mut self, mut result: Result<AuditReport, AuditError>) -> Result<bool, AuditError> {
        let too_old = self.reconciler.version().is_some_and(|version| !Features::of(version).v2);
        if too_old && self.hns.api() == HnsApi::Auto && self.client.api_version() == ApiVersion::V2 {
            info!("HNS has no HCN v2 API, using the HNS v1 API");
            let before = std::mem::replace(&mut self.client, self.hns.client(ApiVersion::V1));
            self.client.inherit_counts(&before);
            let cluster = self.reconciler.cluster();
            let services = cluster.iter().filter_map(|(_, entry)| entry.service.clone()).collect();
            let slices = cluster.iter().flat_map(|(_, entry)| entry.slices.values().cloned()).collect();
            let zone = self.reconciler.zone().cloned();
            self.reconciler = reconciler(&self.settings, &self.host, self.started);
            self.reconciler.set_zone(zone);
            self.reconciler.reset_services(services);
            self.reconciler.reset_slices(slices);
            return self.audit().map(|()| false);
        }
        if let Ok(found) = &result
            && found.frontends + found.addresses > 0
        {
            debug!(frontends = found.frontends, addresses = found.addresses, "HNS differs from the last known state");
        }
        self.report_drift();
        self.log_choices();
        if let Err(AuditError::SourceVipAbsent(absent)) = &mut result {
            if self.reservations.reserve_requested(&mut self.reconciler) {
                return self.audit().map(|()| false);
            }
            // `source_vip_absent` now has the reason why no address was reserved.
            self.reconciler.source_vip_absent().into_iter().for_each(|now| absent.clone_from(now));
        }
        result.map(|found| found.paused)
    }

    /// Logs what HNS has for settings that are patterns or names of endpoints, when it is found or changes.
    fn log_choices(&mut self) {
        let choices = self.choices();
        choices.difference(&self.logged_choices).for_each(|choice| info!("{choice}"));
        self.logged_choices = choices;
    }

    fn choices(&self) -> BTreeSet<String> {
        let networks = self.settings.network_names.iter().zip(self.reconciler.networks().iter());
        let by_pattern = networks.filter(|(pattern, named)| is_pattern(pattern) && named.network.is_some());
        let mut choices: BTreeSet<String> = by_pattern
            .map(|(pattern, named)| {
                let known = named.candidates.join(", ");
                format!("network {:?} chosen for pattern {pattern:?} (known: {known})", named.name)
            })
            .collect();
        if let (Some(found @ (SourceVip::Endpoints(_) | SourceVip::Auto)), Some(address)) =
            (&self.settings.source_vip, self.reconciler.source_vip())
        {
            choices.insert(format!("source VIP {address} found for {found}"));
        }
        choices
    }

    /// Logs and counts the drift that was found.
    fn report_drift(&mut self) {
        let drift = self.reconciler.take_drift();
        self.records.drift(&drift, &|frontend| self.reconciler.owner(frontend));
        self.metrics.drift(&drift);
    }

    /// Runs the next part of an audit: two parts or more if the last audit succeeded, otherwise a whole audit. Logs an error when it begins and when
    /// it is resolved.
    pub fn audit_step(&mut self) -> AuditProgress {
        let result = self.reconciler.audit_step(&self.client);
        let result = self.handle_audit(result);
        let progress = match &result {
            Ok(true) => AuditProgress::Paused,
            Ok(false) => AuditProgress::Complete,
            Err(_) => AuditProgress::Failed,
        };
        // After a shutdown was requested, reads fail without a call. That is no condition of HNS.
        if !self.is_stopped() {
            self.records.audit_error(result.as_ref().err());
            self.records.state(&self.reconciler);
        }
        if progress == AuditProgress::Complete
            && let Some(removed) = self.state_file.compare(|| found_at_start(self.reconciler.observed()))
        {
            warn!("{removed}");
            self.removed_before_start = Some(removed);
        }
        // In the pause of an audit, only a part of the observed state is new: a condition could look resolved that is not.
        if progress != AuditProgress::Paused {
            self.log_host_conditions();
        }
        progress
    }

    /// Logs the conditions of the host, each when it begins and when it is resolved.
    pub fn log_host_conditions(&mut self) {
        self.records.host_conditions(&self.reconciler);
    }

    pub fn plan(&mut self) -> Plan {
        let now = self.now();
        self.reconciler.plan(now)
    }

    /// The native calls of this process.
    pub fn counts(&self) -> Counts {
        self.hns.counts()
    }

    pub fn steps_done(&self) -> usize {
        self.steps_done
    }

    /// Returns for how long the oldest pending load balancer has not been in sync.
    pub fn pending_age(&self) -> Option<Duration> {
        Some(self.now().saturating_sub(self.reconciler.oldest_pending_load_balancer()?))
    }

    /// Why HNS is not in sync, as far as is known to the session. Empty if it is.
    pub fn not_ready(&self) -> Vec<NotReady> {
        self.reconciler.unready().iter().map(NotReady::from).collect()
    }

    /// Whether HNS is in sync, as far as is known to the session.
    pub fn is_in_sync(&self) -> bool {
        self.reconciler.is_in_sync()
    }

    /// Whether shutdown was requested: no further call is begun.
    pub fn is_stopped(&self) -> bool {
        self.hns.is_stopped()
    }

    pub fn status(&self) -> Status {
        let (api_version, conditions) = (self.client.api_version(), self.conditions.clone());
        let node = NodeStatus { addresses: self.host.node_ips.clone(), ..self.node.clone() };
        let status = Status::of(&self.reconciler, api_version, self.description(), node, conditions);
        let programming = self.pace.programming(self.now(), &status.progress);
        let removed_before_start = self.removed_before_start.clone();
        let status = self.probed.complete(status, &self.reconciler);
        Status { unreadable_members: self.client.unreadable_members(), programming, removed_before_start, ..status }
    }

    pub fn frontends(&self) -> Vec<FrontendStatus> {
        self.reconciler.frontends()
    }

    pub fn node_name(&self) -> &str {
        &self.settings.node_name
    }

    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Which HNS this is, and the settings with which it is programmed.
    pub fn description(&self) -> String {
        let settings = &self.settings;
        let mut text = self.hns.description();
        if self.client.api_version() == ApiVersion::V1 {
            text += " through the HNS v1 API";
        }
        text += &format!(" --network-name={} --enable-dsr={}", settings.network_names.join(","), settings.enable_dsr);
        if let Some(source_vip) = &settings.source_vip {
            text += &format!(" --source-vip={source_vip}");
        }
        if settings.node_ip_as_source_vip {
            text += " --node-ip-as-source-vip";
        }
        if settings.forward_health_check_vip {
            text += &format!(" --forward-healthcheck-vip=true --root-hnsendpoint-name={}", settings.root_endpoint_name);
        }
        self.choices().iter().for_each(|choice| text += &format!("; {choice}"));
        text
    }
}

fn reconciler(settings: &Settings, host: &Host, started: Timestamp) -> Reconciler {
    // The time is far below 2^63 ns, which is in the year 2262.
    let started = i64::try_from(started.as_nanosecond()).unwrap_or(i64::MAX);
    Reconciler::new(settings.clone(), host.clone()).measured_since(started)
}

/// None if another program has load balancers: a script that removes all would have removed these, too. They are those of kube-proxy, if it ran
/// since.
fn found_at_start(observed: &Observed) -> Option<IdentifiedObjects> {
    observed.foreign_load_balancers().next().is_none().then(|| observed.identified())
}
