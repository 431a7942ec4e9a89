//! Pages that say, or change, more than Prometheus needs: flags, questions about a Service, how much is logged.

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
use super::{Question, Shared};
use crate::log;

/// How long the thread that programs HNS may take to explain a Service: whoever asks gives up soon after.
const PATIENCE: Duration = Duration::from_secs(5);

/// Every flag of kube-proxy with the value that counts.
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

/// Why a Service is as it is.
pub(super) async fn explain(
    State(shared): State<Arc<Shared>>,
    Path((namespace, name)): Path<(String, String)>,
) -> Response {
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

/// Which flags can be changed.
pub(super) async fn flags() -> Response {
    ([TEXT, NOSNIFF], "v: how much is logged; PUT a number to /debug/flags/v\n").into_response()
}

/// Changes how much is logged.
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
