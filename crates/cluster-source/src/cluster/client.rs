//! The HTTP client of the API server, with TLS, directly or through a proxy.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD as BASE64;
use http::{HeaderValue, Uri};
use hyper::rt::{Read, Write};
use hyper_rustls::{DefaultServerNameResolver, FixedServerNameResolver, HttpsConnector, ResolveServerName};
use hyper_util::client::legacy::connect::proxy::{SocksV5, Tunnel};
use hyper_util::client::legacy::connect::{Connection, HttpConnector};
use hyper_util::rt::TokioExecutor;
use kube::client::ConfigExt;
use kube::{Client, Config};
use percent_encoding::percent_decode_str;
use rustls::ClientConfig;
use tower::{BoxError, Service, ServiceBuilder};

use super::access_error::AccessError;
use super::tls;

/// After this time without a connection, the server counts as unavailable.
pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// TCP keepalive: time, interval and retries. A watch may receive nothing for minutes, and a server that lost power never closes the connection.
const KEEPALIVE: (Duration, Duration, u32) = (Duration::from_secs(15), Duration::from_secs(5), 3);
/// Bytes of a response that a connection buffers. A connection never shrinks its buffer, so one long list with hyper's default limit would
/// cost memory permanently.
const READ_BUFFER: usize = 64 * 1024;

/// Creates a client, on a thread that may block, since this may read the certificates that the system trusts.
pub(super) async fn create(config: Config) -> Result<Client, AccessError> {
    match tokio::task::spawn_blocking(move || build(&config)).await {
        Ok(made) => made,
        Err(error) => Err(AccessError::Runtime(error.into())),
    }
}

/// Uses kube's client with our own connections: TLS as in Go's clients, and TCP keepalive, which detects a server that disappeared without
/// closing its connections.
fn build(config: &Config) -> Result<Client, AccessError> {
    let https = Https::new(config)?;
    let Some(proxy) = config.proxy_url.clone() else { return client(config, https.over(tcp())) };
    let credentials = credentials(&proxy);
    match proxy.scheme_str() {
        Some("socks5") => {
            let socks = SocksV5::new(proxy, tcp());
            let socks = match credentials {
                Some((user, password)) => socks.with_auth(user, password),
                None => socks,
            };
            client(config, https.over(socks))
        }
        // As in Go, the certificates that are trusted for the API server are trusted for its proxy too.
        Some("https") => client(config, https.over(with_auth(Tunnel::new(proxy, https.over(tcp())), credentials))),
        _ => client(config, https.over(with_auth(Tunnel::new(proxy, tcp()), credentials))),
    }
}

/// TLS for URLs of the scheme `https`.
struct Https {
    tls: Arc<ClientConfig>,
    server_name: Arc<dyn ResolveServerName + Send + Sync>,
}

impl Https {
    fn new(config: &Config) -> Result<Self, AccessError> {
        let server_name: Arc<dyn ResolveServerName + Send + Sync> = match tls::server_name(config)? {
            Some(name) => Arc::new(FixedServerNameResolver::new(name)),
            None => Arc::new(DefaultServerNameResolver::default()),
        };
        Ok(Self { tls: Arc::new(tls::client_config(config)?), server_name })
    }

    /// Adds TLS to the connections of a connector, for URLs of the scheme `https`.
    fn over<C>(&self, connector: C) -> HttpsConnector<C> {
        HttpsConnector::new(connector, self.tls.clone(), false, self.server_name.clone())
    }
}

fn tcp() -> HttpConnector {
    let mut connector = HttpConnector::new();
    let (time, interval, retries) = KEEPALIVE;
    connector.enforce_http(false);
    connector.set_nodelay(true);
    connector.set_connect_timeout(Some(CONNECT_TIMEOUT));
    connector.set_keepalive(Some(time));
    connector.set_keepalive_interval(Some(interval));
    connector.set_keepalive_retries(Some(retries));
    connector
}

/// The user and the password in the URL of a proxy.
fn credentials(proxy: &Uri) -> Option<(String, String)> {
    let (userinfo, _) = proxy.authority()?.as_str().rsplit_once('@')?;
    let (user, password) = userinfo.split_once(':').unwrap_or((userinfo, ""));
    let decode = |text| percent_decode_str(text).decode_utf8_lossy().into_owned();
    Some((decode(user), decode(password)))
}

fn with_auth<C>(tunnel: Tunnel<C>, credentials: Option<(String, String)>) -> Tunnel<C> {
    let header = credentials.and_then(|(user, password)| {
        HeaderValue::from_str(&format!("Basic {}", BASE64.encode(format!("{user}:{password}")))).ok()
    });
    match header {
        Some(header) => tunnel.with_auth(header),
        None => tunnel,
    }
}

fn client<C>(config: &Config, connector: C) -> Result<Client, AccessError>
where
    C: Service<Uri> + Clone + Send + Sync + 'static,
    C::Response: Connection + Read + Write + Send + Unpin + 'static,
    C::Future: Send + Unpin + 'static,
    C::Error: Into<BoxError>,
{
    let refused = |source| AccessError::Client(Box::new(source));
    let service = ServiceBuilder::new()
        .layer(config.base_uri_layer())
        .option_layer(config.auth_layer().map_err(refused)?)
        .layer(config.extra_headers_layer().map_err(refused)?)
        .map_err(BoxError::from)
        .service(
            hyper_util::client::legacy::Client::builder(TokioExecutor::new())
                .http1_max_buf_size(READ_BUFFER)
                .build(connector),
        );
    Ok(Client::new(service, config.default_namespace.clone()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_credentials_of_a_proxy_are_decoded() {
        let read = |url: &str| credentials(&url.parse().unwrap());
        let pair = |user: &str, password: &str| Some((user.to_owned(), password.to_owned()));
        assert_eq!(read("http://p:3128"), None);
        assert_eq!(read("http://user@p:3128"), pair("user", ""));
        assert_eq!(read("http://user:pa%40ss%3Aword@p:3128"), pair("user", "pa@ss:word"));
    }
}
