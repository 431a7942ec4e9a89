//! The way to the API server: from `clientConnection`, or from the service account where hnsproxy runs in the cluster.
//!
//! Credentials that are refused are read again from where they come, and so are certificates that do not verify. Nothing is ever sent
//! by a way that is less safe than the one that was asked for.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use http::Uri;
use http::header::{HeaderValue, USER_AGENT};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use kube::client::{ClientBuilder, ConfigExt};
use kube::config::{InClusterError, KubeConfigOptions, Kubeconfig, KubeconfigError};
use kube::{Client, Config};
use tokio::sync::Mutex;
use tower::{BoxError, ServiceBuilder};

/// How long a connection may take to come about.
const CONNECT: Duration = Duration::from_secs(10);
/// After how long a silence the other side is asked whether it is still there, how often, and how many times: a watch says nothing for
/// minutes, and a server that was switched off never ends it.
const KEEPALIVE: (Duration, Duration, u32) = (Duration::from_secs(15), Duration::from_secs(5), 3);

/// How much of an answer a connection holds before it is read on, in bytes: a connection keeps for as long as it lives what its longest
/// list took. (Through a proxy, kube's own client has its own limit.)
const BUFFER: usize = 64 * 1024;

/// How the API server is reached, and how often it may be asked.
#[derive(Debug, Clone, PartialEq)]
pub struct ConnectionOptions {
    /// The kubeconfig file.
    pub kubeconfig: Option<PathBuf>,
    /// A URL that overrides the kubeconfig's. With neither, the service account of the pod is used.
    pub master: Option<String>,
    /// Requests per second; no limit if not above zero.
    pub qps: f32,
    /// Requests in a burst.
    pub burst: u32,
    /// Whether lists are asked for as streams (`sendInitialEvents`), where the server has them.
    pub stream_lists: bool,
    /// The `User-Agent` header.
    pub user_agent: String,
}

