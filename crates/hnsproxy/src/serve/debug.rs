//! Diagnostic pages: flags, the explanation of a Service, the verbosity of the log.

use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use http::{Method, StatusCode};
use proxy::Explanation;
use proxy::model::ServiceName;
use serde_json::json;
use tokio::sync::oneshot;

use super::header::{JSON, NOSNIFF, TEXT};
use super::{ExplainRequest, Shared};
use crate::log;

/// How long the control loop may take to explain a Service: less than the timeout of `hnsproxy explain`.
const EXPLAIN_TIMEOUT: Duration = Duration::from_secs(5);

/// Every flag of kube-proxy with its effective value.
pub(super) async fn flagz(State(shared): State<Arc<Shared>>) -> Response {
    let mut page = String::from(
        "kube-proxy flagz\nWarning: This endpoint is not meant to be machine parseable, has no formatting compatibility \
         guarantees and is for debugging purposes only.\n\n",
    );
    for (flag, value) in &shared.settings.flags {
        let _ = writeln!(page, "{flag}={value}");
    }
    ([TEXT, NOSNIFF], page).into_response()
}

pub(super) async fn explain(
    State(shared): State<Arc<Shared>>,
    Path((namespace, name)): Path<(String, String)>,
) -> Response {
    let service = ServiceName::new(namespace, name);
    match explanation(&shared, &service).await {
        Ok(Some(explanation)) => ([JSON], serde_json::to_string(&explanation).unwrap_or_default()).into_response(),
        Ok(None) => {
            let body = json!({"message": format!("Service {service} not found")});
            (StatusCode::NOT_FOUND, [JSON], body.to_string()).into_response()
        }
        Err(reason) => (StatusCode::SERVICE_UNAVAILABLE, [TEXT, NOSNIFF], reason).into_response(),
    }
}

async fn explanation(shared: &Shared, service: &ServiceName) -> Result<Option<Explanation>, &'static str> {
    let Ok(_permit) = shared.explanations.try_acquire() else {
        return Err("too many requests to explain a Service; retry later\n");
    };
    let (reply, answer) = oneshot::channel();
    (shared.proxy.explain)(ExplainRequest { service: service.clone(), reply });
    match tokio::time::timeout(EXPLAIN_TIMEOUT, answer).await {
        Ok(Ok(explanation)) => Ok(explanation.map(|explanation| *explanation)),
        Ok(Err(_)) => Err("hnsproxy is shutting down\n"),
        Err(_) => Err("the control loop is busy, or waiting for an HNS call; see /readyz\n"),
    }
}

/// The flags that can be changed while hnsproxy runs.
pub(super) async fn flags() -> Response {
    ([TEXT, NOSNIFF], "v: the verbosity of the log; PUT a number to /debug/flags/v\n").into_response()
}

/// Answers as kube-proxy does.
pub(super) async fn verbosity(method: Method, body: String) -> Response {
    let (code, text) = match (method, body.trim().parse()) {
        (Method::PUT, Ok(verbosity)) => {
            log::set_verbosity(verbosity);
            (StatusCode::OK, format!("successfully set klog.logging.verbosity to {verbosity}"))
        }
        (Method::PUT, Err(error)) => {
            (StatusCode::BAD_REQUEST, format!("failed set klog.logging.verbosity {}: {error}", body.trim()))
        }
        _ => (StatusCode::NOT_ACCEPTABLE, "unsupported http method".to_owned()),
    };
    (code, [TEXT, NOSNIFF], text).into_response()
}
