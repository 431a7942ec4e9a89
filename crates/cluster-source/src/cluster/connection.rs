//! Sends requests to the API server, and reads the responses chunk by chunk.

use std::cell::RefCell;
use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use http::header::{ACCEPT, RETRY_AFTER};
use http_body_util::BodyExt;
use kube::client::{AuthError, Body};
use tokio::time::{Instant, sleep, timeout};

use super::access::Access;
use super::api_status::ApiStatus;
use super::decode::DecodeError;
use super::kind::{Kind, Selection};
use super::rate_limiter::RateLimiter;
use super::request::{Request, query};
use super::request_error::RequestError;
use super::request_observer::RequestObserver;
use crate::error_chain;

/// The method of all requests, for metrics.
const METHOD: &str = "GET";
/// For the head of a response, and for each chunk of a list.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(30);
/// How long a watch may receive nothing. Servers send a bookmark about once a minute, so such a connection is dead.
const WATCH_IDLE_TIMEOUT: Duration = Duration::from_secs(100);
/// In bytes. An object in etcd is smaller than 2 MiB, so a longer line is not a watch event.
const MAX_LINE: usize = 16 << 20;

/// The connection to the API server, shared by the reflectors of all kinds.
pub(super) struct Connection {
    access: Arc<Access>,
    rate_limiter: RefCell<RateLimiter>,
    observer: Arc<dyn RequestObserver>,
    start: Instant,
}

impl Connection {
    pub(super) fn new(access: Arc<Access>, rate_limiter: RateLimiter, observer: Arc<dyn RequestObserver>) -> Self {
        Self { access, rate_limiter: RefCell::new(rate_limiter), observer, start: Instant::now() }
    }

    /// The URL of the server, for messages.
    pub(super) fn server(&self) -> &str {
        self.access.server()
    }

    /// The time since the connection was created. Reflectors share it, so their times are comparable.
    pub(super) fn now(&self) -> Duration {
        self.start.elapsed()
    }

    /// Sends a request once the rate limit allows it. The response has a success code.
    ///
    /// # Errors
    /// If the response has any other code, or there is no response.
    pub(super) async fn send<K: Kind>(
        &self,
        request: &Request,
        selection: &Selection,
    ) -> Result<Response, RequestError> {
        let wait = self.rate_limiter.borrow_mut().reserve(self.now());
        sleep(wait).await;
        self.observer.rate_limited(self.access.host(), METHOD, wait);
        let (client, generation) =
            self.access.client().await.map_err(|error| RequestError::Client(error_chain(&error)))?;
        let query = query(request, selection, fastrand::f64());
        let built = http::Request::get(format!("{}?{query}", K::PATH)).header(ACCEPT, "application/json");
        let built = built.body(Body::empty()).map_err(|error| RequestError::Connect(error.to_string()))?;
        let begun = self.now();
        let answered = timeout(RESPONSE_TIMEOUT, client.send(built)).await;
        let code = answered.as_ref().ok().and_then(|answer| Some(answer.as_ref().ok()?.status().as_u16()));
        self.observer.answered(self.access.host(), METHOD, code, self.now().saturating_sub(begun));
        let result = match answered {
            Err(_) => Err(RequestError::Timeout),
            Ok(Err(error)) => Err(RequestError::of(error)),
            Ok(Ok(response)) if response.status().is_success() => Ok(Response { body: response.into_body() }),
            Ok(Ok(response)) => {
                let code = response.status().as_u16();
                let retry_after = response.headers().get(RETRY_AFTER);
                let retry_after = retry_after.and_then(|value| value.to_str().ok()?.parse().ok());
                let body = Response { body: response.into_body() }.whole().await.unwrap_or_default();
                Err(RequestError::Api(ApiStatus::read(code, retry_after, &body)))
            }
        };
        // Credentials expire, and somebody may have corrected the kubeconfig: the next request reads them again.
        if result.as_ref().is_err_and(RequestError::may_be_credentials) {
            self.access.renew(generation).await;
        }
        result
    }
}

