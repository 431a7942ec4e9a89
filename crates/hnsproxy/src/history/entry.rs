//! What is recorded of an event: what happened, to which Service, frontend or address, and the message of the log.

use std::net::IpAddr;

use hcn::{Guid, SlowCall};
use jiff::Timestamp;
use proxy::apply::Outcome;
use proxy::dirty::Subject;
use proxy::model::ServiceName;
use proxy::reconcile::{BackendChange, RemovedBackend};
use proxy::{Frontend, Liveness};
use serde::{Serialize, Serializer};

use cluster_source::error_chain;

/// The longest text of an entry, in bytes. HNS puts whole documents into some errors.
const MAX_TEXT: usize = 1 << 10;

/// The largest number of backends that a message names in each direction. The fields of the entry have more.
const MAX_IN_MESSAGE: usize = 10;

/// What happened. The documents have the name in `kind`.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Event {
    /// A write to HNS, with the names of action and reason that metrics have.
    Write {
        action: &'static str,
        reason: &'static str,
        duration_seconds: f64,
        error: Option<String>,
        /// Whether the old load balancer was created again after HNS had refused the new one.
        restored: bool,
    },
    /// One object that differs from what was written, or a number of further ones.
    DriftFound {
        cause: &'static str,
        count: usize,
    },
    DriftRepaired {
        cause: &'static str,
        count: usize,
    },
    /// A call that exceeds its budget.
    HnsCall {
        function: &'static str,
        /// The duration when the call was last seen in flight.
        duration_seconds: f64,
        returned: bool,
    },
    HnsLiveness {
        liveness: &'static str,
    },
    /// Changes of the backends of one Service, or only the numbers for several Services.
    Backends {
        added_count: usize,
        removed_count: usize,
        /// The first ones.
        added: Vec<IpAddr>,
        /// The first ones.
        removed: Vec<RemovedBackend>,
    },
    Network {
        network: String,
        id: Option<Guid>,
        present: bool,
    },
    SourceVip {
        source_vip: Option<IpAddr>,
    },
    NodeAddresses {
        addresses: Vec<IpAddr>,
    },
    /// A configuration is in use. With an error, it is the previous one.
    Configuration {
        error: Option<String>,
    },
    ApiServer {
        available: bool,
        error: Option<String>,
    },
    ConditionBegun {
        reason: &'static str,
    },
    ConditionResolved {
        reason: &'static str,
    },
}

/// An event that is not in the history yet.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Record {
    #[serde(flatten)]
    pub event: Event,
    #[serde(serialize_with = "as_text", skip_serializing_if = "Option::is_none")]
    pub service: Option<ServiceName>,
    #[serde(serialize_with = "as_text", skip_serializing_if = "Option::is_none")]
    pub frontend: Option<Frontend>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address: Option<IpAddr>,
    pub message: String,
}

/// A record with its place in the history.
#[derive(Debug, Serialize)]
pub(super) struct Entry<'a> {
    pub(super) sequence: u64,
    pub(super) time: Timestamp,
    #[serde(flatten)]
    pub(super) record: &'a Record,
}

impl Record {
    pub fn new(event: Event, message: impl Into<String>) -> Self {
        Self { event, service: None, frontend: None, address: None, message: shortened(message.into()) }
    }

    #[must_use]
    pub fn of_service(self, service: Option<ServiceName>) -> Self {
        Self { service, ..self }
    }

    #[must_use]
    pub fn about(self, subject: Subject) -> Self {
        Self { frontend: subject.frontend(), address: subject.address(), ..self }
    }

    pub fn write(outcome: &Outcome) -> Self {
        let Outcome { step, result, restored, duration } = outcome;
        let event = Event::Write {
            action: step.action.name(),
            reason: step.reason.as_str(),
            duration_seconds: duration.as_secs_f64(),
            error: result.as_ref().err().map(|failure| shortened(error_chain(failure))),
            restored: *restored,
        };
        Self::new(event, step.to_string()).of_service(step.service.clone()).about(step.action.subject())
    }

    pub fn liveness(liveness: Liveness) -> Self {
        let liveness = liveness.as_str();
        Self::new(Event::HnsLiveness { liveness }, format!("HNS {liveness}"))
    }

    /// A call that exceeds its budget.
    pub fn call(call: SlowCall, returned: bool) -> Self {
        let event = Event::HnsCall { function: call.function, duration_seconds: call.took.as_secs_f64(), returned };
        let resolved = if returned { ": resolved" } else { "" };
        Self::new(event, format!("HNS call over its budget: {call}{resolved}"))
    }

