//! Sends Events to the API server.

use std::sync::Arc;
use std::time::Duration;

use cluster_source::cluster::Access;
use cluster_source::error_chain;
use http::{Method, Request, header};
use http_body_util::{BodyExt, Limited};
use jiff::Timestamp;
use kube::Client;
use kube::client::Body;
use serde::Deserialize;
use serde_json::Value;
use tokio::time::{Instant, sleep, timeout};
use tracing::{debug, warn};

use super::correlator::Correlated;
use super::{Reporter, document};
use crate::metrics::Metrics;

const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
/// In bytes: more than the `Status` or the Event of any response.
const MAX_BODY: usize = 64 << 10;
/// As in client-go: an Event is tried 12 times, 10 s apart, and then given up.
const MAX_TRIES: usize = 12;
const RETRY_AFTER: Duration = Duration::from_secs(10);

pub(super) struct Sink {
    access: Arc<Access>,
    reporter: Reporter,
    metrics: Arc<Metrics>,
    /// The last refusal, which is logged once.
    refused: Option<String>,
}

/// The result of a request.
enum Answer {
    Accepted,
    /// The Event, or its namespace, does not exist.
    NotFound,
    /// A retry would not help.
    Refused(String),
    Unavailable(String),
}

impl Sink {
    pub(super) fn new(access: Arc<Access>, reporter: Reporter, metrics: Arc<Metrics>) -> Self {
        Self { access, reporter, metrics, refused: None }
    }

    pub(super) fn count_dropped(&self, count: u64) {
        self.metrics.events("dropped", count);
    }

    /// Sends an Event. Retries while the API server is unavailable.
    pub(super) async fn send(&mut self, event: &Correlated) {
        for _ in 0..MAX_TRIES {
            match self.try_to_send(event).await {
                Answer::Accepted => {
                    self.refused = None;
                    return self.metrics.events("sent", 1);
                }
                Answer::Refused(why) => {
                    if self.refused.as_ref() != Some(&why) {
                        warn!(
                            "cannot send Events: {why}; bind the ClusterRole system:node-proxier to the user of hnsproxy"
                        );
                        self.refused = Some(why);
                    }
                    break;
                }
                Answer::Unavailable(why) => debug!("cannot send an Event: {why}; will retry"),
                Answer::NotFound => {}
            }
            sleep(RETRY_AFTER).await;
        }
        self.metrics.events("failed", 1);
    }

    async fn try_to_send(&mut self, event: &Correlated) -> Answer {
        let now = Timestamp::now();
        let (namespace, name) = document::key(event, &self.reporter);
        let path = format!("/apis/events.k8s.io/v1/namespaces/{namespace}/events");
        if let Some(count) = event.series_count {
            let (path, content_type) = (format!("{path}/{name}"), "application/strategic-merge-patch+json");
            match self.request(Method::PATCH, &path, content_type, &document::patch(count, now)).await {
                // The API server deletes Events after an hour by default. Then the series needs a new one.
                Answer::NotFound => {}
                answer => return answer,
            }
        }
        let document = document::create(event, &self.reporter, now);
        match self.request(Method::POST, &path, "application/json", &document).await {
            Answer::NotFound => Answer::Refused(format!("namespace {namespace} not found")),
            answer => answer,
        }
    }

    async fn request(&mut self, method: Method, path: &str, content_type: &str, body: &Value) -> Answer {
        let (client, api_version) = match self.access.client().await {
            Ok(client) => client,
            Err(error) => return Answer::Unavailable(error_chain(&error)),
        };
        let asked = method.clone();
        let request = Request::builder().method(method).uri(path).header(header::CONTENT_TYPE, content_type);
        let Ok(request) = request.body(Body::from(body.to_string().into_bytes())) else {
            return Answer::Refused("invalid request".to_owned());
        };
        let started = Instant::now();
        let answered = timeout(REQUEST_TIMEOUT, exchange(&client, request)).await;
        let code = answered.as_ref().ok().and_then(|answer| Some(answer.as_ref().ok()?.0));
        self.metrics.rest_request(self.access.host(), asked.as_str(), code, started.elapsed());
        match answered {
            // 409: an earlier try was accepted, and only its answer was lost.
            Ok(Ok((200..=299 | 409, _))) => Answer::Accepted,
            Ok(Ok((404, _))) => Answer::NotFound,
            Ok(Ok((401, message))) => {
                self.access.renew(api_version).await;
                Answer::Unavailable(message)
            }
            Ok(Ok((429 | 500.., message))) => Answer::Unavailable(message),
            Ok(Ok((_, message))) => Answer::Refused(message),
            Ok(Err(error)) => Answer::Unavailable(error_chain(&error)),
            Err(_) => Answer::Unavailable("no answer".to_owned()),
        }
    }
}

/// Sends a request, and returns the code of the response and the message of its body.
async fn exchange(client: &Client, request: Request<Body>) -> Result<(u16, String), kube::Error> {
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Status {
        message: String,
    }
    let response = client.send(request).await?;
    let code = response.status();
    // A proxy may send a body without an end. Without the body, the code has to do.
    let body = Limited::new(response.into_body(), MAX_BODY).collect().await;
    let status: Status = body.ok().and_then(|body| serde_json::from_slice(&body.to_bytes()).ok()).unwrap_or_default();
    Ok((code.as_u16(), if status.message.is_empty() { code.to_string() } else { status.message }))
}
