//! Keeps HNS in sync with the cluster. [`Reconciler`] takes changes of the cluster, audits HNS, plans, applies, and
//! schedules retries.
//!
//! There is one path. A change of a Service, a local endpoint that appears, an object lost by HNS, a retry that is due: each makes
//! frontends or addresses dirty, and a run plans and applies only these. At the first run, all are dirty.
//!
//! Time is an argument: the duration since a fixed start time. An error of HNS changes nothing in the observed state,
//! and nothing is written until an audit succeeds.

mod audit;
mod backend_changes;
mod changes;
mod claims;
mod conditions;
mod contended;
mod contention;
mod environment;
mod error;
mod explain;
mod foreign;
mod forwarding;
mod health;
mod holder;
mod inputs;
mod losses;
mod network;
mod order;
mod outcomes;
mod pacing;
mod pending;
mod progress;
mod readiness;
mod report;
mod retries;
mod run;
mod services;
mod source_vip;
mod turns;

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Duration;

use hcn::{Kind, Version};
use rustc_hash::FxHashSet;
use smol_str::SmolStr;

use crate::condition::ServiceCondition;
use crate::desire::{Desired, DesiredService, desire};
use crate::dirty::{Dirty, Subject};
use crate::foreign_writer::ForeignWriter;
use crate::frontend::{Frontend, FrontendKind};
use crate::model::{Cluster, Service, ServiceName, Slice, SliceName};
use crate::network::{HostCondition, Networks};
use crate::observe::Observed;
use crate::plan::{Constraints, FrontendStatus, Plan, Planner};
use crate::settings::{Capabilities, Host, Settings};
use crate::source_vip::{SourceVipAbsent, SourceVipRequest};

use audit::Audit;
use backend_changes::BackendChanges;
use changes::PendingChanges;
use conditions::FrontendConditions;
use contention::Contention;
use environment::Environment;
use health::Health;
use inputs::Inputs;
use order::Order;
use pacing::Pacing;
use pending::PendingSince;
use retries::Retries;
use turns::Turns;

pub use backend_changes::{BackendChange, RemovalReason, RemovedBackend};
pub use changes::{Changes, Trigger};
pub use error::AuditError;
pub use foreign::ForeignLoadBalancer;
pub use forwarding::ProgrammedFrontend;
pub use health::Liveness;
pub use progress::{Progress, Tally};
pub use readiness::Unready;
pub use report::{AuditReport, Next, Report, Work};
pub use services::{ServiceSummary, Unsettled};

/// The proxy of one node.
#[derive(Debug)]
pub struct Reconciler {
    inputs: Inputs,
    environment: Environment,
    changes: PendingChanges,
    desired: Desired,
    observed: Observed,
    audit: Audit,
    /// Frontends and addresses to be planned at the next run.
    dirty: Dirty,
    order: Order,
    retries: Retries,
    pacing: Pacing,
    pending_since: PendingSince,
    /// Frontends whose load balancers must be replaced once, because they do not forward.
    not_forwarding: BTreeSet<Frontend>,
    contention: Contention,
    /// Set while any object is contended.
    foreign_writer: Option<ForeignWriter>,
    turns: Turns,
    health: Health,
    conditions: FrontendConditions,
    /// The Services that have changed, or whose desired state was computed, since the last call of
    /// [`take_changed_services`](Self::take_changed_services).
    changed_services: BTreeSet<ServiceName>,
    /// The Services of frontends and addresses that were planned, until they are taken.
    replanned_services: FxHashSet<ServiceName>,
    backend_changes: BackendChanges,
    work: Work,
}

