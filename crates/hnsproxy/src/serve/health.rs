//! The responses of health checks: `/healthz`, `/livez`, and the health check ports of Services. Pure, with the codes, bodies and headers of
//! kube-proxy.

use std::collections::BTreeMap;
use std::time::Duration;

use http::StatusCode;
use jiff::Timestamp;
use proxy::model::{Family, ServiceName};
use serde::Serialize;
use serde_json::ser::PrettyFormatter;

use crate::metrics::Probe;
use crate::status::StatusSnapshot;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct HealthAnswer {
    /// 200 or 503.
    pub(super) code: StatusCode,
    /// JSON.
    pub(super) body: String,
    /// The number of local backends, for the health check of a Service.
    pub(super) weight: Option<usize>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ProxyHealth {
    last_updated: String,
    current_time: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    node_eligible: Option<bool>,
    healthy: bool,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    status: BTreeMap<String, FamilyHealth>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct FamilyHealth {
    last_updated: Timestamp,
    healthy: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ServiceHealth<'a> {
    service: &'a ServiceName,
    local_endpoints: usize,
    service_proxy_healthy: bool,
}

/// Answers `/healthz` or `/livez`. The proxy is unhealthy once a change is pending for `limit`.
pub(super) fn answer(probe: Probe, snapshot: &StatusSnapshot, limit: Duration) -> HealthAnswer {
    let StatusSnapshot { status, changes, now, .. } = snapshot;
    let healthy = changes.is_healthy(now.elapsed, limit);
    let ok = healthy && (status.node.eligible || probe == Probe::Livez);
    let last_updated = changes.last_programmed().map(|updated| now.wall_at(updated));
    let family = |family: &Family| Some((family.to_string(), FamilyHealth { last_updated: last_updated?, healthy }));
    let body = ProxyHealth {
        last_updated: match last_updated {
            _ if ok => now.wall.to_string(),
            Some(updated) => updated.to_string(),
            // The zero time of Go.
            None => "0001-01-01T00:00:00Z".to_owned(),
        },
        current_time: now.wall,
        node_eligible: (probe == Probe::Healthz).then_some(status.node.eligible),
        healthy,
        status: status.families.iter().filter_map(family).collect(),
    };
    let body = serde_json::to_string(&body).unwrap_or_default();
    HealthAnswer { code: code(ok), body, weight: None }
}

/// Answers the health check of a Service with this number of local backends. `limit` is that of [`answer`].
pub(super) fn answer_service(
    service: &ServiceName,
    local: usize,
    snapshot: &StatusSnapshot,
    limit: Duration,
) -> HealthAnswer {
    let healthy = snapshot.changes.is_healthy(snapshot.now.elapsed, limit);
    let body = ServiceHealth { service, local_endpoints: local, service_proxy_healthy: healthy };
    let mut bytes = Vec::new();
    let mut serializer = serde_json::Serializer::with_formatter(&mut bytes, PrettyFormatter::with_indent(b"\t"));
    let body = body.serialize(&mut serializer).map(|()| String::from_utf8_lossy(&bytes).into_owned());
    HealthAnswer { code: code(healthy && local > 0), body: body.unwrap_or_default(), weight: Some(local) }
}

fn code(ok: bool) -> StatusCode {
    if ok { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::{Value, json};

    use super::*;
    use crate::clock::Now;
    use crate::status::{ChangeTimes, NodeStatus, Programmed, Status, WatchTimes};

    const LIMIT: Duration = Duration::from_secs(10);

    fn snapshot(status: &Status, changes: &ChangeTimes, seconds: u64) -> StatusSnapshot {
        let start: Timestamp = "2026-01-02T03:00:00Z".parse().unwrap();
        let elapsed = Duration::from_secs(seconds);
        let now = Now { elapsed, wall: start + elapsed };
        let (status, watches) = (Arc::new(status.clone()), WatchTimes::new());
        StatusSnapshot { status, changes: *changes, watches, silent_watch: None, now }
    }

    fn ask(probe: Probe, status: &Status, changes: &ChangeTimes, seconds: u64) -> (u16, Value) {
        let answer = answer(probe, &snapshot(status, changes, seconds), LIMIT);
        (answer.code.as_u16(), serde_json::from_str(&answer.body).unwrap())
    }

    fn node(eligible: bool) -> NodeStatus {
        NodeStatus { eligible, ..NodeStatus::default() }
    }

    fn eligible() -> Status {
        Status { node: node(true), families: Family::ALL.to_vec(), ..Status::default() }
    }

    #[test]
    fn before_the_first_run_the_proxy_is_healthy() {
        let (code, body) = ask(Probe::Healthz, &eligible(), &ChangeTimes::default(), 3);
        let now = "2026-01-02T03:00:03Z";
        let expected = json!({"lastUpdated": now, "currentTime": now, "nodeEligible": true, "healthy": true});
        assert_eq!((code, body), (200, expected));
    }

    #[test]
    fn a_body_has_the_keys_of_kube_proxy_in_their_order() {
        let mut changes = ChangeTimes::default();
        changes.run_ended(Duration::from_secs(1), Programmed::All);
        let body = answer(Probe::Healthz, &snapshot(&eligible(), &changes, 2), LIMIT).body;
        assert_eq!(
            body,
            concat!(
                r#"{"lastUpdated":"2026-01-02T03:00:02Z","currentTime":"2026-01-02T03:00:02Z","#,
                r#""nodeEligible":true,"healthy":true,"status":{"#,
                r#""IPv4":{"lastUpdated":"2026-01-02T03:00:01Z","healthy":true},"#,
                r#""IPv6":{"lastUpdated":"2026-01-02T03:00:01Z","healthy":true}}}"#
            )
        );
    }

    #[test]
    fn an_idle_proxy_is_healthy_and_a_late_one_is_not() {
        let mut changes = ChangeTimes::default();
        changes.run_ended(Duration::from_secs(5), Programmed::All);
        assert_eq!(ask(Probe::Healthz, &eligible(), &changes, 1000).0, 200);
        changes.queued(Duration::from_secs(1000));
        assert_eq!(ask(Probe::Healthz, &eligible(), &changes, 1009).0, 200);
        for probe in [Probe::Healthz, Probe::Livez] {
            let (code, body) = ask(probe, &eligible(), &changes, 1010);
            assert_eq!(
                (code, &body["healthy"], &body["lastUpdated"]),
                (503, &json!(false), &json!("2026-01-02T03:00:05Z"))
            );
            assert_eq!(body["status"]["IPv4"]["healthy"], false);
        }
        changes.taken();
        changes.run_ended(Duration::from_secs(1011), Programmed::All);
        assert_eq!(ask(Probe::Healthz, &eligible(), &changes, 1030).0, 200);
    }

    #[test]
    fn a_node_marked_for_deletion_is_alive_but_not_healthy() {
        let status = Status { node: node(false), ..eligible() };
        let (code, body) = ask(Probe::Healthz, &status, &ChangeTimes::default(), 1);
        assert_eq!((code, &body["healthy"], &body["nodeEligible"]), (503, &json!(true), &json!(false)));
        assert_eq!(body["lastUpdated"], "0001-01-01T00:00:00Z");
        let (code, body) = ask(Probe::Livez, &status, &ChangeTimes::default(), 1);
        assert_eq!((code, body.get("nodeEligible")), (200, None));
    }

    #[test]
    fn a_service_without_local_backends_is_unhealthy() {
        let service = ServiceName::new("a", "b");
        let answer = answer_service(&service, 0, &snapshot(&eligible(), &ChangeTimes::default(), 1), LIMIT);
        let body = "{\n\t\"service\": {\n\t\t\"namespace\": \"a\",\n\t\t\"name\": \"b\"\n\t},\n\t\"localEndpoints\": 0,\n\t\"serviceProxyHealthy\": true\n}";
        assert_eq!(
            answer,
            HealthAnswer { code: StatusCode::SERVICE_UNAVAILABLE, body: body.to_owned(), weight: Some(0) }
        );
    }

    #[test]
    fn while_changes_are_late_services_are_unhealthy_with_their_counts() {
        let mut changes = ChangeTimes::default();
        changes.run_ended(Duration::from_secs(5), Programmed::All);
        changes.queued(Duration::from_secs(10));
        // The Node does not matter here.
        let status = Status { node: node(false), ..eligible() };
        let ask = |changes: &ChangeTimes, seconds, local| {
            let answer =
                answer_service(&ServiceName::new("a", "b"), local, &snapshot(&status, changes, seconds), LIMIT);
            (answer.code.as_u16(), answer.weight, serde_json::from_str::<Value>(&answer.body).unwrap())
        };
        let body = |local: usize, healthy: bool| {
            let service = json!({"namespace": "a", "name": "b"});
            json!({"service": service, "localEndpoints": local, "serviceProxyHealthy": healthy})
        };
        assert_eq!(ask(&changes, 19, 3), (200, Some(3), body(3, true)));
        assert_eq!(ask(&changes, 20, 3), (503, Some(3), body(3, false)));
        assert_eq!(ask(&changes, 20, 0), (503, Some(0), body(0, false)));
        changes.taken();
        changes.run_ended(Duration::from_secs(21), Programmed::All);
        assert_eq!(ask(&changes, 60, 3), (200, Some(3), body(3, true)));
        assert_eq!(ask(&changes, 60, 0), (503, Some(0), body(0, true)));
    }
}
