//! Makes Events of the conditions in the status.

use std::collections::BTreeMap;

use cluster_source::error_chain;
use proxy::{HostCondition, Liveness, ServiceCondition};

use super::event::{Event, EventType, ObjectReference};
use crate::last_state::RemovedBeforeStart;
use crate::status::Status;

/// What hnsproxy does when it finds a condition.
const ACTION: &str = "SyncHNS";

/// One Event for each object and reason.
pub(super) fn events(status: &Status) -> Vec<Event> {
    let warning =
        |regarding, reason, note| Event { regarding, event_type: EventType::Warning, reason, action: ACTION, note };
    let mut conditions = Vec::new();
    if let Some(error) = status.audit_error() {
        let note = format!("{}; nothing is written to HNS until this is resolved", error_chain(error));
        conditions.push(warning(ObjectReference::Node, error.reason(), note));
    }
    if status.liveness == Liveness::Restarted {
        let note = "HNS has restarted or lost its objects; programming them again".to_owned();
        conditions.push(warning(ObjectReference::Node, "HNSRestarted", note));
    }
    if let Some(removed) = &status.removed_before_start {
        conditions.push(warning(ObjectReference::Node, RemovedBeforeStart::REASON, removed.to_string()));
    }
    for condition in &status.host_conditions {
        // Only what changes which Services are served. The other conditions are for the operator of the host, who has the log and `/readyz`.
        let of_services = |condition: &HostCondition| match condition {
            HostCondition::NetworkMissing { .. }
            | HostCondition::NetworkRenamed { .. }
            | HostCondition::SourceVipAbsent(_)
            | HostCondition::ForeignWriter(_)
            | HostCondition::RepeatedLoss(_) => true,
            HostCondition::SubnetUnreadable { .. }
            | HostCondition::IdsNotHonoured { .. }
            | HostCondition::ObjectSkipped { .. }
            | HostCondition::V1ListDistrusted { .. }
            | HostCondition::ListIncomplete { .. } => false,
        };
        if of_services(condition) {
            conditions.push(warning(ObjectReference::Node, condition.reason(), condition.to_string()));
        }
    }
    // Several conditions of a Service with one reason are one Event, so that they do not use up its series.
    let mut of_services: BTreeMap<(_, &'static str), (String, usize)> = BTreeMap::new();
    for ServiceCondition { service, condition } in status.conditions.iter() {
        let key = (service, condition.reason());
        of_services.entry(key).and_modify(|(_, more)| *more += 1).or_insert_with(|| (condition.to_string(), 0));
    }
    conditions.extend(of_services.into_iter().map(|((service, reason), (text, more))| {
        let note = if more == 0 { text } else { format!("{text} (and {more} more with this reason)") };
        let uid = status.service_uids.get(service).copied();
        warning(ObjectReference::Service(service.clone(), uid), reason, note)
    }));
    conditions
}

#[cfg(test)]
mod tests {
    use proxy::model::ServiceName;
    use proxy::{AuditError, Condition, Unready};

    use super::*;

    #[test]
    fn conditions_of_one_service_and_reason_are_one_event() {
        let condition =
            |service: &str, condition| ServiceCondition { service: ServiceName::new("ns", service), condition };
        let lacks = |address: &str| Condition::NoLocalEndpoint { address: address.parse().unwrap() };
        let status = Status {
            unready: vec![Unready::Audit(AuditError::NetworkAbsent { name: "cbr0".into(), known: Vec::new() })],
            conditions: vec![
                condition("a", lacks("10.0.0.1")),
                condition("a", lacks("10.0.0.2")),
                condition("a", Condition::AffinityUnsupported),
                condition("b", Condition::AffinityUnsupported),
            ]
            .into(),
            ..Status::default()
        };
        let all: Vec<_> = events(&status).into_iter().map(|event| (event.reason, event.note)).collect();
        let reasons: Vec<_> = all.iter().map(|(reason, _)| *reason).collect();
        assert_eq!(reasons, ["NetworkAbsent", "AffinityUnsupported", "NoLocalEndpoint", "AffinityUnsupported"]);
        assert!(all[2].1.ends_with(" (and 1 more with this reason)"), "{all:?}");
    }
}
