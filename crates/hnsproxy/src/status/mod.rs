//! The status of the proxy, as a value: made by the control loop after each run, read by everything that answers questions.

mod store;

use std::collections::BTreeMap;
use std::sync::Arc;

use cluster_source::error_chain;
use hcn::ApiVersion;
use proxy::desire::TrafficPolicy;
use proxy::model::{Family, ServiceName};
use proxy::settings::Capabilities;
use proxy::{HealthChecks, HostCondition, Liveness, Progress, Reconciler, ServiceCondition};
use uuid::Uuid;

pub use store::{ChangeTimes, Programmed, StatusSnapshot, StatusStore};

/// Why nothing is written to HNS at present.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HnsOutage {
    /// CamelCase, as Events have it.
    pub reason: &'static str,
    pub message: String,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Status {
    /// Which HNS this is, and the settings with which it is programmed.
    pub note: String,
    /// Whether load balancers may send traffic to this node, going by its Node.
    pub node_eligible: bool,
    /// The IP families that are programmed.
    pub families: Vec<Family>,
    pub progress: Progress,
    pub liveness: Liveness,
    /// Why the API server is unavailable at present, if it is.
    pub cluster_outage: Option<String>,
    /// What is waited for before HNS is read for the first time, if anything.
    pub waiting_for: Option<String>,
    pub hns_outage: Option<HnsOutage>,
    /// Known once HNS was read.
    pub hns_version: Option<String>,
    /// The HNS API in use.
    pub api_version: ApiVersion,
    /// Known once HNS was read.
    pub capabilities: Option<Capabilities>,
    /// The number of ports whose backends all are on other nodes, so that the policy Local leaves none: by policy and family.
    pub without_local: Vec<(TrafficPolicy, Family, usize)>,
    /// Where HNS does not have what a Service asks for, as of the last run.
    pub notices: Arc<[ServiceCondition]>,
    /// The uids of the Services of these conditions.
    pub uids: BTreeMap<ServiceName, Uuid>,
    /// Conditions of the host.
    pub remarks: Vec<HostCondition>,
    /// What the health check ports of Services answer.
    pub health_checks: HealthChecks,
}

impl Default for Status {
    fn default() -> Self {
        Self {
            note: String::new(),
            node_eligible: false,
            families: Vec::new(),
            progress: Progress::default(),
            liveness: Liveness::Up,
            cluster_outage: None,
            waiting_for: None,
            hns_outage: None,
            hns_version: None,
            api_version: ApiVersion::V2,
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
    /// The status of a reconciler that uses this HNS API.
    pub fn of(
        reconciler: &Reconciler,
        api_version: ApiVersion,
        note: String,
        node_eligible: bool,
        notices: Arc<[ServiceCondition]>,
    ) -> Self {
        let families = reconciler.families();
        let uid = |name: &ServiceName| Some((name.clone(), reconciler.cluster().get(name)?.service.as_ref()?.uid?));
        let ways =
            TrafficPolicy::ALL.into_iter().flat_map(|policy| families.iter().map(move |family| (policy, *family)));
        let without_local =
            ways.map(|(policy, family)| (policy, family, reconciler.without_local(policy, family))).collect();
        Self {
            note,
            node_eligible,
            without_local,
            families,
            progress: reconciler.progress(),
            liveness: reconciler.liveness(),
            cluster_outage: None,
            waiting_for: None,
            hns_outage: reconciler
                .audit_error()
                .map(|error| HnsOutage { reason: error.reason(), message: error_chain(error) }),
            hns_version: reconciler.version().map(|version| version.to_string()),
            api_version,
            capabilities: reconciler.capabilities().copied(),
            uids: notices.iter().filter_map(|notice| uid(&notice.service)).collect(),
            notices,
            remarks: reconciler.host_conditions(),
            health_checks: reconciler.health_checks().clone(),
        }
    }

    /// What has to happen before HNS is in sync, in words. Empty if it is in sync.
    pub fn waits_for(&self) -> Vec<String> {
        let Progress { complete, load_balancers, endpoints, backlog, failed, .. } = self.progress;
        let mut waits = Vec::new();
        if !complete {
            waits.push("the complete lists of Services and EndpointSlices".to_owned());
            waits.extend(self.cluster_outage.clone());
        }
        waits.extend(self.waiting_for.clone());
        waits.extend(self.hns_outage.iter().map(|outage| outage.message.clone()));
        if self.liveness == Liveness::Restarted {
            waits.push("HNS to have its objects again after a restart".to_owned());
        }
        for (what, tally) in [("load balancers", load_balancers), ("endpoints", endpoints)] {
            let open = tally.desired - tally.in_sync;
            if open > 0 {
                waits.push(format!("{open} of {} {what}", tally.desired));
            }
        }
        if failed > 0 {
            waits.push(format!("{failed} frontends and addresses to be retried"));
        }
        if waits.is_empty() && backlog > 0 {
            waits.push(format!("{backlog} Services, frontends and addresses to be planned"));
        }
        waits
    }
}

#[cfg(test)]
mod tests {
    use proxy::Tally;

    use super::*;

    #[test]
    fn waits_for_names_everything_that_is_missing() {
        let mut status = Status::default();
        assert_eq!(status.waits_for(), ["the complete lists of Services and EndpointSlices"]);
        status.progress.complete = true;
        assert_eq!(status.waits_for(), Vec::<String>::new());
        status.progress.load_balancers = Tally { desired: 7, in_sync: 4 };
        status.progress.failed = 1;
        status.hns_outage = Some(HnsOutage { reason: "HNSUnavailable", message: "HNS could not be read".into() });
        assert_eq!(
            status.waits_for(),
            ["HNS could not be read", "3 of 7 load balancers", "1 frontends and addresses to be retried"]
        );
    }
}
