//! Finds the backends that a change of the cluster adds to a Service or removes from it, with the reasons. The cost depends only on the
//! number of changed Services.

use std::cell::OnceCell;
use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

use rustc_hash::{FxHashMap, FxHashSet};
use serde::Serialize;

use super::Reconciler;
use crate::desire::Desired;
use crate::desire::select::{Verdict, judge};
use crate::explain::BackendState;
use crate::frontend::{LoadBalancerSpec, Target};
use crate::model::{Cluster, Family, Service, ServiceEntry, ServiceName};
use crate::settings::Node;

/// The largest number of addresses that a change names in each direction: a history of limited size records them.
const MAX_NAMED: usize = 64;

/// A change of the backends that serve a Service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackendChange {
    pub service: ServiceName,
    /// The number of backends that serve now.
    pub backends: usize,
    pub added_count: usize,
    pub removed_count: usize,
    /// The first added addresses, sorted.
    pub added: Vec<IpAddr>,
    /// The first removed backends, sorted by address.
    pub removed: Vec<RemovedBackend>,
}

/// A backend that no longer serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct RemovedBackend {
    pub address: IpAddr,
    /// `None` if the objects of the cluster do not show the reason.
    pub reason: Option<RemovalReason>,
}

/// The reason why a backend no longer serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum RemovalReason {
    ServiceDeleted,
    /// No EndpointSlice of the Service has the address.
    NotInSlices,
    #[serde(untagged)]
    State(BackendState),
}

impl RemovalReason {
    pub fn description(self) -> &'static str {
        match self {
            Self::ServiceDeleted => "the Service was deleted",
            Self::NotInSlices => "no EndpointSlice has it",
            Self::State(state) => state.description(),
        }
    }
}

/// The changes that were found since the last call of [`Reconciler::take_backend_changes`].
#[derive(Debug, Clone, Default)]
pub(super) struct BackendChanges {
    /// Whether the desired state was computed before. Backends in the initial lists of a process are not changes.
    has_begun: bool,
    found: Vec<BackendChange>,
}

/// The backends of Services before a change.
pub(super) type BackendsBefore = Vec<(ServiceName, BTreeSet<IpAddr>)>;

impl BackendChanges {
    /// Returns the backends of the Services before their desired state is computed again.
    pub(super) fn before(&self, services: &FxHashSet<ServiceName>, desired: &Desired) -> BackendsBefore {
        if !self.has_begun {
            return Vec::new();
        }
        services.iter().map(|service| (service.clone(), addresses(desired.specs_of(service)))).collect()
    }

    /// Compares the backends of Services before and after a change.
    pub(super) fn record(&mut self, before: BackendsBefore, desired: &Desired, cluster: &Cluster, node: &Node) {
        self.has_begun = true;
        for (service, before) in before {
            let after = addresses(desired.specs_of(&service));
            if before == after {
                continue;
            }
            let reasons = Reasons { entry: cluster.get(&service), node, verdicts: OnceCell::new() };
            let removal = |address: &IpAddr| RemovedBackend { address: *address, reason: reasons.of(*address) };
            self.found.push(BackendChange {
                backends: after.len(),
                added_count: after.difference(&before).count(),
                removed_count: before.difference(&after).count(),
                added: after.difference(&before).take(MAX_NAMED).copied().collect(),
                removed: before.difference(&after).take(MAX_NAMED).map(removal).collect(),
                service,
            });
        }
        self.found.sort_by(|a, b| a.service.cmp(&b.service));
    }
}

impl Reconciler {
    /// Returns the changes of backends since the last call of this function. The initial lists are not changes.
    pub fn take_backend_changes(&mut self) -> Vec<BackendChange> {
        std::mem::take(&mut self.backend_changes.found)
    }
}

fn addresses(specs: &[Arc<LoadBalancerSpec>]) -> BTreeSet<IpAddr> {
    specs.iter().flat_map(|spec| spec.targets.iter().copied().filter_map(Target::address)).collect()
}

/// Why addresses of a Service do not serve.
struct Reasons<'a> {
    entry: Option<&'a ServiceEntry>,
    node: &'a Node,
    /// Of each address that slices have, for the traffic policies `Cluster` and `Local`. Costs a pass over the backends, so only if a reason needs it.
    verdicts: OnceCell<FxHashMap<IpAddr, [Verdict; 2]>>,
}

impl Reasons<'_> {
    fn of(&self, address: IpAddr) -> Option<RemovalReason> {
        let Some((entry, service)) = self.entry.and_then(|entry| Some((entry, entry.service.as_ref()?))) else {
            return Some(RemovalReason::ServiceDeleted);
        };
        let mut slices = entry.slices.values();
        if !slices.any(|slice| slice.backends.iter().any(|backend| backend.address == address)) {
            return Some(RemovalReason::NotInSlices);
        }
        // If all verdicts are that it serves, another rule excludes it, such as the backend limit, and the reason is unknown.
        let verdicts = self.verdicts.get_or_init(|| verdicts(service, entry, self.node)).get(&address)?;
        verdicts.iter().find(|verdict| !verdict.serves()).map(|verdict| RemovalReason::State((*verdict).into()))
    }
}

fn verdicts(service: &Service, entry: &ServiceEntry, node: &Node) -> FxHashMap<IpAddr, [Verdict; 2]> {
    let mut verdicts = FxHashMap::default();
    let ports = service.ports.iter().flat_map(|port| [Family::V4, Family::V6].map(|family| (port, family)));
    for (port, family) in ports {
        for judged in judge(port, family, entry.slices.values(), node).backends {
            // All ports of a pod have the same state, so the first port with this address has the reason.
            verdicts.entry(judged.backend.address).or_insert([judged.cluster, judged.local]);
        }
    }
    verdicts
}
