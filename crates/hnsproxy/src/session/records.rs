//! Logs what the session has found and done, and records it in the history, so that both agree.

use std::collections::BTreeSet;
use std::net::IpAddr;

use cluster_source::error_chain;
use proxy::apply::{Failure, Outcome};
use proxy::model::ServiceName;
use proxy::observe::{Cause, by_cause};
use proxy::reconcile::BackendChange;
use proxy::{AuditError, Drift, Frontend, Reconciler, ServiceCondition};
use tracing::{debug, info, warn};

use crate::history::{Event, History, Record};
use crate::status::NetworkStatus;

/// Beyond this number of objects with drift, the others are only counted, by cause: after a restart of HNS, all objects have drift.
const MAX_DRIFT_LOGGED: usize = 20;

#[derive(Debug, Default)]
pub(super) struct Records {
    history: History,
    /// Those that were last logged, so that each is logged when it begins and when it is resolved.
    conditions: BTreeSet<Reported>,
    host_conditions: BTreeSet<Reported>,
    audit_error: Option<Reported>,
    networks: Vec<NetworkStatus>,
    source_vip: Option<IpAddr>,
}

/// The same limit for changes of backends. A change of the zone or of a network can change the backends of every Service.
const MAX_BACKEND_CHANGES: usize = 100;

/// The Service that owns a frontend.
type Owner<'a> = &'a dyn Fn(Frontend) -> Option<&'a ServiceName>;

/// A condition that was logged.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Reported {
    message: String,
    reason: &'static str,
    service: Option<ServiceName>,
}

impl Reported {
    fn record(&self, is_resolved: bool) -> Record {
        Record::condition(self.reason, &self.message, is_resolved).of_service(self.service.clone())
    }
}

impl Records {
    pub(super) fn of(history: History) -> Self {
        Self { history, ..Self::default() }
    }

    /// What the session before has logged is not logged a second time.
    pub(super) fn inherit(&mut self, before: &Self) {
        self.conditions.clone_from(&before.conditions);
        self.host_conditions.clone_from(&before.host_conditions);
        self.networks.clone_from(&before.networks);
        self.source_vip = before.source_vip;
    }

    pub(super) fn node_addresses(&self, addresses: &[IpAddr]) {
        let ips: Vec<_> = addresses.iter().map(ToString::to_string).collect();
        info!(addresses = %ips.join(","), "node addresses changed");
        let event = Event::NodeAddresses { addresses: addresses.to_vec() };
        self.history.record(&Record::new(event, format!("node addresses changed: {}", ips.join(","))));
    }

    pub(super) fn conditions(&mut self, now: &[ServiceCondition]) {
        let now = now.iter().map(|condition| Reported {
            message: condition.to_string(),
            reason: condition.condition.reason(),
            service: Some(condition.service.clone()),
        });
        report(&self.history, &mut self.conditions, now.collect());
    }

    pub(super) fn host_conditions(&mut self, reconciler: &Reconciler) {
        let host = |message: String, reason| Reported { message, reason, service: None };
        let conditions = reconciler.host_conditions().into_iter();
        let conditions = conditions.map(|condition| host(condition.to_string(), condition.reason()));
        let foreign = reconciler.foreign_load_balancers().into_iter();
        let foreign = foreign.map(|foreign| host(foreign.to_string(), "ForeignLoadBalancer"));
        report(&self.history, &mut self.host_conditions, conditions.chain(foreign).collect());
    }

    pub(super) fn audit_error(&mut self, error: Option<&AuditError>) {
        let reported =
            |error: &AuditError| Reported { message: error_chain(error), reason: error.reason(), service: None };
        let error = error.map(reported);
        if error == self.audit_error {
            return;
        }
        match (&error, &self.audit_error) {
            (Some(error), _) => warn!("{}; HNS is not programmed until this is resolved", error.message),
            (None, Some(resolved)) => info!("{}: resolved", resolved.message),
            (None, None) => {}
        }
        self.audit_error.iter().for_each(|resolved| self.history.record(&resolved.record(true)));
        error.iter().for_each(|begun| self.history.record(&begun.record(false)));
        self.audit_error = error;
    }

    pub(super) fn drift(&self, drift: &[Drift], owner: Owner<'_>) {
        let (first, others) = drift.split_at(drift.len().min(MAX_DRIFT_LOGGED));
        for drift in first {
            warn!("{drift}");
            let event = Event::DriftFound { cause: drift.cause.as_str(), count: 1 };
            self.history.record(&about(event, drift, drift.to_string(), owner));
        }
        for (cause, count) in by_cause(others) {
            let message = of_others(cause, count);
            warn!("{message}");
            self.history.record(&Record::new(Event::DriftFound { cause: cause.as_str(), count }, message));
        }
    }

    pub(super) fn repaired(&self, drift: &[Drift], owner: Owner<'_>) {
        let (first, others) = drift.split_at(drift.len().min(MAX_DRIFT_LOGGED));
        for drift in first {
            let event = Event::DriftRepaired { cause: drift.cause.as_str(), count: 1 };
            self.history.record(&about(event, drift, format!("{drift}: resolved"), owner));
        }
        for (cause, count) in by_cause(others) {
            let message = format!("{}: resolved", of_others(cause, count));
            self.history.record(&Record::new(Event::DriftRepaired { cause: cause.as_str(), count }, message));
        }
    }

