//! Diagnostic pages: flags, the explanation of a packet, the verbosity of the log.

use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{RawQuery, State};
use axum::response::{IntoResponse, Response};
use http::{Method, StatusCode};
use tokio::sync::oneshot;

use super::header::{JSON, NOSNIFF, TEXT};
use super::{ObservationRequest, Shared};
use crate::log;
use crate::packet::{Observation, PacketExplanation, Question};

/// How long the control loop may take to answer: less than the timeout of `hnsproxy explain packet`.
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

pub(super) async fn packet(State(shared): State<Arc<Shared>>, RawQuery(query): RawQuery) -> Response {
    let question = match Question::from_query(query.as_deref().unwrap_or_default()) {
        Ok(question) => question,
        Err(error) => return (StatusCode::BAD_REQUEST, [TEXT, NOSNIFF], format!("{error}\n")).into_response(),
    };
    match packet_explanation(&shared, question).await {
        Ok(explanation) => ([JSON], serde_json::to_string(&explanation).unwrap_or_default()).into_response(),
        Err(reason) => (StatusCode::SERVICE_UNAVAILABLE, [TEXT, NOSNIFF], reason).into_response(),
    }
}

async fn packet_explanation(shared: &Shared, question: Question) -> Result<PacketExplanation, &'static str> {
    let permit = shared.explanations.clone().try_acquire_owned();
    let permit = permit.map_err(|_| "too many requests for explanations; retry later\n")?;
    let observation = observation(shared).await?;
    // With thousands of load balancers this takes about a second. Other pages and the control loop must not wait for it. It continues if the
    // client disconnects, so it keeps the permit.
    let explained = tokio::task::spawn_blocking(move || {
        let _permit = permit;
        observation.explain(&question)
    });
    explained.await.map_err(|_| "cannot explain the packet; see the log\n")
}

/// Asks the control loop.
async fn observation(shared: &Shared) -> Result<Box<Observation>, &'static str> {
    let (reply, answer) = oneshot::channel();
    (shared.proxy.observe)(ObservationRequest(reply));
    match tokio::time::timeout(EXPLAIN_TIMEOUT, answer).await {
        Ok(Ok(answer)) => answer,
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