/// Why there is no way to the API server.
#[derive(Debug, thiserror::Error)]
pub enum AccessError {
    /// The kubeconfig can't be used.
    #[error("the kubeconfig {} can't be used", path.display())]
    Kubeconfig {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: Box<KubeconfigError>,
    },
    /// There is no kubeconfig, and no service account either.
    #[error(
        "which API server to ask is not known: set --kubeconfig (clientConnection.kubeconfig) or --master, or run in a pod with a \
         service account (KUBERNETES_SERVICE_HOST and _PORT, and token, ca.crt and namespace in \
         /var/run/secrets/kubernetes.io/serviceaccount); or read files by --from"
    )]
    InCluster(#[source] Box<InClusterError>),
    /// The server is no URL.
    #[error("--master={master} is no URL of an API server, such as https://10.0.0.1:6443")]
    Master {
        /// What was given.
        master: String,
        /// Why not.
        #[source]
        source: http::uri::InvalidUri,
    },
    /// No request could ever be made.
    #[error("--kube-api-burst (clientConnection.burst) is 0: with a limit of requests a second, it must be above 0")]
    Burst,
    /// A token that can't be read.
    #[error("the token file {} can't be read", path.display())]
    Token {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// A token file without a token.
    #[error("the token file {} is empty", path.display())]
    NoToken {
        /// The file.
        path: PathBuf,
    },
    /// No client can be made of what the configuration says: certificates, keys, plugins.
    #[error("no client of the API server can be made")]
    Client(#[source] Box<kube::Error>),
    /// The runtime can't be started.
    #[error("the runtime that asks the API server can't be started")]
    Runtime(#[source] std::io::Error),
}

/// The way to the API server.
#[derive(Debug)]
pub struct Access {
    options: ConnectionOptions,
    server: String,
    host: String,
    current: Mutex<Current>,
}

#[derive(Debug)]
struct Current {
    client: Option<Made>,
    /// How many clients were made so far.
    generation: u64,
}

struct Made(Client);

impl std::fmt::Debug for Made {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Client")
    }
}

impl Access {
    /// Reads where the API server is and how it lets us in. Nothing is asked yet, and no token read: it may come later.
    ///
    /// # Errors
    /// Where that can't be known: there is no use in trying again.
    pub fn open(options: &ConnectionOptions) -> Result<Self, AccessError> {
        if options.qps > 0.0 && options.burst == 0 {
            return Err(AccessError::Burst);
        }
        let runtime = tokio::runtime::Builder::new_current_thread().build().map_err(AccessError::Runtime)?;
        let url = runtime.block_on(load(options))?.cluster_url;
        let server = url.to_string().trim_end_matches('/').to_owned();
        let host = url.authority().map(ToString::to_string).unwrap_or_default();
        let current = Mutex::new(Current { client: None, generation: 0 });
        Ok(Self { options: options.clone(), server, host, current })
    }

    /// The server's host and port, as metrics name it.
    pub fn host(&self) -> &str {
        &self.host
    }

    pub(super) fn options(&self) -> &ConnectionOptions {
        &self.options
    }

    /// The URL of the server, for messages.
    pub fn server(&self) -> &str {
        &self.server
    }

    /// The client in use, and the how manieth it is. Made where there is none.
    ///
    /// # Errors
    /// Where none can be made now, which may change.
    pub async fn client(&self) -> Result<(Client, u64), AccessError> {
        let mut current = self.current.lock().await;
        if let Some(Made(client)) = &current.client {
            return Ok((client.clone(), current.generation));
        }
        let mut config = load(&self.options).await?;
        trim_token(&mut config)?;
        let client = make(config).await?;
        current.generation += 1;
        current.client = Some(Made(client.clone()));
        Ok((client, current.generation))
    }

    /// Gives a client up: the next one is made anew, of credentials that are read again.
    pub async fn renew(&self, generation: u64) {
        let mut current = self.current.lock().await;
        if current.generation == generation {
            current.client = None;
        }
    }
}

/// Reads the configuration.
async fn load(options: &ConnectionOptions) -> Result<Config, AccessError> {
    let mut config = match (&options.kubeconfig, &options.master) {
        (Some(path), _) => {
            let refused = |source| AccessError::Kubeconfig { path: path.clone(), source: Box::new(source) };
            let mut kubeconfig = Kubeconfig::read_from(path).map_err(refused)?;
            if let Some(master) = &options.master {
                let clusters = kubeconfig.clusters.iter_mut().filter_map(|named| named.cluster.as_mut());
                clusters.for_each(|cluster| cluster.server = Some(master.clone()));
            }
            Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await.map_err(refused)?
        }
        (None, Some(master)) => Config::new(url(master, false)?),
        (None, None) => Config::incluster().map_err(|source| AccessError::InCluster(Box::new(source)))?,
    };
    if let Some(master) = &options.master {
        config.cluster_url = url(master, config.root_cert.is_some() || config.accept_invalid_certs)?;
    }
    config.connect_timeout = Some(CONNECT);
    // When to ask again is decided in one place.
    config.default_retry = false;
    // A name that no header may have is left out: it is for the server's log only.
    if let Ok(agent) = HeaderValue::from_str(&options.user_agent) {
        config.headers.push((USER_AGENT, agent));
    }
    Ok(config)
}

/// The URL of a server that may be given as host and port alone: with TLS where there is anything to verify it by.
fn url(master: &str, tls: bool) -> Result<Uri, AccessError> {
    let scheme = match master.contains("://") {
        true => "",
        false if tls => "https://",
        false => "http://",
    };
    let refused = |source| AccessError::Master { master: master.to_owned(), source };
    format!("{scheme}{master}").parse().map_err(refused)
}

/// Token files written by hand end with a newline, which no header may have.
fn trim_token(config: &mut Config) -> Result<(), AccessError> {
    let auth = &mut config.auth_info;
    let Some(path) = auth.token_file.as_ref().filter(|_| auth.token.is_none()).map(PathBuf::from) else {
        return Ok(());
    };
    let text = match fs::read_to_string(&path) {
        Ok(text) if text.trim().is_empty() => return Err(AccessError::NoToken { path }),
        Ok(text) => text,
        Err(source) => return Err(AccessError::Token { path, source }),
    };
    if text.trim() != text {
        auth.token = Some(text.trim().to_owned().into());
    }
    Ok(())
}

/// Makes a client. Plugins are run for that, which takes its time.
async fn make(config: Config) -> Result<Client, AccessError> {
    let made = tokio::task::spawn_blocking(|| match config.proxy_url {
        Some(_) => ClientBuilder::try_from(config).map(ClientBuilder::build),
        None => direct(&config),
    });
    match made.await {
        Ok(made) => made.map_err(|source| AccessError::Client(Box::new(source))),
        Err(error) => Err(AccessError::Runtime(error.into())),
    }
}

/// A client that notices when the other side is no longer there.
fn direct(config: &Config) -> Result<Client, kube::Error> {
    let mut connector = HttpConnector::new();
    let (time, interval, retries) = KEEPALIVE;
    connector.enforce_http(false);
    connector.set_nodelay(true);
    connector.set_connect_timeout(Some(CONNECT));
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
                .http1_max_buf_size(BUFFER)
                .build(connector),
        );
    Ok(Client::new(service, config.default_namespace.clone()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(kubeconfig: Option<PathBuf>, master: Option<&str>) -> Result<Access, AccessError> {
        Access::open(&ConnectionOptions {
            kubeconfig,
            master: master.map(str::to_owned),
            qps: 5.0,
            burst: 10,
            stream_lists: true,
            user_agent: "test".to_owned(),
        })
    }

    const KUBECONFIG: &str = "{apiVersion: v1, kind: Config, current-context: c, \
        contexts: [{name: c, context: {cluster: c, user: u}}], \
        clusters: [{name: c, cluster: {server: 'https://10.0.0.1:6443'}}], users: [{name: u, user: {tokenFile: token}}]}";

    #[test]
    fn the_server_is_that_of_the_kubeconfig_or_of_master() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("kubeconfig");
        fs::write(&file, KUBECONFIG).unwrap();
        fs::write(directory.path().join("token"), "secret\n").unwrap();
        let server = |master| open(Some(file.clone()), master).unwrap().server().to_owned();
        assert_eq!(server(None), "https://10.0.0.1:6443");
        assert_eq!(server(Some("https://10.0.0.2")), "https://10.0.0.2");
        assert_eq!(open(None, Some("127.0.0.1:8080")).unwrap().server(), "http://127.0.0.1:8080");
    }

    #[test]
    fn what_can_t_be_used_is_named() {
        let none = open(Some("/nowhere/kubeconfig".into()), None).unwrap_err();
        assert_eq!(none.to_string(), "the kubeconfig /nowhere/kubeconfig can't be used");
        let odd = open(None, Some("http://a b")).unwrap_err();
        assert!(odd.to_string().starts_with("--master=http://a b is no URL"), "{odd}");
        let outside = open(None, None).unwrap_err();
        assert!(outside.to_string().contains("set --kubeconfig"), "{outside}");
    }

    #[test]
    fn a_token_file_may_end_with_a_newline_but_not_be_empty() {
        let directory = tempfile::tempdir().unwrap();
        let token = directory.path().join("token");
        fs::write(&token, "secret\n").unwrap();
        let mut config = Config::new(Uri::from_static("https://10.0.0.1"));
        config.auth_info.token_file = Some(token.display().to_string());
        trim_token(&mut config).unwrap();
        assert!(config.auth_info.token.is_some());
        fs::write(&token, "secret").unwrap();
        config.auth_info.token = None;
        trim_token(&mut config).unwrap();
        assert!(config.auth_info.token.is_none(), "the file is read again now and then");
        fs::write(&token, "\n").unwrap();
        assert!(trim_token(&mut config).unwrap_err().to_string().ends_with("token is empty"));
    }
}