impl Reconciler {
    pub fn new(settings: Settings, host: Host) -> Self {
        Self {
            inputs: Inputs::default(),
            environment: Environment::new(settings, host),
            changes: PendingChanges::default(),
            desired: Desired::default(),
            observed: Observed::default(),
            audit: Audit::default(),
            dirty: Dirty::default(),
            order: Order::default(),
            retries: Retries::default(),
            pacing: Pacing::default(),
            pending_since: PendingSince::default(),
            not_forwarding: BTreeSet::new(),
            contention: Contention::default(),
            foreign_writer: None,
            turns: Turns::default(),
            health: Health::default(),
            conditions: FrontendConditions::default(),
            changed_services: BTreeSet::new(),
            replanned_services: FxHashSet::default(),
            backend_changes: BackendChanges::default(),
            work: Work::default(),
        }
    }

    /// Measures only changes that began after this time, in nanoseconds since the Unix epoch.
    #[must_use]
    pub fn measured_since(mut self, started: i64) -> Self {
        self.changes.set_started(started);
        self
    }

    /// Adds or replaces a Service.
    pub fn apply_service(&mut self, service: Service) {
        let changed = self.inputs.cluster.apply_service(service);
        self.changes.count_services(changed.iter().count());
        self.mark_changed(changed);
    }

    pub fn delete_service(&mut self, name: &ServiceName) {
        let changed = self.inputs.cluster.delete_service(name);
        self.changes.count_services(changed.iter().count());
        self.mark_changed(changed);
    }

    /// Adds or replaces a slice.
    pub fn apply_slice(&mut self, slice: Slice) {
        self.record_trigger_of(&slice);
        let changed = self.inputs.cluster.apply_slice(slice);
        // A slice that has moved to another Service changes two Services, and is one change.
        self.changes.count_slices(usize::from(!changed.is_empty()));
        self.mark_changed(changed);
    }

    pub fn delete_slice(&mut self, name: &SliceName) {
        let changed = self.inputs.cluster.delete_slice(name);
        changed.iter().for_each(|service| self.changes.drop_triggers(service));
        self.changes.count_slices(changed.iter().count());
        self.mark_changed(changed);
    }

    /// Replaces all Services with a complete list.
    pub fn reset_services(&mut self, services: Vec<Service>) {
        self.inputs.services_listed = true;
        let changed = self.inputs.cluster.reset_services(services);
        self.changes.count_services(changed.len());
        self.mark_changed(changed);
    }

    /// Replaces all slices with a complete list.
    pub fn reset_slices(&mut self, slices: Vec<Slice>) {
        self.inputs.slices_listed = true;
        slices.iter().for_each(|slice| self.record_trigger_of(slice));
        let changed = self.inputs.cluster.reset_slices(slices);
        self.changes.count_slices(changed.len());
        self.mark_changed(changed);
    }

    /// Records that a change of a Service has been pending since an earlier time than that of the slice that was applied, because versions in
    /// between were not.
    pub fn record_trigger(&mut self, service: ServiceName, trigger: Trigger) {
        self.changes.record_trigger(service, trigger);
    }

    /// Sets the node's zone: its label `topology.kubernetes.io/zone`.
    pub fn set_zone(&mut self, zone: Option<SmolStr>) {
        // The zone decides which hints count and which backends are near, for every Service.
        if self.environment.node.zone != zone {
            self.environment.node.zone = zone;
            self.mark_all_services();
        }
    }

    /// Sets the addresses and MAC address of the host.
    pub fn set_host(&mut self, host: Host) {
        // Node addresses and the MAC address are part of overlay endpoints, and of which backends run on the host's
        // network.
        if self.environment.host != host {
            self.environment.networks.set_primary_family(host.primary_family());
            self.environment.host = host;
            self.invalidate_all();
        }
    }

    /// Records whether a call since the last call of this function took longer than its time budget. The caller
    /// measures: see `hcn::Instrumented`.
    pub fn set_slow(&mut self, slow: bool) {
        self.health.set_slow(slow);
    }

    /// Records that HNS has disconnected its notifications, which it does when it restarts.
    pub fn record_disconnect(&mut self) {
        self.contention.announce_restart();
    }

    /// Whether lists of all Services, and of all slices, have been received: nothing is planned before that.
    pub fn is_complete(&self) -> bool {
        self.inputs.is_complete()
    }

