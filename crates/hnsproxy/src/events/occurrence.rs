//! What an Event says.

use proxy::model::ServiceName;
use uuid::Uuid;

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Regarding {
    /// The Node of this host.
    Node,
    /// The uid, if it is known: `kubectl describe` shows only Events with the right one.
    Service(ServiceName, Option<Uuid>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    Normal,
    Warning,
}

impl Severity {
    /// The `type` of the Event.
    pub fn as_str(self) -> &'static str {
        match self {
            Severity::Normal => "Normal",
            Severity::Warning => "Warning",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Occurrence {
    pub regarding: Regarding,
    pub severity: Severity,
    /// CamelCase, for programs.
    pub reason: &'static str,
    /// What hnsproxy did, or does about it. CamelCase.
    pub action: &'static str,
    /// For people.
    pub note: String,
}
