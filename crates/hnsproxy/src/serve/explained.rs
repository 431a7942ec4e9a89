//! The explanation of a Service: `/debug/services/NAMESPACE/NAME`, and `/debug/explain/NAMESPACE/NAME` for `hnsproxy explain svc`.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Path, RawQuery, State};
use axum::response::{IntoResponse, Response};
use hcn::Guid;
use hcn::schema::LoadBalancer;
use http::StatusCode;
use proxy::Explanation;
use proxy::desire::select::Hints;
use proxy::explain::{
    BackendState, ExplainedBackend, ExplainedCondition, ExplainedFrontend, ExplainedLoadBalancer, HnsView,
};
use proxy::frontend::FrontendKind;
use proxy::model::ServiceName;
use serde::Serialize;
use serde_json::json;

use super::header::{JSON, NOSNIFF, TEXT};
use super::running::RunningPage;
use super::status_api::API_VERSION;
use super::{Shared, query};
use crate::status::PublishedExplanation;

/// The interval of the checks for a missing explanation. They end after 2 s: a run takes up to a second, and most HNS calls are shorter.
const CHECK_INTERVAL: Duration = Duration::from_millis(50);
const MAX_CHECKS: u32 = 40;

#[derive(Debug, Serialize)]
struct ExplainedPage<'a> {
    api_version: &'static str,
    process: RunningPage,
    service: String,
    /// How long ago this was the state.
    age_seconds: Option<f64>,
    /// How reliable the observed state is.
    hns: &'static str,
    conditions: Vec<ConditionPage<'a>>,
    frontends: Vec<FrontendPage<'a>>,
    /// The planned steps, in order.
    steps: &'a [String],
}

#[derive(Debug, Serialize)]
struct ConditionPage<'a> {
    /// In CamelCase.
    reason: &'a str,
    message: &'a str,
}

#[derive(Debug, Serialize)]
struct FrontendPage<'a> {
    frontend: &'a str,
    kind: FrontendKind,
    port_name: &'a str,
    local_only: bool,
    hints: Hints,
    owned_by: Option<String>,
    in_sync: bool,
    waiting: bool,
    backends: Vec<BackendPage<'a>>,
    desired: Option<LoadBalancerPage<'a>>,
    observed: Vec<LoadBalancerPage<'a>>,
}

#[derive(Debug, Serialize)]
struct BackendPage<'a> {
    address: IpAddr,
    port: u16,
    node: Option<&'a str>,
    local: bool,
    state: BackendState,
    endpoint: Option<Guid>,
}

#[derive(Debug, Serialize)]
struct LoadBalancerPage<'a> {
    id: Guid,
    ours: bool,
    backends: &'a [String],
    document: Option<&'a LoadBalancer>,
}

impl<'a> From<&'a ExplainedCondition> for ConditionPage<'a> {
    fn from(ExplainedCondition { reason, text }: &'a ExplainedCondition) -> Self {
        Self { reason, message: text }
    }
}

impl<'a> From<&'a ExplainedFrontend> for FrontendPage<'a> {
    fn from(of: &'a ExplainedFrontend) -> Self {
        Self {
            frontend: &of.frontend,
            kind: of.kind,
            port_name: &of.port_name,
            local_only: of.local_only,
            hints: of.hints,
            owned_by: of.owned_by.as_ref().map(ServiceName::to_string),
            in_sync: of.in_sync,
            waiting: of.waiting,
            backends: of.backends.iter().map(BackendPage::from).collect(),
            desired: of.desired.as_ref().map(LoadBalancerPage::from),
            observed: of.observed.iter().map(LoadBalancerPage::from).collect(),
        }
    }
}

impl<'a> From<&'a ExplainedBackend> for BackendPage<'a> {
    fn from(of: &'a ExplainedBackend) -> Self {
        let ExplainedBackend { address, port, ref node, local, state, endpoint } = *of;
        Self { address, port, node: node.as_deref(), local, state, endpoint }
    }
}

