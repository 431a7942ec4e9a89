//! What is not as it should be, as long as it is not: from the status, for Events.

use std::collections::BTreeMap;

use proxy::{Liveness, Remark};

use super::occurrence::{Occurrence, Regarding, Severity};
use crate::status::Status;

/// What is done when it turns out that something is not as it should be.
const ACTION: &str = "SyncHNS";

/// What is not as it should be, one for each object and reason.
pub(super) fn of(status: &Status) -> Vec<Occurrence> {
    let warning =
        |regarding, reason, note| Occurrence { regarding, severity: Severity::Warning, reason, action: ACTION, note };
    let mut conditions = Vec::new();
    if let Some(outage) = &status.hns_outage {
        conditions.push(warning(
            Regarding::Node,
            outage.reason,
            format!("{}; nothing is changed until it can be", outage.message),
        ));
    }
    if status.liveness == Liveness::Restarted {
        let note = "HNS was away, or has lost what it held; it is brought back in step".to_owned();
        conditions.push(warning(Regarding::Node, "HNSRestarted", note));
    }
    for remark in &status.remarks {
        let reason = match remark {
            Remark::NetworkMissing { .. } => "NetworkAbsent",
            Remark::NetworkRenamed { .. } => "NetworkRenamed",
            _ => continue,
        };
        conditions.push(warning(Regarding::Node, reason, remark.to_string()));
    }
    // Of several problems of one kind that a Service has, one is told in words.
    let mut notices: BTreeMap<(_, &'static str), (String, usize)> = BTreeMap::new();
    for notice in status.notices.iter() {
        let key = (&notice.service, notice.problem.reason());
        notices.entry(key).and_modify(|(_, more)| *more += 1).or_insert_with(|| (notice.problem.to_string(), 0));
    }
    conditions.extend(notices.into_iter().map(|((service, reason), (text, more))| {
        let note = if more == 0 { text } else { format!("{text} (and {more} more of the kind)") };
        let uid = status.uids.get(service).copied();
        warning(Regarding::Service(service.clone(), uid), reason, note)
    }));
    conditions
}

#[cfg(test)]
mod tests {
    use proxy::model::ServiceName;
    use proxy::{Notice, Problem};

    use super::*;
    use crate::status::HnsOutage;

    #[test]
    fn one_condition_stands_for_all_problems_of_a_kind() {
        let notice = |service: &str, problem| Notice { service: ServiceName::new("ns", service), problem };
        let lacks = |address: &str| Problem::NoLocalEndpoint { address: address.parse().unwrap() };
        let status = Status {
            hns_outage: Some(HnsOutage { reason: "NetworkAbsent", message: "there is no network".into() }),
            notices: vec![
                notice("a", lacks("10.0.0.1")),
                notice("a", lacks("10.0.0.2")),
                notice("a", Problem::AffinityUnsupported),
                notice("b", Problem::AffinityUnsupported),
            ]
            .into(),
            ..Status::default()
        };
        let told: Vec<_> = of(&status).into_iter().map(|condition| (condition.reason, condition.note)).collect();
        let reasons: Vec<_> = told.iter().map(|(reason, _)| *reason).collect();
        assert_eq!(reasons, ["NetworkAbsent", "AffinityUnsupported", "NoLocalEndpoint", "AffinityUnsupported"]);
        assert_eq!(told[0].1, "there is no network; nothing is changed until it can be");
        assert!(told[2].1.ends_with(" (and 1 more of the kind)"), "{told:?}");
    }
}
