//! Asks the API server what this user may do, and for its time.

use std::sync::{Arc, mpsc};
use std::time::Duration;

use cluster_source::cluster::Access;
use cluster_source::error_chain;
use http::{Request, header};
use http_body_util::{BodyExt, Limited};
use jiff::Timestamp;
use jiff::fmt::rfc2822;
use kube::client::Body;
use serde_json::{Value, json};
use tokio::time::timeout;

use super::facts::{Review, Source};
use crate::background::Background;

const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
/// In bytes: more than any review.
const MAX_BODY: usize = 64 << 10;
const PATH: &str = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews";

/// What a proxy does: the action, whether it is required, verb, API group and resource.
const ACTIONS: [(&str, bool, &str, &str, &str); 7] = [
    ("list services", true, "list", "", "services"),
    ("watch services", true, "watch", "", "services"),
    ("list endpointslices", true, "list", "discovery.k8s.io", "endpointslices"),
    ("watch endpointslices", true, "watch", "discovery.k8s.io", "endpointslices"),
    ("list nodes", true, "list", "", "nodes"),
    ("watch nodes", true, "watch", "", "nodes"),
    ("create events", false, "create", "events.k8s.io", "events"),
];

/// The answers to all questions.
pub(super) struct Answers {
    pub(super) reviews: Source<Vec<Review>>,
    pub(super) clock_ahead_seconds: Source<i64>,
}

impl Answers {
    pub(super) fn unknown(reason: &str) -> Self {
        Self { reviews: Err(reason.to_owned()), clock_ahead_seconds: Err(reason.to_owned()) }
    }
}

/// Asks as the user of the credentials. `node` is the name of the Node.
pub(super) fn ask(access: Arc<Access>, node: Option<String>) -> Answers {
    let background = match Background::start() {
        Ok(background) => background,
        Err(error) => return Answers::unknown(&error_chain(&error)),
    };
    let (sender, answers) = mpsc::channel();
    let _asking = background.spawn(move |_| async move {
        // The receiver waits until the sender is gone.
        drop(sender.send(ask_all(&access, node.as_deref()).await));
    });
    answers.recv().unwrap_or_else(|_| Answers::unknown("the API server was not asked"))
}

async fn ask_all(access: &Access, node: Option<&str>) -> Answers {
    let (mut reviews, mut clock) = (Ok(Vec::new()), Err("the API server sent no time".to_owned()));
    for (action, required, verb, group, resource) in ACTIONS {
        let name = node.filter(|_| resource == "nodes");
        let answer = timeout(REQUEST_TIMEOUT, review(access, verb, group, resource, name)).await;
        let answer = answer.unwrap_or_else(|_| Err("no answer in 10 s".to_owned()));
        let allowed = match answer {
            Ok(Reviewed { allowed, date }) => {
                if let Some(date) = date {
                    clock = Ok(Timestamp::now().duration_since(date).as_secs());
                }
                allowed
            }
            Err(reason) => Err(reason),
        };
        match (allowed, &mut reviews) {
            (Ok(allowed), Ok(reviews)) => reviews.push(Review { action, required, allowed }),
            (Err(reason), _) => {
                reviews = Err(format!("cannot ask the API server what is allowed: {reason}"));
                break;
            }
            (Ok(_), Err(_)) => {}
        }
    }
    Answers { reviews, clock_ahead_seconds: clock }
}

struct Reviewed {
    allowed: Source<bool>,
    /// When the answer was sent.
    date: Option<Timestamp>,
}

async fn review(access: &Access, verb: &str, group: &str, resource: &str, name: Option<&str>) -> Source<Reviewed> {
    let (client, _) = access.client().await.map_err(|error| error_chain(&error))?;
    let mut attributes = json!({"verb": verb, "group": group, "resource": resource});
    if let (Some(name), Some(attributes)) = (name, attributes.as_object_mut()) {
        attributes.insert("name".to_owned(), name.into());
    }
    let body = json!({
        "apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview", "spec": {"resourceAttributes": attributes}
    });
    let request = Request::post(PATH).header(header::CONTENT_TYPE, "application/json");
    let request = request.body(Body::from(body.to_string().into_bytes())).map_err(|error| error_chain(&error))?;
    let response = client.send(request).await.map_err(|error| error_chain(&error))?;
    let date = response.headers().get(header::DATE).and_then(|date| date.to_str().ok()).and_then(date_of);
    let status = response.status();
    if !status.is_success() {
        return Ok(Reviewed { allowed: Err(format!("it answered {status}")), date });
    }
    let body = Limited::new(response.into_body(), MAX_BODY).collect().await;
    let allowed = body.map_err(|error| error.to_string()).and_then(|body| allowed(&body.to_bytes()));
    Ok(Reviewed { allowed, date })
}

/// The decision of a review.
fn allowed(body: &[u8]) -> Source<bool> {
    let review: Value = serde_json::from_slice(body).map_err(|error| format!("invalid review: {error}"))?;
    review.pointer("/status/allowed").and_then(Value::as_bool).ok_or_else(|| "invalid review: no decision".to_owned())
}

/// The time of a `Date` header.
fn date_of(text: &str) -> Option<Timestamp> {
    Some(rfc2822::parse(text).ok()?.timestamp())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_review_has_a_decision() {
        assert_eq!(allowed(br#"{"status": {"allowed": true}}"#), Ok(true));
        assert_eq!(allowed(br#"{"status": {"allowed": false, "reason": "no"}}"#), Ok(false));
        assert!(allowed(b"{}").is_err() && allowed(b"<html>").is_err());
    }

    #[test]
    fn the_date_of_an_answer_is_read() {
        let expected = "2026-11-30T18:23:07Z".parse::<Timestamp>().unwrap();
        assert_eq!(date_of("Mon, 30 Nov 2026 18:23:07 GMT"), Some(expected));
        assert_eq!(date_of("yesterday"), None);
    }
}
