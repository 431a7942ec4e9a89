//! Sends requests to the API server, and reads the responses chunk by chunk.

use std::cell::RefCell;
use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use http::header::{ACCEPT, ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_LENGTH, RETRY_AFTER};
use http_body_util::BodyExt;
use hyper::body::Bytes;
use kube::client::{AuthError, Body};
use rustls::CertificateError;
use tokio::time::{Instant, sleep, timeout, timeout_at};

use super::access::Access;
use super::api_status::ApiStatus;
use super::decode::DecodeError;
use super::gzip::Gunzip;
use super::kind::{Kind, Selection};
use super::limits::{MAX_ERROR_BODY, MAX_LINE, MAX_PAGE, PAGE_TIMEOUT};
use super::line_buffer::LineBuffer;
use super::rate_limiter::RateLimiter;
use super::request::{Request, path, query};
use super::request_error::{RequestError, TlsFailure};
use super::request_observer::RequestObserver;
use super::tls::ServerCertificateError;
use crate::error_chain;

/// The method of all requests, for metrics.
const METHOD: &str = "GET";
/// The content coding of compressed bodies.
const GZIP: &str = "gzip";
/// How much of a line that is too long is shown: enough for the name of the object.
const BEGIN: usize = 200;

/// The connection to the API server, shared by the reflectors of all kinds.
pub(super) struct Connection {
    access: Arc<Access>,
    rate_limiter: RefCell<RateLimiter>,
    observer: Arc<dyn RequestObserver>,
    response_timeout: Duration,
    start: Instant,
}

impl Connection {
    pub(super) fn new(access: Arc<Access>, rate_limiter: RateLimiter, observer: Arc<dyn RequestObserver>) -> Self {
        let response_timeout = access.options().response_timeout;
        Self { access, rate_limiter: RefCell::new(rate_limiter), observer, response_timeout, start: Instant::now() }
    }

    /// The URL of the server, and the proxy in use: errors may be those of the proxy. For messages.
    pub(super) fn server(&self) -> String {
        match self.access.proxy() {
            Some(proxy) => format!("{} (through proxy {proxy})", self.access.server()),
            None => self.access.server().to_owned(),
        }
    }

    /// The time since the connection was created. Reflectors share it, so their times are comparable.
    pub(super) fn now(&self) -> Duration {
        self.start.elapsed()
    }