    pub fn zone(&self) -> Option<&SmolStr> {
        self.environment.node.zone.as_ref()
    }

    pub fn cluster(&self) -> &Cluster {
        &self.inputs.cluster
    }

    /// `None` until the first audit.
    pub fn version(&self) -> Option<Version> {
        self.environment.version
    }

    pub fn networks(&self) -> &Networks {
        &self.environment.networks
    }

    /// `None` until the first audit.
    pub fn capabilities(&self) -> Option<Capabilities> {
        let v1_lists = self.observed.v1_lists();
        Some(Capabilities {
            v1_endpoint_list: v1_lists.trusts(Kind::Endpoint),
            v1_load_balancer_list: v1_lists.trusts(Kind::LoadBalancer),
            ..self.environment.capabilities?
        })
    }

    /// The source address of translated traffic; `None` if the settings have none, or if its endpoint was not found yet.
    pub fn source_vip(&self) -> Option<IpAddr> {
        self.environment.source_vip()
    }

    /// What to reserve as source VIP, with [`set_reserved_source_vip`](Self::set_reserved_source_vip): set after an audit that has failed
    /// because no endpoint has it.
    pub fn source_vip_request(&self) -> Option<SourceVipRequest> {
        self.environment.source_vip_request(&self.observed)
    }

    /// Sets the address that was reserved as source VIP, or why there is none. The next audit uses it.
    pub fn set_reserved_source_vip(&mut self, reserved: Result<IpAddr, String>) {
        self.environment.set_reserved_source_vip(reserved);
    }

    /// The overlay network and the source VIP, if it is reserved.
    pub fn reserved_source_vip(&self) -> Option<(&str, IpAddr)> {
        self.environment.reserved_source_vip()
    }

    /// The endpoint that has the source VIP, if it is missing.
    pub fn source_vip_absent(&self) -> Option<&SourceVipAbsent> {
        self.environment.source_vip_absent()
    }

    pub fn observed(&self) -> &Observed {
        &self.observed
    }

    pub fn liveness(&self) -> Liveness {
        self.health.liveness(self.audit.is_hns_unavailable())
    }

    /// Why nothing is written at present: HNS is unavailable, or no network can be used. `None` if writes are possible.
    pub fn audit_error(&self) -> Option<&AuditError> {
        self.audit.error()
    }

    /// The steps that a run would take now. None before the first audit, or before the cluster is complete.
    pub fn plan(&mut self, now: Duration) -> Plan {
        self.refresh_desired();
        let constraints = self.constraints(now);
        let planner = self.planner(&constraints).filter(|_| self.inputs.is_complete());
        planner.map(|planner| planner.plan(&self.dirty)).unwrap_or_default()
    }

    /// The kind of a frontend. `None` if no Service claims it any more.
    pub fn kind_of(&self, frontend: Frontend) -> Option<FrontendKind> {
        self.desired.frontend(frontend).map(|desired| desired.spec.kind)
    }

    /// The Service that owns a frontend. `None` if no Service claims it any more.
    pub fn owner(&self, frontend: Frontend) -> Option<&ServiceName> {
        self.desired.frontend(frontend).map(|desired| &desired.service)
    }

    /// The status of all frontends, in the order of Services.
    pub fn frontends(&self) -> Vec<FrontendStatus> {
        let constraints = Constraints::default();
        self.planner(&constraints).map(|planner| planner.statuses()).unwrap_or_default()
    }

    /// The conditions of Services, sorted.
    pub fn conditions(&self) -> Vec<ServiceCondition> {
        let mut conditions = self.desired.conditions();
        conditions.extend(self.conditions.iter().cloned());
        conditions.extend(self.health_check_conflicts());
        conditions.sort_by_cached_key(|one| (one.service.clone(), one.condition.to_string()));
        // Several frontends of a Service often have the same condition.
        conditions.dedup();
        conditions
    }

    fn health_check_conflicts(&self) -> Vec<ServiceCondition> {
        let settings = &self.environment.settings;
        self.inputs.health_checks.conflicts(settings.healthz_port, settings.metrics_port)
    }

