//! Sends Events to the API server.

use std::sync::Arc;
use std::time::Duration;

use cluster_source::cluster::Access;
use cluster_source::error_chain;
use http::{Method, Request, header};
use jiff::Timestamp;
use serde_json::Value;
use tokio::time::{Instant, sleep, timeout};
use tracing::{debug, warn};

use super::correlator::Correlated;
use super::{Reporter, document};
use crate::metrics::Metrics;

const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
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
        let Ok(request) = request.body(body.to_string().into_bytes()) else {
            return Answer::Refused("invalid request".to_owned());
        };
        let started = Instant::now();
        let answered = timeout(REQUEST_TIMEOUT, client.request_text(request)).await;
        let code = match &answered {
            // The client does not hand over the code of a success.
            Ok(Ok(_)) => Some(if asked == Method::POST { 201 } else { 200 }),
            Ok(Err(kube::Error::Api(status))) => Some(status.code),
            Ok(Err(_)) | Err(_) => None,
        };
        self.metrics.rest_request(self.access.host(), asked.as_str(), code, started.elapsed());
        match answered {
            Ok(Ok(_)) => Answer::Accepted,
            Ok(Err(kube::Error::Api(status))) if status.code == 404 => Answer::NotFound,
            // An earlier try was accepted, and only its answer was lost.
            Ok(Err(kube::Error::Api(status))) if status.code == 409 => Answer::Accepted,
            Ok(Err(kube::Error::Api(status))) if status.code == 401 => {
                self.access.renew(api_version).await;
                Answer::Unavailable(status.message)
            }
            Ok(Err(kube::Error::Api(status))) if status.code == 429 || status.code >= 500 => {
                Answer::Unavailable(status.message)
            }
            Ok(Err(kube::Error::Api(status))) => Answer::Refused(status.message),
            Ok(Err(error)) => Answer::Unavailable(error_chain(&error)),
            Err(_) => Answer::Unavailable("no answer".to_owned()),
        }
    }
}
