//! The HTTP client of the API server, with TLS.

use std::time::Duration;

use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use kube::client::{ClientBuilder, ConfigExt};
use kube::{Client, Config};
use tower::{BoxError, ServiceBuilder};

use super::access_error::AccessError;

/// After this time without a connection, the server counts as unavailable.
pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// TCP keepalive: time, interval and retries. A watch may receive nothing for minutes, and a server that lost power never closes the connection.
const KEEPALIVE: (Duration, Duration, u32) = (Duration::from_secs(15), Duration::from_secs(5), 3);
/// Bytes of a response that a connection buffers. A connection never shrinks its buffer, so one long list with hyper's default limit would
/// cost memory permanently. (Behind a proxy, kube's client is used, with its own limit.)
const READ_BUFFER: usize = 64 * 1024;

/// Creates a client, on a thread that may block, since this reads certificates from files.
pub(super) async fn create(config: Config) -> Result<Client, AccessError> {
    let made = tokio::task::spawn_blocking(|| match config.proxy_url {
        Some(_) => ClientBuilder::try_from(config).map(ClientBuilder::build),
        None => direct(&config),
    });
    match made.await {
        Ok(made) => made.map_err(|source| AccessError::Client(Box::new(source))),
        Err(error) => Err(AccessError::Runtime(error.into())),
    }
}

/// A client with TCP keepalive, which detects a server that disappeared without closing its connections. kube's client does not set
/// it.
fn direct(config: &Config) -> Result<Client, kube::Error> {
    let mut connector = HttpConnector::new();
    let (time, interval, retries) = KEEPALIVE;
    connector.enforce_http(false);
    connector.set_nodelay(true);
    connector.set_connect_timeout(Some(CONNECT_TIMEOUT));
    connector.set_keepalive(Some(time));
    connector.set_keepalive_interval(Some(interval));
    connector.set_keepalive_retries(Some(retries));
    let connector = config.rustls_https_connector_with_connector(connector)?;
    let service = ServiceBuilder::new()
        .layer(config.base_uri_layer())
        .option_layer(config.auth_layer()?)
        .layer(config.extra_headers_layer()?)
        .map_err(BoxError::from)
        .service(
            hyper_util::client::legacy::Client::builder(TokioExecutor::new())
                .http1_max_buf_size(READ_BUFFER)
                .build(connector),
        );
    Ok(Client::new(service, config.default_namespace.clone()))
}
