//! Carries questions to the API server and answers back.

use std::cell::RefCell;
use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use http::header::{ACCEPT, RETRY_AFTER};
use http_body_util::BodyExt;
use kube::client::{AuthError, Body};
use tokio::time::{Instant, sleep, timeout};

use super::access::Access;
use super::answer::Garbage;
use super::failure::Failure;
use super::follower::Request;
use super::kind::{Kind, Selection};
use super::limiter::Limiter;
use super::observer::RequestObserver;
use super::refusal::Refusal;
use crate::error_chain;

/// How everything is asked, as metrics name it.
const METHOD: &str = "GET";
/// How long the head of an answer may take, and each piece of a list.
const ANSWER: Duration = Duration::from_secs(30);
/// How long a watch may be silent. Servers send a bookmark about once a minute; a connection that nobody holds any more says nothing.
const SILENCE: Duration = Duration::from_secs(100);
/// How many objects a page has.
const PAGE: &str = "500";
/// How long a watch lasts at least, in seconds, and at most twice: the server ends it then, and the next one begins.
const WATCH: f64 = 300.0;
/// How long a line may be: that of the largest object that a server can hold is below two megabytes.
const LONGEST_LINE: usize = 16 << 20;

/// The connection to the API server, shared by all that follow.
pub(super) struct Connection {
    access: Arc<Access>,
    limiter: RefCell<Limiter>,
    observer: Arc<dyn RequestObserver>,
    start: Instant,
}

impl Connection {
    pub(super) fn new(access: Arc<Access>, limiter: Limiter, observer: Arc<dyn RequestObserver>) -> Self {
        Self { access, limiter: RefCell::new(limiter), observer, start: Instant::now() }
    }

    /// The URL of the server, for messages.
    pub(super) fn server(&self) -> &str {
        self.access.server()
    }

    /// The time since the connection was made ready.
    pub(super) fn now(&self) -> Duration {
        self.start.elapsed()
    }

    /// Sends a request; the answer is one of success.
    pub(super) async fn send<K: Kind>(&self, request: &Request, selection: &Selection) -> Result<Answer, Failure> {
        let wait = self.limiter.borrow_mut().take(self.now());
        sleep(wait).await;
        self.observer.rate_limited(self.access.host(), METHOD, wait);
        let (client, generation) = self.access.client().await.map_err(|error| Failure::Access(error_chain(&error)))?;
        let query = query(request, selection, fastrand::f64());
        let built = http::Request::get(format!("{}?{query}", K::PATH)).header(ACCEPT, "application/json");
        let built = built.body(Body::empty()).map_err(|error| Failure::Connection(error.to_string()))?;
        let begun = self.now();
        let answered = timeout(ANSWER, client.send(built)).await;
        let code = answered.as_ref().ok().and_then(|answer| Some(answer.as_ref().ok()?.status().as_u16()));
        self.observer.answered(self.access.host(), METHOD, code, self.now().saturating_sub(begun));
        let result = match answered {
            Err(_) => Err(Failure::Silent),
            Ok(Err(error)) => Err(Failure::of(error)),
            Ok(Ok(response)) if response.status().is_success() => Ok(Answer { body: response.into_body() }),
            Ok(Ok(response)) => {
                let code = response.status().as_u16();
                let retry_after = response.headers().get(RETRY_AFTER);
                let retry_after = retry_after.and_then(|value| value.to_str().ok()?.parse().ok());
                let body = Answer { body: response.into_body() }.whole().await.unwrap_or_default();
                Err(Failure::Refused(Refusal::read(code, retry_after, &body)))
            }
        };
        if result.as_ref().is_err_and(Failure::concerns_credentials) {
            self.access.renew(generation).await;
        }
        result
    }
}

/// An answer on its way.
pub(super) struct Answer {
    body: Body,
}

impl Answer {
    /// All of it.
    pub(super) async fn whole(mut self) -> Result<Vec<u8>, Failure> {
        let mut whole = Vec::new();
        while let Some(piece) = timeout(ANSWER, self.piece()).await.map_err(|_| Failure::Silent)? {
            whole.extend_from_slice(&piece?);
        }
        Ok(whole)
    }

    /// The next piece; none at the end.
    async fn piece(&mut self) -> Option<Result<impl AsRef<[u8]> + std::ops::Deref<Target = [u8]>, Failure>> {
        loop {
            match self.body.frame().await? {
                // Trailers say nothing.
                Ok(frame) => match frame.into_data() {
                    Ok(data) => return Some(Ok(data)),
                    Err(_) => continue,
                },
                Err(error) => {
                    return Some(Err(match Failure::of(error) {
                        Failure::Connection(why) => Failure::Cut(why),
                        failure => failure,
                    }));
                }
            }
        }
    }

    /// Lines, as they come.
    pub(super) fn lines(self) -> Lines {
        Lines { answer: self, rest: Vec::new(), begin: 0 }
    }
}