    pub(super) fn backend_changes(&self, changes: &[BackendChange]) {
        for change in changes.iter().take(MAX_BACKEND_CHANGES) {
            let record = Record::backends(change);
            debug!("{}", record.message);
            self.history.record(&record);
        }
        let others = changes.get(MAX_BACKEND_CHANGES..).unwrap_or_default();
        if !others.is_empty() {
            let record = Record::backends_of_others(others);
            debug!("{}", record.message);
            self.history.record(&record);
        }
    }

    pub(super) fn outcomes(&self, outcomes: &[Outcome]) {
        for outcome @ Outcome { step, result, restored, .. } in outcomes {
            match result {
                Ok(()) => debug!("{step}"),
                // The process shuts down, and does not retry the step. HNS has not rejected it, so the history records no error.
                Err(Failure::Hns(hcn::Error::Stopped { .. })) => {
                    debug!("{step}: not completed");
                    continue;
                }
                Err(failure) if *restored => {
                    warn!("{step}: {}; restored the previous object, will retry", error_chain(failure));
                }
                Err(failure) => warn!("{step}: {}; will retry", error_chain(failure)),
            }
            self.history.record(&Record::write(outcome));
        }
    }

    /// Records what has changed of HNS: its liveness, its networks and the source VIP.
    pub(super) fn state(&mut self, reconciler: &Reconciler) {
        self.history.record_liveness(reconciler.liveness());
        let networks = NetworkStatus::all(reconciler);
        for network in networks.iter().filter(|network| !self.networks.contains(network)) {
            let NetworkStatus { name, id, present } = network;
            // Before the first audit, none is known.
            if id.is_none() && self.networks.is_empty() {
                continue;
            }
            let event = Event::Network { network: name.clone(), id: *id, present: *present };
            let text = if *present { "present" } else { "missing, or cannot be used" };
            self.history.record(&Record::new(event, format!("network {name:?}: {text}")));
        }
        self.networks = networks;
        let source_vip = reconciler.source_vip();
        if std::mem::replace(&mut self.source_vip, source_vip) != source_vip {
            let text = source_vip.map_or_else(|| "missing".to_owned(), |address| address.to_string());
            self.history.record(&Record::new(Event::SourceVip { source_vip }, format!("source VIP: {text}")));
        }
    }
}

/// Drift of objects beyond the first ones.
fn of_others(cause: Cause, count: usize) -> String {
    let objects = if count == 1 { "object" } else { "objects" };
    format!("{count} other {objects}: {cause}")
}

fn about(event: Event, drift: &Drift, message: String, owner: Owner<'_>) -> Record {
    let service = drift.subject.frontend().and_then(|frontend| owner(frontend).cloned());
    Record::new(event, message).about(drift.subject).of_service(service)
}

/// Logs and records each condition when it begins and when it is resolved.
fn report(history: &History, reported: &mut BTreeSet<Reported>, now: BTreeSet<Reported>) {
    for begun in now.difference(reported) {
        warn!("{}", begun.message);
        history.record(&begun.record(false));
    }
    for resolved in reported.difference(&now) {
        info!("{}: resolved", resolved.message);
        history.record(&resolved.record(true));
    }
    *reported = now;
}

#[cfg(test)]
mod tests {
    use hcn::Guid;
    use proxy::dirty::Subject;
    use proxy::{Action, Reason, Step};
    use serde_json::Value;

    use super::*;
    use crate::history::Query;

    /// The entries of these records.
    fn entries(records: &Records) -> Vec<Value> {
        let found = records.history.find(&Query::default());
        found.documents().map(|document| serde_json::from_str(document.get()).unwrap()).collect()
    }

    #[test]
    fn the_counts_of_drift_add_up_to_the_number_of_objects() {
        let drift = |last, cause| Drift { subject: Subject::Address([10, 244, 1, last].into()), cause };
        let lost = (1..=30).map(|last| drift(last, Cause::EndpointLost));
        let all: Vec<_> = lost.chain([drift(31, Cause::EndpointChanged)]).collect();
        let records = Records::default();
        records.drift(&all, &|_| None);
        records.repaired(&all, &|_| None);
        let entries = entries(&records);
        let sum = |kind: &str, cause: &str| {
            let of = entries.iter().filter(|entry| entry["kind"] == kind && entry["cause"] == cause);
            of.map(|entry| entry["count"].as_u64().unwrap()).sum::<u64>()
        };
        for kind in ["drift_found", "drift_repaired"] {
            assert_eq!((sum(kind, "endpoint_lost"), sum(kind, "endpoint_changed")), (30, 1), "{kind}");
        }
        assert_eq!(entries.len(), 2 * (MAX_DRIFT_LOGGED + 2));
    }

    #[test]
    fn a_write_that_the_shutdown_stops_is_not_recorded() {
        let step = |last| {
            let action = Action::DeleteEndpoint { id: Guid::nil(), address: [10, 244, 1, last].into() };
            Step { action, service: None, reason: Reason::NotDesired }
        };
        let stopped = hcn::Error::Stopped { function: "HcnOpenEndpoint" };
        let records = Records::default();
        records.outcomes(&[
            Outcome::without_calls(step(1), Ok(())),
            Outcome::without_calls(step(2), Err(Failure::Hns(stopped))),
        ]);
        let addresses: Vec<_> = entries(&records).iter().map(|entry| entry["address"].clone()).collect();
        assert_eq!(addresses, ["10.244.1.1"]);
    }
}