/// A response whose body was not read yet.
pub(super) struct Response {
    body: Body,
}

impl Response {
    pub(super) async fn whole(mut self) -> Result<Vec<u8>, RequestError> {
        let mut whole = Vec::new();
        while let Some(chunk) = timeout(RESPONSE_TIMEOUT, self.chunk()).await.map_err(|_| RequestError::Timeout)? {
            whole.extend_from_slice(&chunk?);
        }
        Ok(whole)
    }

    /// The next chunk; `None` at the end.
    async fn chunk(&mut self) -> Option<Result<impl AsRef<[u8]> + std::ops::Deref<Target = [u8]>, RequestError>> {
        loop {
            match self.body.frame().await? {
                // Trailers have no data.
                Ok(frame) => match frame.into_data() {
                    Ok(data) => return Some(Ok(data)),
                    Err(_) => continue,
                },
                Err(error) => {
                    return Some(Err(match RequestError::of(error) {
                        RequestError::Connect(why) => RequestError::ConnectionLost(why),
                        failure => failure,
                    }));
                }
            }
        }
    }

    pub(super) fn lines(self) -> Lines {
        Lines { response: self, rest: Vec::new(), begin: 0 }
    }
}

/// The lines of a response.
pub(super) struct Lines {
    response: Response,
    /// Received bytes. Those from `begin` on were not returned yet.
    rest: Vec<u8>,
    begin: usize,
}

/// The result of reading from a watch.
pub(super) enum WatchRead<'a> {
    /// A whole line.
    Line(&'a [u8]),
    /// The server ended the response. An incomplete line is dropped.
    End,
    /// Nothing was received for [`WATCH_IDLE_TIMEOUT`].
    Idle,
}

impl Lines {
    pub(super) async fn next(&mut self) -> Result<WatchRead<'_>, RequestError> {
        let mut searched = self.begin;
        loop {
            let unsearched = self.rest.get(searched..).unwrap_or_default();
            if let Some(length) = unsearched.iter().position(|byte| *byte == b'\n') {
                let (begin, end) = (self.begin, searched + length);
                self.begin = end + 1;
                return Ok(WatchRead::Line(self.rest.get(begin..end).unwrap_or_default()));
            }
            self.rest.drain(..self.begin);
            self.begin = 0;
            searched = self.rest.len();
            if searched > MAX_LINE {
                return Err(DecodeError::new("line too long", &self.rest).into());
            }
            match timeout(WATCH_IDLE_TIMEOUT, self.response.chunk()).await {
                Err(_) => return Ok(WatchRead::Idle),
                Ok(None) => return Ok(WatchRead::End),
                Ok(Some(chunk)) => self.rest.extend_from_slice(&chunk?),
            }
        }
    }
}

impl RequestError {
    /// Classifies errors of the client by the types of their causes, never by their texts.
    fn of(error: kube::Error) -> Self {
        let mut innermost: &(dyn Error + 'static) = &error;
        loop {
            if let Some(auth) = innermost.downcast_ref::<AuthError>() {
                return RequestError::Client(format!(
                    "cannot use the credentials of the kubeconfig: {}",
                    error_chain(auth)
                ));
            }
            if let Some(tls) = innermost.downcast_ref::<rustls::Error>() {
                return match tls {
                    rustls::Error::InvalidCertificate(_) | rustls::Error::AlertReceived(_) => {
                        RequestError::Tls(tls.to_string())
                    }
                    _ => RequestError::Connect(tls.to_string()),
                };
            }
            // `io::Error::source` skips the wrapped error, which is the one to classify.
            let wrapped = innermost.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
            match wrapped.map(|error| error as &(dyn Error + 'static)).or_else(|| innermost.source()) {
                Some(cause) => innermost = cause,
                None => return RequestError::Connect(innermost.to_string()),
            }
        }
    }
}