    /// The conditions of the host and its networks, sorted.
    pub fn host_conditions(&self) -> Vec<HostCondition> {
        let mut conditions = self.environment.conditions(&self.observed);
        conditions.extend(self.foreign_writer.clone().map(HostCondition::ForeignWriter));
        conditions.extend(self.contention.repeated_loss().cloned().map(HostCondition::RepeatedLoss));
        conditions.sort();
        conditions
    }

    /// Marks the desired state of Services as out of date.
    fn mark_changed(&mut self, services: impl IntoIterator<Item = ServiceName>) {
        let mut any_new = false;
        for service in services {
            self.inputs.update_health_check(&service, &self.environment.node.name);
            any_new |= self.mark_outdated(service);
        }
        // If all were already pending, no run has taken them up since the earlier change, so its record still applies.
        if any_new {
            self.audit.record_cluster_change();
        }
    }

    fn mark_all_services(&mut self) {
        let services: Vec<_> = self.inputs.service_names().cloned().collect();
        for service in services {
            self.mark_outdated(service);
        }
    }

    /// Marks the desired state of a Service as outdated. Returns whether it was up to date before.
    fn mark_outdated(&mut self, service: ServiceName) -> bool {
        self.changed_services.insert(service.clone());
        self.changes.insert(service)
    }

    /// Marks everything as dirty after a change of the host or of a network. Such a change affects the network of an
    /// address, the ids and documents of all objects, and which Services can be programmed.
    fn invalidate_all(&mut self) {
        self.dirty.addresses.extend(self.desired.addresses());
        self.dirty.frontends.extend(self.desired.iter().map(|owner| owner.spec.frontend));
        self.mark_all_services();
    }

    /// Records the trigger time of a slice, unless the slice is unchanged.
    fn record_trigger_of(&mut self, slice: &Slice) {
        let before = self.inputs.cluster.get(&slice.service).and_then(|entry| entry.slices.get(&slice.name));
        // The list after a reconnect repeats unchanged slices: their old trigger times would count as long latencies.
        if before != Some(slice) {
            self.changes.record_trigger_of(slice);
        }
    }

    /// Computes the desired state of Services that changed. It depends on the networks, so nothing is computed until
    /// one is found.
    fn refresh_desired(&mut self) {
        let Some(context) = self.environment.context() else { return };
        let services = self.changes.take_services();
        if !services.is_empty() {
            self.order.forget();
        }
        let backends_before = self.backend_changes.before(&services, &self.desired);
        let changed = services.into_iter().map(|name| {
            self.work.services += 1;
            self.changed_services.insert(name.clone());
            let entry = self.inputs.cluster.get(&name);
            // The desired state of a deleted Service is empty, which removes its load balancers.
            let desired = entry.map_or_else(DesiredService::default, |entry| desire(entry, &context));
            let created = entry.and_then(|entry| entry.service.as_ref()).map_or(0, |service| service.created);
            (name, created, desired)
        });
        self.desired.update(changed, &mut self.dirty);
        self.backend_changes.record(backends_before, &self.desired, &self.inputs.cluster, context.node);
    }

    fn planner<'a>(&'a self, constraints: &'a Constraints) -> Option<Planner<'a>> {
        self.environment.planner(&self.desired, &self.observed, constraints)
    }

    fn constraints(&mut self, now: Duration) -> Constraints {
        let failed = &self.retries.failed;
        // A retry that is due is allowed again, although its last attempt failed.
        let in_backoff = |subject: &Subject| failed.is_backing_off(*subject, now);
        Constraints {
            blocked: (failed.subjects().filter(in_backoff).filter_map(Subject::address))
                .chain(self.contention.delayed_addresses(now))
                .collect(),
            replaced: self.pacing.recent(now),
            not_forwarding: self.not_forwarding.iter().copied().collect(),
            failed: self.retries.failed_frontends(),
            lost_first: self.turns.is_after_interruption(),
        }
    }
}