    pub fn backends(change: &BackendChange) -> Self {
        let BackendChange { service, backends, added_count, removed_count, added, removed } = change;
        let removal = |removed: &RemovedBackend| match removed.reason {
            Some(reason) => format!("{}: {}", removed.address, reason.description()),
            None => removed.address.to_string(),
        };
        let added_text = named(*added_count, "added", added.iter().map(ToString::to_string).collect());
        let removed_text = named(*removed_count, "removed", removed.iter().map(removal).collect());
        let parts: Vec<_> = added_text.into_iter().chain(removed_text).collect();
        let message = format!("backends of Service {service}: {}; {backends} left", parts.join(", "));
        let event = Event::Backends {
            added_count: *added_count,
            removed_count: *removed_count,
            added: added.clone(),
            removed: removed.clone(),
        };
        Self::new(event, message).of_service(Some(service.clone()))
    }

    /// The total numbers of changes for Services without an entry of their own.
    pub fn backends_of_others(changes: &[BackendChange]) -> Self {
        let added_count = changes.iter().map(|change| change.added_count).sum();
        let removed_count = changes.iter().map(|change| change.removed_count).sum();
        let message =
            format!("backends of {} other Services: {added_count} added, {removed_count} removed", changes.len());
        Self::new(Event::Backends { added_count, removed_count, added: Vec::new(), removed: Vec::new() }, message)
    }

    /// A condition that has begun, or that is resolved.
    pub fn condition(reason: &'static str, message: &str, is_resolved: bool) -> Self {
        if is_resolved {
            Self::new(Event::ConditionResolved { reason }, format!("{message}: resolved"))
        } else {
            Self::new(Event::ConditionBegun { reason }, message)
        }
    }
}

/// Formats a number of backends and the first addresses. Returns `None` for 0.
fn named(count: usize, verb: &str, mut first: Vec<String>) -> Option<String> {
    if count == 0 {
        return None;
    }
    first.truncate(MAX_IN_MESSAGE);
    let others = count.saturating_sub(first.len());
    first.extend((others > 0).then(|| format!("{others} more")));
    Some(format!("{count} {verb} ({})", first.join(", ")))
}

fn shortened(mut text: String) -> String {
    if text.len() > MAX_TEXT {
        let end = (0..=MAX_TEXT).rev().find(|end| text.is_char_boundary(*end)).unwrap_or_default();
        text.truncate(end);
        text += "...";
    }
    text
}

fn as_text<T: ToString, S: Serializer>(value: &Option<T>, serializer: S) -> Result<S::Ok, S::Error> {
    value.as_ref().map(T::to_string).serialize(serializer)
}

#[cfg(test)]
mod tests {
    use proxy::reconcile::RemovalReason;
    use proxy::{Action, Reason, Step};
    use serde_json::json;

    use super::*;

    #[test]
    fn an_entry_is_a_flat_document() {
        let action = Action::DeleteEndpoint { id: Guid::nil(), address: [10, 244, 1, 7].into() };
        let step = Step { action, service: Some(ServiceName::new("shop", "web")), reason: Reason::NotDesired };
        let record = Record::write(&Outcome::without_calls(step, Ok(())));
        let entry = Entry { sequence: 7, time: Timestamp::UNIX_EPOCH, record: &record };
        let expected = json!({
            "sequence": 7,
            "time": "1970-01-01T00:00:00Z",
            "kind": "write",
            "action": "delete_endpoint",
            "reason": "not_desired",
            "duration_seconds": 0.0,
            "error": null,
            "restored": false,
            "service": "shop/web",
            "address": "10.244.1.7",
            "message": "delete remote endpoint 10.244.1.7: no Service uses it (Service shop/web)",
        });
        assert_eq!(serde_json::to_value(entry).unwrap(), expected);
    }

    #[test]
    fn a_change_of_backends_names_the_first_ones_with_their_reasons() {
        let address = |last| IpAddr::from([10, 244, 1, last]);
        let change = BackendChange {
            service: ServiceName::new("shop", "web"),
            backends: 3,
            added_count: 2,
            removed_count: 1,
            added: vec![address(7)],
            removed: vec![RemovedBackend { address: address(8), reason: Some(RemovalReason::NotInSlices) }],
        };
        let record = Record::backends(&change);
        let expected = json!({
            "kind": "backends",
            "added_count": 2,
            "removed_count": 1,
            "added": ["10.244.1.7"],
            "removed": [{"address": "10.244.1.8", "reason": "NotInSlices"}],
            "service": "shop/web",
            "message": "backends of Service shop/web: 2 added (10.244.1.7, 1 more), 1 removed (10.244.1.8: no EndpointSlice has it); 3 left",
        });
        assert_eq!(serde_json::to_value(record).unwrap(), expected);
        let others = Record::backends_of_others(&[change.clone(), change]);
        assert_eq!(others.message, "backends of 2 other Services: 4 added, 2 removed");
    }

    #[test]
    fn a_long_text_is_cut_off_between_characters() {
        assert_eq!(shortened("a".repeat(MAX_TEXT)).len(), MAX_TEXT);
        assert_eq!(shortened(format!("a{}", "é".repeat(MAX_TEXT))), format!("a{}...", "é".repeat(MAX_TEXT / 2 - 1)));
    }
}