    /// Sends a request once the rate limit allows it. The response has code 200.
    ///
    /// # Errors
    /// If the response has any other code than 200, or there is no response.
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
        let mut built =
            http::Request::get(format!("{}?{query}", path(request, K::PATH))).header(ACCEPT, "application/json");
        // API servers compress streamed lists from 1.37 on. Pages are small, and compression costs the server CPU time; it hardly shrinks
        // a single event of a watch.
        if *request == Request::StreamList {
            built = built.header(ACCEPT_ENCODING, GZIP);
        }
        let built = built.body(Body::empty()).map_err(|error| RequestError::Connect(error.to_string()))?;
        let begun = self.now();
        let answered = timeout(self.response_timeout, client.send(built)).await;
        let code = answered.as_ref().ok().and_then(|answer| Some(answer.as_ref().ok()?.status().as_u16()));
        self.observer.answered(self.access.host(), METHOD, code, self.now().saturating_sub(begun));
        let result = match answered {
            Err(_) => Err(RequestError::Timeout),
            Ok(Err(error)) => Err(RequestError::of(error)),
            // Other success codes are for other requests: their bodies are no lists.
            Ok(Ok(response)) if response.status() == StatusCode::OK => {
                Ok(Response::of(response, self.response_timeout))
            }
            Ok(Ok(response)) => {
                let code = response.status().as_u16();
                let retry_after = response.headers().get(RETRY_AFTER);
                let retry_after = retry_after.and_then(|value| value.to_str().ok()?.parse().ok());
                let body = Response::of(response, self.response_timeout).error().await;
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
    /// `None` if the body is not compressed.
    gunzip: Option<Box<Gunzip>>,
    /// The size in bytes that the head names.
    length: Option<usize>,
    /// For each chunk, and for the whole body of an error.
    timeout: Duration,
}

impl Response {
    fn of(response: http::Response<Body>, timeout: Duration) -> Self {
        let length = response.headers().get(CONTENT_LENGTH);
        let length = length.and_then(|length| length.to_str().ok()?.parse().ok());
        let is_compressed = response.headers().get(CONTENT_ENCODING).is_some_and(|coding| coding == GZIP);
        Self { body: response.into_body(), gunzip: is_compressed.then(Box::default), length, timeout }
    }

    /// The body of a page of at most `objects` objects.
    pub(super) async fn page(mut self, objects: usize) -> Result<Vec<u8>, RequestError> {
        if self.length.is_some_and(|length| length > MAX_PAGE) {
            return Err(RequestError::PageTooLarge { objects });
        }
        let read = timeout(PAGE_TIMEOUT, self.read(MAX_PAGE)).await.map_err(|_| RequestError::Timeout)?;
        match read? {
            (body, Read::Whole) => Ok(body),
            (_, Read::Part) => Err(RequestError::PageTooLarge { objects }),
        }
    }

    /// The body of an error, as far as it was received and within its limit: a part of it, or no body, is an error too.
    async fn error(mut self) -> Vec<u8> {
        match timeout(self.timeout, self.read(MAX_ERROR_BODY)).await {
            Ok(Ok((body, _))) => body,
            Ok(Err(_)) | Err(_) => Vec::new(),
        }
    }

    /// Reads the body, or its beginning if it exceeds a limit.
    async fn read(&mut self, limit: usize) -> Result<(Vec<u8>, Read), RequestError> {
        let mut body = Vec::with_capacity(self.length.unwrap_or_default().min(limit));
        while let Some(chunk) = timeout(self.timeout, self.chunk()).await.map_err(|_| RequestError::Timeout)? {
            let chunk = chunk?;
            let fits = limit - body.len();
            if chunk.len() > fits {
                body.extend_from_slice(chunk.get(..fits).unwrap_or_default());
                return Ok((body, Read::Part));
            }
            body.extend_from_slice(&chunk);
        }
        Ok((body, Read::Whole))
    }

    /// The next chunk, decompressed; `None` at the end.
    async fn chunk(&mut self) -> Option<Result<Bytes, RequestError>> {
        loop {
            match self.gunzip.as_mut().map(|gunzip| gunzip.next()) {
                Some(Ok(data)) if !data.is_empty() => return Some(Ok(data.into())),
                Some(Err(error)) => return Some(Err(not_gzip(&error))),
                Some(Ok(_)) | None => {}
            }
            match (self.received().await, &mut self.gunzip) {
                (Some(Ok(data)), Some(gunzip)) => gunzip.push(data),
                (None, Some(gunzip)) => return gunzip.end().err().map(|error| Err(not_gzip(&error))),
                (received, _) => return received,
            }
        }
    }

    /// The next chunk as it was received; `None` at the end.
    async fn received(&mut self) -> Option<Result<Bytes, RequestError>> {
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

    /// The lines of a watch.
    pub(super) fn lines(self) -> Lines {
        Lines { response: self, buffer: LineBuffer::default() }
    }
}

fn not_gzip(error: &std::io::Error) -> RequestError {
    RequestError::ConnectionLost(format!("invalid gzip in the response: {error}"))
}

/// How much of a body was read.
enum Read {
    Whole,
    /// As much as the limit allows.
    Part,
}

/// The lines of a response.
pub(super) struct Lines {
    response: Response,
    buffer: LineBuffer,
}

/// The result of reading from a watch.
pub(super) enum WatchRead<'a> {
    /// A whole line.
    Line(&'a [u8]),
    /// The server ended the response after a whole line.
    End,
    /// No line was received within the timeout.
    Idle,
}

impl Lines {
    /// The next line, if it is received within a timeout.
    pub(super) async fn next(&mut self, timeout: Duration) -> Result<WatchRead<'_>, RequestError> {
        // For the whole line: a connection over which single bytes trickle is as silent.
        let deadline = Instant::now() + timeout;
        loop {
            if let Some(line) = self.buffer.take_line() {
                return Ok(WatchRead::Line(self.buffer.line(line)));
            }
            let rest = self.buffer.rest();
            if rest.len() > MAX_LINE {
                let begin = rest.get(..BEGIN).unwrap_or_default();
                return Err(RequestError::LineTooLong { begin: String::from_utf8_lossy(begin).into_owned() });
            }
            match timeout_at(deadline, self.response.chunk()).await {
                Err(_) => return Ok(WatchRead::Idle),
                Ok(None) if rest.iter().all(u8::is_ascii_whitespace) => return Ok(WatchRead::End),
                // A page of a proxy may have no line end.
                Ok(None) => return Err(DecodeError::new("watch ended within a line", rest).into()),
                Ok(Some(chunk)) => self.buffer.push(&chunk?),
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
                    rustls::Error::InvalidCertificate(refused) => RequestError::Tls(refusal(refused)),
                    rustls::Error::AlertReceived(_) => RequestError::Tls(TlsFailure::Rejected(tls.to_string())),
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

/// Why a certificate of the server was refused, by our verifier or by that of the operating system.
fn refusal(error: &CertificateError) -> TlsFailure {
    match error {
        CertificateError::Other(other) => match other.0.downcast_ref::<ServerCertificateError>() {
            Some(refused) => TlsFailure::Refused(refused.clone()),
            None => TlsFailure::Other(error.to_string()),
        },
        _ => TlsFailure::Other(error.to_string()),
    }
}
