//! `/debug/services`: all Services with their numbers, states and conditions.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use axum::extract::{RawQuery, State};
use axum::response::Response;
use proxy::model::ServiceName;
use serde::Serialize;

use super::running::RunningPage;
use super::status_api::API_VERSION;
use super::{Shared, query};
use crate::status::{ServiceRow, Status};

const DEFAULT_LIMIT: usize = 100;
const MAX_LIMIT: usize = 1000;
const STATES: [&str; 4] = ["failed", "in_sync", "pending", "problem"];

#[derive(Debug, Serialize)]
struct ServicesPage {
    api_version: &'static str,
    process: RunningPage,
    /// The number of Services that match, on all pages.
    total: usize,
    /// The value of `continue` for the next page. None after the last one.
    r#continue: Option<String>,
    services: Vec<ServicePage>,
}

#[derive(Debug, Serialize)]
pub(super) struct ServicePage {
    service: String,
    state: &'static str,
    frontends: usize,
    load_balancers: usize,
    backends: usize,
    pending: usize,
    failed: usize,
    /// The reasons of the conditions.
    conditions: BTreeSet<&'static str>,
}

/// Which Services a client requests.
#[derive(Debug, Default)]
struct Request {
    limit: Option<usize>,
    after: Option<ServiceName>,
    part: String,
    state: Option<&'static str>,
}

impl Request {
    fn set(&mut self, name: &str, value: &str) -> Result<(), String> {
        match name {
            "limit" => self.limit = Some(query::limit(value, MAX_LIMIT)?),
            "continue" => {
                let after = value.split_once('/').map(|(namespace, name)| ServiceName::new(namespace, name));
                self.after = Some(after.ok_or_else(|| format!("invalid continue {value:?}: expected that of a page"))?);
            }
            "q" => value.clone_into(&mut self.part),
            "state" => {
                let known = STATES.into_iter().find(|state| *state == value);
                let known = known.ok_or_else(|| format!("unknown state {value:?} (known: {})", STATES.join(", ")))?;
                self.state = Some(known);
            }
            _ => return Err(format!("unknown parameter {name:?} (known: continue, limit, pretty, q, state)")),
        }
        Ok(())
    }

    fn matches(&self, service: &ServiceName, state: &str, has_condition: impl FnOnce() -> bool) -> bool {
        let is_in_state = match self.state {
            None => true,
            Some("problem") => state != "in_sync" || has_condition(),
            Some(requested) => state == requested,
        };
        is_in_state && contains(service, &self.part)
    }
}

/// Whether `NAMESPACE/NAME` contains a text. Does not allocate the full name, because a page compares thousands of names.
fn contains(service: &ServiceName, part: &str) -> bool {
    let ServiceName { namespace, name } = service;
    match part.split_once('/') {
        None => namespace.contains(part) || name.contains(part),
        Some((before, after)) => namespace.ends_with(before) && name.starts_with(after),
    }
}

type Reasons<'a> = BTreeMap<&'a ServiceName, BTreeSet<&'static str>>;

pub(super) fn reasons(status: &Status) -> Reasons<'_> {
    let mut reasons = Reasons::new();
    for one in status.conditions.iter() {
        reasons.entry(&one.service).or_default().insert(one.condition.reason());
    }
    reasons
}

pub(super) fn service_page(row: &ServiceRow, reasons: &Reasons<'_>) -> ServicePage {
    let ServiceRow { service, summary, unsettled } = row;
    ServicePage {
        service: service.to_string(),
        state: row.state(),
        frontends: summary.frontends,
        load_balancers: summary.load_balancers,
        backends: summary.backends,
        pending: unsettled.pending,
        failed: unsettled.failed,
        conditions: reasons.get(service).cloned().unwrap_or_default(),
    }
}

pub(super) async fn page(State(shared): State<Arc<Shared>>, RawQuery(parameters): RawQuery) -> Response {
    let mut request = Request::default();
    let form = query::read(parameters.as_deref(), |name, value| request.set(name, value));
    query::respond(form, || {
        let snapshot = shared.proxy.store.snapshot();
        let reasons = reasons(&snapshot.status);
        let limit = request.limit.unwrap_or(DEFAULT_LIMIT);
        let matches =
            |service: &ServiceName, state: &str| request.matches(service, state, || reasons.contains_key(service));
        // One more than the page has shows whether there is another page.
        let (mut rows, total) = shared.proxy.services.find(request.after.as_ref(), limit + 1, matches);
        let has_more = rows.len() > limit;
        rows.truncate(limit);
        ServicesPage {
            api_version: API_VERSION,
            process: shared.running(),
            total,
            r#continue: rows.last().filter(|_| has_more).map(|row| row.service.to_string()),
            services: rows.iter().map(|row| service_page(row, &reasons)).collect(),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_found_in_the_namespace_the_name_or_both() {
        let service = ServiceName::new("kube-system", "kube-dns");
        for part in ["", "system", "dns", "/", "system/kube", "kube-system/kube-dns", "/kube-dns"] {
            assert!(contains(&service, part) && service.to_string().contains(part), "{part}");
        }
        for part in ["web", "kube/", "/dns", "system/dns", "kube-system/kube-dns/"] {
            assert!(!contains(&service, part) && !service.to_string().contains(part), "{part}");
        }
    }
}
