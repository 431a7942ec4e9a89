//! The status of the proxy, as a value: made by the control loop after each run, read by everything that answers questions.

mod calls;
mod explanations;
mod probed;
mod programming;
mod readiness;
mod services;
mod store;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use hcn::{ApiVersion, Guid, UnreadableMember};
use proxy::desire::TrafficPolicy;
use proxy::model::{Family, ServiceName};
use proxy::settings::Capabilities;
use proxy::{AuditError, HealthChecks, HostCondition, Liveness, Progress, Reconciler, ServiceCondition, Unready};
use uuid::Uuid;

use crate::last_state::RemovedBeforeStart;

pub use calls::{CallStatistics, CallSummary, MINUTES};
pub use explanations::{ExplanationTable, PublishedExplanation};
pub use probed::{Finding, ProbeReport, ProbeTarget, ProbedFrontend, Question};
pub use programming::{Pace, Programming};
pub use readiness::{Lateness, NotReady, not_ready};
pub use services::{ServiceRow, ServiceTable};
pub use store::{ChangeTimes, NodeAbsence, Programmed, StatusSnapshot, StatusStore, WatchTimes};

/// A watch of the API server that has received nothing for too long.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SilentWatch {
    /// As in the field `kind` of objects.
    pub kind: &'static str,
    pub silence: Duration,
}

/// This node, as the cluster and the host know it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NodeStatus {
    pub name: String,
    /// Whether the cluster has a Node of this name. None until the cluster was listed.
    pub found: Option<bool>,
    /// Whether external load balancers may send traffic to this node, because its Node is not about to be removed.
    pub eligible: bool,
    pub addresses: Vec<IpAddr>,
}

/// A network that the configuration names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NetworkStatus {
    pub name: String,
    /// None until it was found.
    pub id: Option<Guid>,
    /// Whether HNS has it, and it can be used.
    pub present: bool,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Status {
    /// Which HNS this is, and the settings with which it is programmed.
    pub description: String,
    pub node: NodeStatus,
    /// The networks that the configuration names.
    pub networks: Vec<NetworkStatus>,
    /// Why the last change of the configuration file was not applied, if it was not.
    pub configuration_error: Option<String>,
    /// The IP families that are programmed.
    pub families: Vec<Family>,
    pub progress: Progress,
    /// Since when the oldest pending load balancer has not been in sync, as time since the start of the process.
    pub load_balancer_pending_since: Option<Duration>,
    /// None unless load balancers are being programmed, in more than one run.
    pub programming: Option<Programming>,
    pub liveness: Liveness,
    /// Why the API server is unavailable at present, if it is.
    pub cluster_outage: Option<String>,
    /// Whether any server may pose as the API server, because the kubeconfig has `insecure-skip-tls-verify`.
    pub insecure_skip_tls_verify: bool,
    /// How often the files of the cluster were read again. None if the source is an API server.
    pub file_reads: Option<u64>,
    /// The part of the Node that hnsproxy waits for before the first audit.
    pub waiting_for_node: Option<String>,
    /// The name of the Node, if it was deleted and not created again.
    pub deleted_node: Option<String>,
    /// What keeps HNS from being in sync, as far as the core knows. [`not_ready`] has all reasons.
    pub unready: Vec<Unready>,
    /// Known once HNS was read.
    pub hns_version: Option<String>,
    /// The HNS API in use.
    pub api_version: ApiVersion,
    /// Known once HNS was read.
    pub capabilities: Option<Capabilities>,
    /// The members of HNS documents that could not be read.
    pub unreadable_members: Vec<UnreadableMember>,
    /// The number of ports whose backends all are on other nodes, so that the policy Local leaves none: by policy and family.
    pub without_local: Vec<(TrafficPolicy, Family, usize)>,
    /// The conditions of Services after the last run.
    pub conditions: Arc<[ServiceCondition]>,
    /// The uids of the Services that have a condition.
    pub service_uids: BTreeMap<ServiceName, Uuid>,
    pub host_conditions: Vec<HostCondition>,
    /// The frontends that are probed. Empty without `--probe-vips`.
    pub probe_targets: Arc<[ProbeTarget]>,
    /// The findings of the VIP probe. `None` without `--probe-vips`.
    pub probed: Option<Arc<[ProbedFrontend]>>,
    /// What the first audit did not find any more. It stays for the time of the process.
    pub removed_before_start: Option<RemovedBeforeStart>,
    /// What the health check ports of Services answer.
    pub health_checks: HealthChecks,
    /// The Services whose new health check is not to be published yet.
    pub unplanned_health_checks: BTreeSet<ServiceName>,
}

