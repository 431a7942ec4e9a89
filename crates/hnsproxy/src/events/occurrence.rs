//! What is worth an Event.

use proxy::model::ServiceName;
use uuid::Uuid;

/// What an Event is about.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Regarding {
    /// This node.
    Node,
    /// A Service, with its uid where it is known: `kubectl describe` shows only Events that have it.
    Service(ServiceName, Option<Uuid>),
}

/// Whether it is as it should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// It is.
    Normal,
    /// It is not.
    Warning,
}

impl Severity {
    /// The type of the Event.
    pub fn as_str(self) -> &'static str {
        match self {
            Severity::Normal => "Normal",
            Severity::Warning => "Warning",
        }
    }
}

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Occurrence {
    /// What it is about.
    pub regarding: Regarding,
    /// Whether it is as it should be.
    pub severity: Severity,
    /// What it is, in one word.
    pub reason: &'static str,
    /// What was done, or to be done, in one word.
    pub action: &'static str,
    /// What it is, for people.
    pub note: String,
}
