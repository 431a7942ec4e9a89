//! How the proxy stands, as a value: made by the thread that programs HNS after each run, read by whoever answers questions.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use hcn::{Generation, Guid};
use proxy::desire::TrafficPolicy;
use proxy::model::{Family, ServiceName};
use proxy::settings::Capabilities;
use proxy::{HealthChecks, Liveness, Notice, Progress, Reconciler, Remark};
use uuid::Uuid;

use crate::sync::chain;

/// Why nothing is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trouble {
    /// In one word, for Events.
    pub reason: &'static str,
    /// In words.
    pub text: String,
}

/// This node, as the cluster and the host know it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NodeStatus {
    /// The name of its Node.
    pub name: String,
    /// Whether the cluster has that Node, once that is known.
    pub found: Option<bool>,
    /// Its addresses.
    pub addresses: Vec<IpAddr>,
}

/// A network that the configuration names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NetworkStatus {
    /// The name in the configuration.
    pub name: String,
    /// Its id, once it was found.
    pub id: Option<Guid>,
    /// Whether HNS has it, and it can be used.
    pub present: bool,
}

/// How the proxy stands.
#[derive(Debug, Clone, PartialEq)]
pub struct Status {
    /// Which HNS this is, and with what it is programmed.
    pub note: String,
    /// This node.
    pub node: NodeStatus,
    /// The networks that the configuration names.
    pub networks: Vec<NetworkStatus>,
    /// Why the last change of the configuration file was not applied, if it was not.
    pub configuration_error: Option<String>,
    /// Whether load balancers may send this node traffic, as far as its Node tells.
    pub node_eligible: bool,
    /// The families that are programmed.
    pub families: Vec<Family>,
    /// How far HNS is brought in step.
    pub progress: Progress,
    /// How HNS does.
    pub liveness: Liveness,
    /// Why the cluster can't be asked for changes at present, if so.
    pub cluster_trouble: Option<String>,
    /// What is waited for before HNS is looked at, if anything.
    pub awaited: Option<String>,
    /// Why nothing is written at present, if so.
    pub trouble: Option<Trouble>,
    /// The version of HNS, once it was looked at.
    pub hns_version: Option<String>,
    /// The generation of HNS's interface that is used.
    pub generation: Generation,
    /// What HNS can do, once it was looked at.
    pub capabilities: Option<Capabilities>,
    /// How many ports a policy Local keeps traffic from all that serve: by policy and family.
    pub without_local: Vec<(TrafficPolicy, Family, usize)>,
    /// What is not as the Services ask, as of the last run.
    pub notices: Arc<[Notice]>,
    /// The uids of the Services that these are about.
    pub uids: BTreeMap<ServiceName, Uuid>,
    /// What an operator should know of the host.
    pub remarks: Vec<Remark>,
    /// What health checks of Services are answered.
    pub health_checks: HealthChecks,
}

impl Default for Status {
    fn default() -> Self {
        Self {
            note: String::new(),
            node: NodeStatus::default(),
            networks: Vec::new(),
            configuration_error: None,
            node_eligible: false,
            families: Vec::new(),
            progress: Progress::default(),
            liveness: Liveness::Up,
            cluster_trouble: None,
            awaited: None,
            trouble: None,
            hns_version: None,
            generation: Generation::V2,
            capabilities: None,
            without_local: Vec::new(),
            notices: Arc::default(),
            uids: BTreeMap::new(),
            remarks: Vec::new(),
            health_checks: HealthChecks::default(),
        }
    }
}

impl Status {
    /// How a proxy stands that programs HNS by a generation of its interface.
    pub fn of(
        reconciler: &Reconciler,
        generation: Generation,
        note: String,
        node_eligible: bool,
        notices: Arc<[Notice]>,
    ) -> Self {
        let families = reconciler.families();
        let uid = |name: &ServiceName| Some((name.clone(), reconciler.cluster().get(name)?.service.as_ref()?.uid?));
        let ways =
            TrafficPolicy::ALL.into_iter().flat_map(|policy| families.iter().map(move |family| (policy, *family)));
        let without_local =
            ways.map(|(policy, family)| (policy, family, reconciler.without_local(policy, family))).collect();
        let networks = reconciler.networks().iter().map(|network| NetworkStatus {
            name: network.name.clone(),
            id: network.network.as_ref().map(|network| network.id),
            present: network.present,
        });
        Self {
            note,
            node: NodeStatus::default(),
            networks: networks.collect(),
            configuration_error: None,
            node_eligible,
            without_local,
            families,
            progress: reconciler.progress(),
            liveness: reconciler.liveness(),
            cluster_trouble: None,
            awaited: None,
            trouble: reconciler.trouble().map(|trouble| Trouble { reason: trouble.reason(), text: chain(trouble) }),
            hns_version: reconciler.version().map(|version| version.to_string()),
            generation,
            capabilities: reconciler.capabilities().copied(),
            uids: notices.iter().filter_map(|notice| uid(&notice.service)).collect(),
            notices,
            remarks: reconciler.remarks(),
            health_checks: reconciler.health_checks().clone(),
        }
    }
}