impl Default for Status {
    fn default() -> Self {
        Self {
            description: String::new(),
            node: NodeStatus::default(),
            networks: Vec::new(),
            configuration_error: None,
            families: Vec::new(),
            progress: Progress::default(),
            load_balancer_pending_since: None,
            programming: None,
            liveness: Liveness::Up,
            cluster_outage: None,
            insecure_skip_tls_verify: false,
            file_reads: None,
            waiting_for_node: None,
            deleted_node: None,
            unready: vec![Unready::ClusterIncomplete],
            hns_version: None,
            api_version: ApiVersion::V2,
            capabilities: None,
            unreadable_members: Vec::new(),
            without_local: Vec::new(),
            conditions: Arc::default(),
            service_uids: BTreeMap::new(),
            host_conditions: Vec::new(),
            probe_targets: Arc::default(),
            probed: None,
            removed_before_start: None,
            health_checks: HealthChecks::default(),
            unplanned_health_checks: BTreeSet::new(),
        }
    }
}

impl NetworkStatus {
    /// The networks that the configuration names.
    pub fn all(reconciler: &Reconciler) -> Vec<Self> {
        let networks = reconciler.networks().iter().map(|network| Self {
            name: network.name.clone(),
            id: network.network.as_ref().map(|network| network.id),
            present: network.present,
        });
        networks.collect()
    }
}

impl Status {
    /// Why nothing is written to HNS: HNS is unavailable, or no network can be used.
    pub fn audit_error(&self) -> Option<&AuditError> {
        self.unready.iter().find_map(|unready| match unready {
            Unready::Audit(error) => Some(error),
            _ => None,
        })
    }

    /// The status of a reconciler that uses this HNS API.
    pub fn of(
        reconciler: &Reconciler,
        api_version: ApiVersion,
        description: String,
        node: NodeStatus,
        conditions: Arc<[ServiceCondition]>,
    ) -> Self {
        let (families, progress) = (reconciler.families(), reconciler.progress());
        let uid = |name: &ServiceName| Some((name.clone(), reconciler.cluster().get(name)?.service.as_ref()?.uid?));
        let policies =
            TrafficPolicy::ALL.into_iter().flat_map(|policy| families.iter().map(move |family| (policy, *family)));
        let without_local =
            policies.map(|(policy, family)| (policy, family, reconciler.without_local(policy, family))).collect();
        Self {
            description,
            node,
            networks: NetworkStatus::all(reconciler),
            configuration_error: None,
            without_local,
            families,
            progress,
            load_balancer_pending_since: None,
            programming: None,
            liveness: reconciler.liveness(),
            cluster_outage: None,
            insecure_skip_tls_verify: false,
            file_reads: None,
            waiting_for_node: None,
            deleted_node: None,
            unready: reconciler.unready_of(&progress),
            hns_version: reconciler.version().map(|version| version.to_string()),
            api_version,
            capabilities: reconciler.capabilities(),
            unreadable_members: Vec::new(),
            service_uids: conditions.iter().filter_map(|condition| uid(&condition.service)).collect(),
            conditions,
            host_conditions: reconciler.host_conditions(),
            probe_targets: Arc::default(),
            probed: None,
            removed_before_start: None,
            health_checks: reconciler.health_checks().clone(),
            unplanned_health_checks: reconciler.unplanned_health_checks(),
        }
    }
}
