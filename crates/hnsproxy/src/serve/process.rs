//! `/debug/hns`, `/debug/pending` and `/debug/networks`: parts of the status that are too long, or too specific, for `/statusz`.

use std::sync::Arc;

use axum::extract::{RawQuery, State};
use axum::response::Response;
use serde::Serialize;

use super::running::RunningPage;
use super::services::{ServicePage, reasons, service_page};
use super::status_api::{
    API_VERSION, CapabilitiesPage, HostConditionPage, NetworkPage, PendingPage, ProgrammingPage, ReasonPage, StatePage,
    TallyPage,
};
use super::{Shared, query};
use crate::status::{CallSummary, MINUTES};

/// The Services that `/debug/pending` lists. `/debug/services` has all.
const MAX_PENDING: usize = 100;

#[derive(Debug, Serialize)]
struct HnsCallsPage {
    api_version: &'static str,
    process: RunningPage,
    liveness: &'static str,
    /// The oldest call in flight, if it exceeds its budget.
    overdue_call: Option<String>,
    /// The number of calls since the start of the process.
    total_calls: u64,
    window_seconds: u64,
    calls: Vec<CallPage>,
}

#[derive(Debug, Serialize)]
struct CallPage {
    function: &'static str,
    count: u64,
    errors: u64,
    p50_seconds: f64,
    p90_seconds: f64,
    p99_seconds: f64,
    max_seconds: f64,
}

#[derive(Debug, Serialize)]
struct PendingChangesPage {
    api_version: &'static str,
    process: RunningPage,
    in_sync: bool,
    waiting_for: Vec<ReasonPage>,
    load_balancers: TallyPage,
    endpoints: TallyPage,
    programming: Option<ProgrammingPage>,
    pending_changes: PendingPage,
    /// The first Services that are not in sync.
    services: Vec<ServicePage>,
}

#[derive(Debug, Serialize)]
struct NetworksPage {
    api_version: &'static str,
    process: RunningPage,
    networks: Vec<NetworkPage>,
    families: Vec<String>,
    capabilities: Option<CapabilitiesPage>,
    host_conditions: Vec<HostConditionPage>,
}

impl From<CallSummary> for CallPage {
    fn from(CallSummary { function, count, errors, p50, p90, p99, max }: CallSummary) -> Self {
        Self {
            function,
            count,
            errors,
            p50_seconds: p50.as_secs_f64(),
            p90_seconds: p90.as_secs_f64(),
            p99_seconds: p99.as_secs_f64(),
            max_seconds: max.as_secs_f64(),
        }
    }
}

pub(super) async fn hns(State(shared): State<Arc<Shared>>, RawQuery(parameters): RawQuery) -> Response {
    query::respond(query::read(parameters.as_deref(), query::no_parameters), || {
        let StatePage { hns, .. } = shared.state(&shared.proxy.store.snapshot());
        HnsCallsPage {
            api_version: API_VERSION,
            process: shared.running(),
            liveness: hns.liveness,
            overdue_call: hns.overdue_call,
            total_calls: shared.proxy.calls.total(),
            window_seconds: MINUTES * 60,
            calls: shared.proxy.calls.summaries().into_iter().map(CallPage::from).collect(),
        }
    })
}

pub(super) async fn pending(State(shared): State<Arc<Shared>>, RawQuery(parameters): RawQuery) -> Response {
    query::respond(query::read(parameters.as_deref(), query::no_parameters), || {
        let snapshot = shared.proxy.store.snapshot();
        let state = shared.state(&snapshot);
        let reasons = reasons(&snapshot.status);
        let (rows, _) = shared.proxy.services.find(None, MAX_PENDING, |_, state| state != "in_sync");
        PendingChangesPage {
            api_version: API_VERSION,
            process: shared.running(),
            in_sync: state.in_sync,
            waiting_for: state.waiting_for,
            load_balancers: state.load_balancers,
            endpoints: state.endpoints,
            programming: state.programming,
            pending_changes: state.pending_changes,
            services: rows.iter().map(|row| service_page(row, &reasons)).collect(),
        }
    })
}

pub(super) async fn networks(State(shared): State<Arc<Shared>>, RawQuery(parameters): RawQuery) -> Response {
    query::respond(query::read(parameters.as_deref(), query::no_parameters), || {
        let snapshot = shared.proxy.store.snapshot();
        let StatePage { networks, hns, host_conditions, .. } = shared.state(&snapshot);
        NetworksPage {
            api_version: API_VERSION,
            process: shared.running(),
            networks,
            families: snapshot.status.families.iter().map(ToString::to_string).collect(),
            capabilities: hns.capabilities,
            host_conditions,
        }
    })
}