/// The lines of an answer.
pub(super) struct Lines {
    answer: Answer,
    /// What has come and was not handed over yet, after `begin`.
    rest: Vec<u8>,
    begin: usize,
}

/// What is heard of a watch.
pub(super) enum Heard<'a> {
    /// A whole line.
    Line(&'a [u8]),
    /// The server has ended the answer. Half a line says nothing.
    End,
    /// Nothing has come for long.
    Silence,
}

impl Lines {
    /// The next line.
    pub(super) async fn next(&mut self) -> Result<Heard<'_>, Failure> {
        let mut searched = self.begin;
        loop {
            let unsearched = self.rest.get(searched..).unwrap_or_default();
            if let Some(length) = unsearched.iter().position(|byte| *byte == b'\n') {
                let (begin, end) = (self.begin, searched + length);
                self.begin = end + 1;
                return Ok(Heard::Line(self.rest.get(begin..end).unwrap_or_default()));
            }
            self.rest.drain(..self.begin);
            self.begin = 0;
            searched = self.rest.len();
            if searched > LONGEST_LINE {
                return Err(Garbage::new("a line without end", &self.rest).into());
            }
            match timeout(SILENCE, self.answer.piece()).await {
                Err(_) => return Ok(Heard::Silence),
                Ok(None) => return Ok(Heard::End),
                Ok(Some(piece)) => self.rest.extend_from_slice(&piece?),
            }
        }
    }
}

/// The parameters of a request. `chance` is anything from 0 to 1.
fn query(request: &Request, selection: &Selection, chance: f64) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    if !selection.labels.is_empty() {
        query.append_pair("labelSelector", selection.labels);
    }
    if !selection.fields.is_empty() {
        query.append_pair("fieldSelector", &selection.fields);
    }
    if matches!(request, Request::Stream | Request::Watch(_)) {
        let seconds = (WATCH * (1.0 + chance)) as u32;
        query.append_pair("watch", "true").append_pair("allowWatchBookmarks", "true");
        query.append_pair("timeoutSeconds", &seconds.to_string());
    }
    match request {
        Request::Page(next) => {
            query.append_pair("limit", PAGE);
            if let Some(next) = next {
                query.append_pair("continue", next);
            }
        }
        Request::Stream => {
            query.append_pair("sendInitialEvents", "true").append_pair("resourceVersionMatch", "NotOlderThan");
        }
        Request::Confirm(version) => {
            query.append_pair("limit", "1").append_pair("resourceVersion", version);
            query.append_pair("resourceVersionMatch", "NotOlderThan");
        }
        Request::Watch(version) => {
            query.append_pair("resourceVersion", version);
        }
    }
    query.finish()
}

impl Failure {
    /// What the client says, by what it holds.
    fn of(error: kube::Error) -> Self {
        let mut innermost: &(dyn Error + 'static) = &error;
        loop {
            if let Some(refused) = innermost.downcast_ref::<AuthError>() {
                return Failure::Access(format!(
                    "the credentials of the kubeconfig can't be used: {}",
                    error_chain(refused)
                ));
            }
            if let Some(tls) = innermost.downcast_ref::<rustls::Error>() {
                return match tls {
                    rustls::Error::InvalidCertificate(_) | rustls::Error::AlertReceived(_) => {
                        Failure::Certificate(tls.to_string())
                    }
                    _ => Failure::Connection(tls.to_string()),
                };
            }
            // An error of input and output answers for its cause with that one's cause, not with itself.
            let held = innermost.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
            match held.map(|held| held as &(dyn Error + 'static)).or_else(|| innermost.source()) {
                Some(cause) => innermost = cause,
                None => return Failure::Connection(innermost.to_string()),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::kind::{Nodes, Services, Slices};
    use super::*;

    #[test]
    fn each_request_says_what_it_is_for() {
        let services = Services::selection("n");
        assert_eq!(
            query(&Request::Stream, &services, 0.0),
            "labelSelector=%21service.kubernetes.io%2Fservice-proxy-name&fieldSelector=spec.clusterIP%21%3DNone&watch=true\
             &allowWatchBookmarks=true&timeoutSeconds=300&sendInitialEvents=true&resourceVersionMatch=NotOlderThan"
        );
        let slices = Slices::selection("n");
        assert_eq!(
            query(&Request::Page(Some("a=b".into())), &slices, 0.0),
            "labelSelector=%21service.kubernetes.io%2Fheadless&limit=500&continue=a%3Db"
        );
        let node = Nodes::selection("win-1");
        assert_eq!(
            query(&Request::Watch("7".into()), &node, 1.0),
            "fieldSelector=metadata.name%3Dwin-1&watch=true&allowWatchBookmarks=true&timeoutSeconds=600&resourceVersion=7"
        );
        assert_eq!(
            query(&Request::Confirm("7".into()), &node, 0.0),
            "fieldSelector=metadata.name%3Dwin-1&limit=1&resourceVersion=7&resourceVersionMatch=NotOlderThan"
        );
    }
}
