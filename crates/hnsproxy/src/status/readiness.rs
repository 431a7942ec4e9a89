//! Why the node is not ready. `/readyz`, `/statusz` and `--once` use this one answer.

use std::time::Duration;

use cluster_source::error_chain;
use hcn::SlowCall;
use proxy::Unready;

use super::{SilentWatch, Status};

/// How long a change may be pending while the node is ready. An audit of many calls can take longer, although no call exceeds its budget.
const MAX_PENDING: Duration = Duration::from_secs(10);

/// A reason why HNS is not in sync.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotReady {
    /// In CamelCase, for programs.
    pub reason: &'static str,
    pub message: String,
}

impl From<&Unready> for NotReady {
    fn from(unready: &Unready) -> Self {
        let message = match unready {
            Unready::Audit(error) => error_chain(error),
            other => other.to_string(),
        };
        Self { reason: unready.reason(), message }
    }
}

/// What has become late since the status was published. The control loop may have nothing to do, or may be blocked.
#[derive(Debug, Default)]
pub struct Lateness<'a> {
    pub silent_watch: Option<&'a SilentWatch>,
    /// The HNS call in flight that exceeds its budget.
    pub overdue: Option<SlowCall>,
    /// For how long the oldest change has been pending.
    pub pending: Option<Duration>,
}

/// What has to happen before HNS is in sync. Empty if it is.
pub fn not_ready(status: &Status, Lateness { silent_watch, overdue, pending }: Lateness<'_>) -> Vec<NotReady> {
    let reason = |unready: &Unready| match (unready, &status.programming) {
        (Unready::LoadBalancersPending(_), Some(programming)) => {
            NotReady { reason: unready.reason(), message: programming.to_string() }
        }
        _ => NotReady::from(unready),
    };
    let mut reasons: Vec<NotReady> = status.unready.iter().map(reason).collect();
    // hnsproxy does not audit HNS before it knows the cluster and its Node, so their reasons replace that of the missing audit.
    let mut inputs = Vec::new();
    // The status is that of the time before the call: what has happened since is not known, and nothing is programmed.
    if let Some(call) = overdue {
        inputs.push(NotReady { reason: "HNSCallOverdue", message: format!("HNS call: {call}") });
    }
    // Once the lists are complete, an outage of the API server does not keep HNS from being in sync with them.
    if !status.progress.complete
        && let Some(error) = &status.cluster_outage
    {
        inputs.push(NotReady { reason: "ClusterUnavailable", message: error.clone() });
    }
    // No known outage explains it, so only this reason shows that changes may be missing.
    if let Some(SilentWatch { kind, silence }) = silent_watch {
        let message = format!("watch of {kind}: nothing received for {} s", silence.as_secs());
        inputs.push(NotReady { reason: "WatchSilent", message });
    }
    if let Some(what) = &status.waiting_for_node {
        inputs.push(NotReady { reason: "NodeIncomplete", message: format!("waiting for {what}") });
    }
    // Without its Node, the node is not part of the cluster. HNS stays as it is, since the kubelet may create the Node again.
    if let Some(name) = &status.deleted_node {
        let message = format!("Node {name}: deleted; its addresses and zone are used until it is created again");
        inputs.push(NotReady { reason: "NodeDeleted", message });
    }
    reasons.splice(0..0, inputs);
    // The status is that of the last run, which does not know the change.
    if let Some(pending) = pending.filter(|pending| reasons.is_empty() && *pending > MAX_PENDING) {
        let message = format!("changes: pending for {} s", pending.as_secs());
        reasons.push(NotReady { reason: "ChangesPending", message });
    }
    reasons
}

#[cfg(test)]
mod tests {
    use proxy::{Progress, Tally};

    use super::*;
    use crate::status::Programming;

