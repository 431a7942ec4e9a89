//! Events as the API server takes them: `events.k8s.io/v1`.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::Reporter;
use super::herald::Tale;
use super::occurrence::Regarding;

/// Who speaks: whoever looks for kube-proxy's Events finds them.
const CONTROLLER: &str = "kube-proxy";
/// How long a note may be.
const LONGEST: usize = 1024;

/// The namespace of an Event, and its name.
pub(super) fn place(tale: &Tale, reporter: &Reporter) -> (String, String) {
    let (namespace, name) = match &tale.occurrence.regarding {
        Regarding::Node => ("default", reporter.node_name.as_str()),
        Regarding::Service(service, _) => (service.namespace.as_str(), service.name.as_str()),
    };
    (namespace.to_owned(), format!("{name}.{:x}", tale.number))
}

/// The whole Event.
pub(super) fn whole(tale: &Tale, reporter: &Reporter, now: Timestamp) -> Value {
    let occurrence = &tale.occurrence;
    let (namespace, name) = place(tale, reporter);
    let mut regarding = match &occurrence.regarding {
        // The kubelet's Events have the name for a uid, and `kubectl describe` looks for it.
        Regarding::Node => json!({"kind": "Node", "name": reporter.node_name, "uid": reporter.node_name}),
        Regarding::Service(service, uid) => {
            let uid = uid.map(|uid| uid.to_string());
            json!({"kind": "Service", "namespace": service.namespace, "name": service.name, "uid": uid})
        }
    };
    if let Some(members) = regarding.as_object_mut() {
        members.insert("apiVersion".to_owned(), "v1".into());
        members.retain(|_, value| !value.is_null());
    }
    let mut event = json!({
        "apiVersion": "events.k8s.io/v1",
        "kind": "Event",
        "metadata": {"namespace": namespace, "name": name},
        "eventTime": micro(now),
        "reportingController": CONTROLLER,
        "reportingInstance": format!("{CONTROLLER}-{}", reporter.host_name),
        "action": occurrence.action,
        "reason": occurrence.reason,
        "regarding": regarding,
        "note": shortened(&occurrence.note),
        "type": occurrence.severity.as_str(),
    });
    if let (Some(count), Some(members)) = (tale.again, event.as_object_mut()) {
        members.insert("series".to_owned(), series(count, now));
    }
    event
}

/// What is to be changed of an Event that is there already.
pub(super) fn again(count: u32, now: Timestamp) -> Value {
    json!({"series": series(count, now)})
}

fn series(count: u32, now: Timestamp) -> Value {
    json!({"count": count, "lastObservedTime": micro(now)})
}

/// A time with microseconds, all of them: nothing else is taken.
fn micro(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%S.%6fZ").to_string()
}

fn shortened(note: &str) -> &str {
    let mut end = LONGEST.min(note.len());
    while !note.is_char_boundary(end) {
        end -= 1;
    }
    note.get(..end).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use proxy::model::ServiceName;
    use uuid::Uuid;

    use super::super::occurrence::{Occurrence, Severity};
    use super::*;

    fn tale(regarding: Regarding, again: Option<u32>) -> Tale {
        let note = "ä".repeat(600);
        let occurrence =
            Occurrence { regarding, severity: Severity::Warning, reason: "PortInUse", action: "SyncHNS", note };
        Tale { occurrence, number: 0x18, again }
    }

    fn reporter() -> Reporter {
        Reporter { node_name: "win-1".into(), host_name: "WIN-1".into() }
    }

    #[test]
    fn an_event_is_kube_proxys() {
        let regarding = Regarding::Service(ServiceName::new("ns", "web"), Some(Uuid::nil()));
        let now = "2026-01-02T03:04:05.5Z".parse().unwrap();
        let mut event = whole(&tale(regarding, Some(2)), &reporter(), now);
        assert_eq!(event["note"].take().as_str().unwrap().chars().count(), 512);
        let expected = json!({
            "apiVersion": "events.k8s.io/v1", "kind": "Event", "metadata": {"namespace": "ns", "name": "web.18"},
            "eventTime": "2026-01-02T03:04:05.500000Z",
            "reportingController": "kube-proxy", "reportingInstance": "kube-proxy-WIN-1",
            "action": "SyncHNS", "reason": "PortInUse", "note": null, "type": "Warning",
            "regarding": {
                "apiVersion": "v1", "kind": "Service", "namespace": "ns", "name": "web", "uid": Uuid::nil().to_string()
            },
            "series": {"count": 2, "lastObservedTime": "2026-01-02T03:04:05.500000Z"},
        });
        assert_eq!(event, expected);
    }

    #[test]
    fn an_event_of_the_node_is_in_the_default_namespace() {
        let event = whole(&tale(Regarding::Node, None), &reporter(), Timestamp::UNIX_EPOCH);
        assert_eq!(event["metadata"], json!({"namespace": "default", "name": "win-1.18"}));
        assert_eq!(event["regarding"], json!({"apiVersion": "v1", "kind": "Node", "name": "win-1", "uid": "win-1"}));
        assert_eq!(event.get("series"), None);
    }
}
