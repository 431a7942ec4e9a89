//! What is answered at the address of metrics.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use http::{HeaderName, StatusCode, header};
use proxy::Explanation;
use proxy::model::ServiceName;
use serde_json::json;
use tokio::sync::oneshot;

use super::ready::{self, Readiness};
use super::{NOSNIFF, Question, Shared};

const JSON: (HeaderName, &str) = (header::CONTENT_TYPE, "application/json");
const TEXT: (HeaderName, &str) = (header::CONTENT_TYPE, "text/plain; charset=utf-8");
/// How long the thread that programs HNS may take to explain a Service: whoever asks gives up soon after.
const PATIENCE: Duration = Duration::from_secs(5);

pub(super) fn router(shared: Arc<Shared>) -> Router {
    Router::new()
        .route("/healthz", any(|| async { ([TEXT, NOSNIFF], "ok") }))
        .route("/healthz/ping", any(|| async { ([TEXT, NOSNIFF], "ok") }))
        .route("/proxyMode", any(|| async { ([TEXT, NOSNIFF], "kernelspace") }))
        .route("/configz", any(configz))
        .route("/readyz", any(readyz))
        .route("/statusz", any(statusz))
        .route("/debug/explain/{namespace}/{name}", any(explain))
        .with_state(shared)
}

async fn configz(State(shared): State<Arc<Shared>>) -> Response {
    let body = json!({"kubeproxy.config.k8s.io": shared.settings.configuration});
    ([JSON], body.to_string()).into_response()
}

async fn readyz(State(shared): State<Arc<Shared>>) -> Response {
    let readiness = Readiness::of(&shared.proxy.board.view(), (shared.proxy.overdue)());
    let code = if readiness.ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (code, [JSON, NOSNIFF], serde_json::to_string_pretty(&readiness).unwrap_or_default()).into_response()
}

async fn statusz(State(shared): State<Arc<Shared>>) -> Response {
    ([TEXT, NOSNIFF], ready::page(&shared.proxy.board.view(), (shared.proxy.overdue)())).into_response()
}

async fn explain(State(shared): State<Arc<Shared>>, Path((namespace, name)): Path<(String, String)>) -> Response {
    let service = ServiceName::new(namespace, name);
    match ask(&shared, &service).await {
        Ok(Some(explanation)) => ([JSON], serde_json::to_string(&explanation).unwrap_or_default()).into_response(),
        Ok(None) => {
            let body = json!({"message": format!("there is no Service {service}")});
            (StatusCode::NOT_FOUND, [JSON], body.to_string()).into_response()
        }
        Err(reason) => (StatusCode::SERVICE_UNAVAILABLE, [TEXT, NOSNIFF], reason).into_response(),
    }
}

async fn ask(shared: &Shared, service: &ServiceName) -> Result<Option<Explanation>, &'static str> {
    let Ok(_turn) = shared.turns.try_acquire() else {
        return Err("several Services are being explained; ask again later\n");
    };
    let (reply, answer) = oneshot::channel();
    (shared.proxy.ask)(Question { service: service.clone(), reply });
    match tokio::time::timeout(PATIENCE, answer).await {
        Ok(Ok(explanation)) => Ok(explanation.map(|explanation| *explanation)),
        Ok(Err(_)) => Err("the program ends\n"),
        Err(_) => Err("the thread that programs HNS is busy, or HNS does not answer it; see /readyz\n"),
    }
}
