//! One HTTP connection: answers its requests, and ends it if its client takes too long, or if it has to make room for another one.

use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;

use axum::Router;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Collected};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use super::connections::Connection;
use super::header::{NOSNIFF, TEXT};
use super::tls::{Accepted, Tls};
use crate::http_client::PLAIN_HTTP;

/// The bytes of a request line and its headers. With 512 connections, the read buffers take 8 MiB.
const MAX_HEAD: usize = 16 << 10;

/// Why a connection was closed that the client had not closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cause {
    Timeout,
    /// The connection or memory limit was reached, and this connection was closed for a newer one or for another response.
    Limit,
}

impl Cause {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Timeout => "timeout",
            Self::Limit => "limit",
        }
    }
}

/// Answers requests until the client closes the connection, or `stopped` is closed and the request in progress is answered. With TLS, the
/// deadline of the first request includes the handshake.
pub(super) async fn serve(
    stream: TcpStream,
    tls: Option<Arc<Tls>>,
    router: Router,
    mut connection: Connection,
    mut stopped: watch::Receiver<()>,
) -> Option<Cause> {
    let Some(tls) = tls else {
        return answer(stream, router, connection, stopped).await;
    };
    let accepted = tokio::select! {
        accepted = tls.accept(stream) => accepted,
        _ = &mut connection.evicted => return Some(Cause::Limit),
        () = sleep_until(connection.slot.deadline()) => return Some(Cause::Timeout),
        // No request is in progress yet.
        _ = stopped.changed() => return None,
    };
    match accepted {
        Ok(Accepted::Tls(stream)) => answer(stream, router, connection, stopped).await,
        Ok(Accepted::NotTls(stream)) => answer(stream, refusal(), connection, stopped).await,
        // The client failed the handshake, or the listener has no certificate yet, which the log and /statusz show.
        Err(_) => None,
    }
}

/// The answer to a request without TLS at an address with TLS. It equals that of Go, as in components of Kubernetes with TLS.
fn refusal() -> Router {
    Router::new().fallback(|| async { (StatusCode::BAD_REQUEST, [TEXT, NOSNIFF], PLAIN_HTTP) })
}

async fn answer(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    router: Router,
    connection: Connection,
    mut stopped: watch::Receiver<()>,
) -> Option<Cause> {
    let Connection { slot, mut evicted } = connection;
    let router = TowerToHyperService::new(router);
    let service = service_fn(|request: Request<Incoming>| {
        slot.answering();
        let response = router.call(request);
        async {
            let (head, body) = response.await?.into_parts();
            // Each body is already complete in memory, so this neither waits nor fails.
            let body = body.collect().await.map(Collected::to_bytes).unwrap_or_default();
            // A client that does not read the response counts as idle.
            slot.answered();
            Ok::<_, Infallible>(Response::from_parts(head, slot.answers().keep(body)))
        }
    });
    let mut builder = http1::Builder::new();
    // The timeout of hyper would be the same for the first request as for the time between two.
    builder.header_read_timeout(None).max_buf_size(MAX_HEAD);
    let mut http = pin!(builder.serve_connection(TokioIo::new(stream), service));
    let mut stopping = false;
    loop {
        tokio::select! {
            result = http.as_mut() => return match result {
                // The only error of a service is a body that was dropped.
                Err(error) if error.is_user() => Some(Cause::Limit),
                // All other errors come from the client: the connection failed, or the request was invalid and was rejected.
                _ => None,
            },
            _ = &mut evicted => return Some(Cause::Limit),
            // A later phase has a later deadline, so this never wakes too late.
            () = sleep_until(slot.deadline()) => if slot.deadline() <= Instant::now() {
                return Some(Cause::Timeout);
            },
            // The sender is dropped to stop the connection.
            _ = stopped.changed(), if !stopping => {
                stopping = true;
                http.as_mut().graceful_shutdown();
            }
        }
    }
}
