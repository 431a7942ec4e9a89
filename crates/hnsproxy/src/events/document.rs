//! The documents of Events: `events.k8s.io/v1`.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::Reporter;
use super::correlator::Correlated;
use super::event::ObjectReference;

/// The controller that kube-proxy reports, so that its Events and these are found together.
const CONTROLLER: &str = "kube-proxy";
/// The API server refuses longer notes.
const MAX_NOTE_BYTES: usize = 1024;

/// The namespace and the name of an Event.
pub(super) fn key(correlated: &Correlated, reporter: &Reporter) -> (String, String) {
    let (namespace, name) = match &correlated.event.regarding {
        ObjectReference::Node => ("default", reporter.node_name.as_str()),
        ObjectReference::Service(service, _) => (service.namespace.as_str(), service.name.as_str()),
    };
    (namespace.to_owned(), format!("{name}.{:x}", correlated.number))
}

/// The document that creates an Event.
pub(super) fn create(correlated: &Correlated, reporter: &Reporter, now: Timestamp) -> Value {
    let event = &correlated.event;
    let (namespace, name) = key(correlated, reporter);
    let mut regarding = match &event.regarding {
        // The Events of the kubelet have the name as uid, and `kubectl describe node` looks for that.
        ObjectReference::Node => json!({"kind": "Node", "name": reporter.node_name, "uid": reporter.node_name}),
        ObjectReference::Service(service, uid) => {
            let uid = uid.map(|uid| uid.to_string());
            json!({"kind": "Service", "namespace": service.namespace, "name": service.name, "uid": uid})
        }
    };
    if let Some(members) = regarding.as_object_mut() {
        members.insert("apiVersion".to_owned(), "v1".into());
        members.retain(|_, value| !value.is_null());
    }
    let mut document = json!({
        "apiVersion": "events.k8s.io/v1",
        "kind": "Event",
        "metadata": {"namespace": namespace, "name": name},
        "eventTime": micro(now),
        "reportingController": CONTROLLER,
        "reportingInstance": format!("{CONTROLLER}-{}", reporter.host_name),
        "action": event.action,
        "reason": event.reason,
        "regarding": regarding,
        "note": shortened(&event.note),
        "type": event.event_type.as_str(),
    });
    if let (Some(count), Some(members)) = (correlated.series_count, document.as_object_mut()) {
        members.insert("series".to_owned(), series(count, now));
    }
    document
}

/// The patch of an Event that exists.
pub(super) fn patch(count: u32, now: Timestamp) -> Value {
    json!({"series": series(count, now)})
}

fn series(count: u32, now: Timestamp) -> Value {
    json!({"count": count, "lastObservedTime": micro(now)})
}

/// A `MicroTime`, which has to have six digits after the point.
fn micro(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%S.%6fZ").to_string()
}

fn shortened(note: &str) -> &str {
    let mut end = MAX_NOTE_BYTES.min(note.len());
    while !note.is_char_boundary(end) {
        end -= 1;
    }
    note.get(..end).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use proxy::model::ServiceName;
    use uuid::Uuid;

    use super::super::event::{Event, EventType};
    use super::*;

    fn event(regarding: ObjectReference, series_count: Option<u32>) -> Correlated {
        let note = "ä".repeat(600);
        let event = Event { regarding, event_type: EventType::Warning, reason: "PortInUse", action: "SyncHNS", note };
        Correlated { event, number: 0x18, series_count }
    }

    fn reporter() -> Reporter {
        Reporter { node_name: "win-1".into(), host_name: "WIN-1".into() }
    }

    #[test]
    fn an_event_has_the_fields_of_kube_proxy() {
        let regarding = ObjectReference::Service(ServiceName::new("ns", "web"), Some(Uuid::nil()));
        let now = "2026-01-02T03:04:05.5Z".parse().unwrap();
        let mut document = create(&event(regarding, Some(2)), &reporter(), now);
        assert_eq!(document["note"].take().as_str().unwrap().chars().count(), 512);
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
        assert_eq!(document, expected);
    }

    #[test]
    fn an_event_of_the_node_is_in_the_default_namespace() {
        let document = create(&event(ObjectReference::Node, None), &reporter(), Timestamp::UNIX_EPOCH);
        assert_eq!(document["metadata"], json!({"namespace": "default", "name": "win-1.18"}));
        assert_eq!(document["regarding"], json!({"apiVersion": "v1", "kind": "Node", "name": "win-1", "uid": "win-1"}));
        assert_eq!(document.get("series"), None);
    }
}