impl<'a> From<&'a ExplainedLoadBalancer> for LoadBalancerPage<'a> {
    fn from(ExplainedLoadBalancer { id, ours, backends, document }: &'a ExplainedLoadBalancer) -> Self {
        Self { id: *id, ours: *ours, backends, document: document.as_ref() }
    }
}

pub(super) async fn page(
    State(shared): State<Arc<Shared>>,
    Path((namespace, name)): Path<(String, String)>,
    RawQuery(parameters): RawQuery,
) -> Response {
    let form = query::read(parameters.as_deref(), query::no_parameters);
    let service = ServiceName::new(namespace, name);
    wait_for_explanation(&shared, &service).await;
    answer(&shared, &service, |published| {
        let PublishedExplanation { explanation, age_seconds } = published;
        query::respond(form, || ExplainedPage {
            api_version: API_VERSION,
            process: shared.running(),
            service: explanation.service.to_string(),
            age_seconds: *age_seconds,
            hns: match explanation.hns {
                HnsView::Known => "known",
                HnsView::Unavailable => "unavailable",
                HnsView::NotAudited => "not_audited",
            },
            conditions: explanation.conditions.iter().map(ConditionPage::from).collect(),
            frontends: explanation.frontends.iter().map(FrontendPage::from).collect(),
            steps: &explanation.steps,
        })
    })
}

pub(super) async fn explanation(
    State(shared): State<Arc<Shared>>,
    Path((namespace, name)): Path<(String, String)>,
) -> Response {
    let service = ServiceName::new(namespace, name);
    wait_for_explanation(&shared, &service).await;
    answer(&shared, &service, |published| {
        ([JSON, NOSNIFF], serde_json::to_string(published).unwrap_or_default()).into_response()
    })
}

/// During a start with many Services, not all of them have an explanation. The request for one puts it first, at the next run. While HNS was never
/// read, no explanation would say more than that.
async fn wait_for_explanation(shared: &Shared, service: &ServiceName) {
    let is_missing = || {
        let is_audited = shared.proxy.store.snapshot().status.hns_version.is_some();
        is_audited && shared.proxy.services.contains(service) && !shared.proxy.explanations.is_explained(service)
    };
    for _ in 0..MAX_CHECKS {
        if !is_missing() {
            break;
        }
        tokio::time::sleep(CHECK_INTERVAL).await;
    }
}

/// Answers with the explanation that the control loop has published last.
fn answer(shared: &Shared, service: &ServiceName, page: impl FnOnce(&PublishedExplanation) -> Response) -> Response {
    let snapshot = shared.proxy.store.snapshot();
    let unknown = |reason: &str| {
        let reason = format!("cannot explain Service {service}: {reason}; see /readyz\n");
        (StatusCode::SERVICE_UNAVAILABLE, [TEXT, NOSNIFF], reason).into_response()
    };
    // A new Service is explained before the first write for it, and listed after that write.
    if !shared.proxy.services.contains(service) && !shared.proxy.explanations.is_explained(service) {
        if !snapshot.status.progress.complete || snapshot.changes.are_queued() {
            return unknown("not found, but there are changes of the cluster that the control loop has not taken yet");
        }
        let body = json!({"message": format!("Service {service} not found")});
        return (StatusCode::NOT_FOUND, [JSON, NOSNIFF], body.to_string()).into_response();
    }
    if snapshot.status.hns_version.is_none() {
        let explanation = Explanation::before_audit(service.clone());
        return page(&PublishedExplanation { explanation, age_seconds: Some(Duration::ZERO.as_secs_f64()) });
    }
    let Some(mut published) = shared.proxy.explanations.get(service, snapshot.now.elapsed) else {
        return unknown("the control loop is busy, or waiting for an HNS call");
    };
    // It may have changed for all Services since.
    if published.explanation.hns != HnsView::NotAudited {
        let is_unavailable = snapshot.status.audit_error().is_some();
        published.explanation.hns = if is_unavailable { HnsView::Unavailable } else { HnsView::Known };
    }
    page(&published)
}