    fn reasons(status: &Status) -> Vec<&'static str> {
        not_ready(status, Lateness::default()).iter().map(|one| one.reason).collect()
    }

    #[test]
    fn an_unavailable_api_server_is_a_reason_until_the_cluster_is_complete() {
        let mut status = Status { cluster_outage: Some("no connection".into()), ..Status::default() };
        assert_eq!(reasons(&status), ["ClusterUnavailable", "ClusterIncomplete"]);
        (status.progress, status.unready) = (Progress { complete: true, ..Progress::default() }, Vec::new());
        assert_eq!(reasons(&status), [""; 0]);
    }

    #[test]
    fn a_call_over_its_budget_is_a_reason_although_everything_was_programmed() {
        let status = Status { unready: Vec::new(), ..Status::default() };
        let call = SlowCall { function: "HcnCreateLoadBalancer", took: Duration::from_secs(7) };
        let message = "HNS call: HcnCreateLoadBalancer takes 7.0 s".to_owned();
        let expected = [NotReady { reason: "HNSCallOverdue", message }];
        assert_eq!(not_ready(&status, Lateness { overdue: Some(call), ..Lateness::default() }), expected);
        assert_eq!(not_ready(&status, Lateness::default()), []);
    }

    #[test]
    fn a_change_that_is_pending_for_long_is_a_reason_if_there_is_no_other() {
        let mut status = Status { unready: Vec::new(), ..Status::default() };
        let message = "changes: pending for 11 s".to_owned();
        let not_ready =
            |status: &Status, pending| not_ready(status, Lateness { pending: Some(pending), ..Lateness::default() });
        let pending = Duration::from_secs(11);
        assert_eq!(not_ready(&status, pending), [NotReady { reason: "ChangesPending", message }]);
        assert_eq!(not_ready(&status, MAX_PENDING), []);
        status.unready = vec![Unready::NotAudited];
        assert_eq!(not_ready(&status, pending).len(), 1);
    }

    #[test]
    fn a_silent_watch_is_a_reason_during_an_outage_of_another_kind_too() {
        let silent_watch = Some(SilentWatch { kind: "Service", silence: Duration::from_secs(301) });
        let not_ready = |status: &Status| {
            not_ready(status, Lateness { silent_watch: silent_watch.as_ref(), ..Lateness::default() })
        };
        let mut status = Status { unready: Vec::new(), ..Status::default() };
        status.progress.complete = true;
        let message = "watch of Service: nothing received for 301 s".to_owned();
        let expected = [NotReady { reason: "WatchSilent", message }];
        assert_eq!(not_ready(&status), expected);
        status.cluster_outage = Some("no connection".into());
        assert_eq!(not_ready(&status), expected);
    }

    #[test]
    fn pending_load_balancers_are_described_with_an_estimate_while_they_are_programmed() {
        let load_balancers = Tally { desired: 8013, in_sync: 1024 };
        let mut status = Status { unready: vec![Unready::LoadBalancersPending(load_balancers)], ..Status::default() };
        let message = |status: &Status| {
            not_ready(status, Lateness::default()).into_iter().map(|one| one.message).collect::<String>()
        };
        assert_eq!(message(&status), "load balancers: 6989 of 8013 pending");
        status.programming = Some(Programming { load_balancers, left: Some(Duration::from_secs(240)) });
        assert_eq!(message(&status), "programmed 1024 of 8013 load balancers, 12 % done, about 4 min left");
    }

    #[test]
    fn a_deleted_node_is_a_reason_although_hns_is_in_sync() {
        let status = Status { deleted_node: Some("win-1".into()), unready: Vec::new(), ..Status::default() };
        let message = "Node win-1: deleted; its addresses and zone are used until it is created again".to_owned();
        let expected = [NotReady { reason: "NodeDeleted", message }];
        assert_eq!(not_ready(&status, Lateness::default()), expected);
    }

    #[test]
    fn a_missing_node_is_a_reason_beside_those_of_the_core() {
        let status = Status {
            waiting_for_node: Some("addresses of the Node win-1".into()),
            unready: vec![Unready::NotAudited, Unready::ChangesPending(2)],
            ..Status::default()
        };
        assert_eq!(reasons(&status), ["NodeIncomplete", "HNSNotAudited", "ChangesPending"]);
    }
}
