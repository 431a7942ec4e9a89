//! An Event before it is sent: `regarding`, `type`, `reason`, `action` and `note` as in `events.k8s.io/v1`.

use proxy::model::ServiceName;
use uuid::Uuid;

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum ObjectReference {
    /// The Node of this host.
    Node,
    /// The uid, if it is known: `kubectl describe` shows only Events with the right one.
    Service(ServiceName, Option<Uuid>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventType {
    Normal,
    Warning,
}

impl EventType {
    pub fn as_str(self) -> &'static str {
        match self {
            EventType::Normal => "Normal",
            EventType::Warning => "Warning",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    pub regarding: ObjectReference,
    pub event_type: EventType,
    /// In CamelCase.
    pub reason: &'static str,
    /// What hnsproxy did, or does about it. In CamelCase.
    pub action: &'static str,
    /// For people.
    pub note: String,
}
