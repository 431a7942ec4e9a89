//! Access to the API server: one client at a time. When its credentials expire or are rejected, they are read again for a new client.

use std::sync::OnceLock;

use jiff::{SignedDuration, Timestamp};
use kube::Client;
use tokio::sync::Mutex;

use super::access_error::AccessError;
use super::client;
use super::connection_options::ConnectionOptions;
use super::credentials::{self, Loaded, Prepared};
use super::plugin::Runner;
use super::proxy::Environment;
use super::userinfo::hide_userinfo;

/// A client is replaced this long before its credentials expire, so that no request arrives with expired ones.
const RENEW_BEFORE: SignedDuration = SignedDuration::from_secs(10);

/// A token file is read again after this time, as in client-go.
const TOKEN_FILE_PERIOD: SignedDuration = SignedDuration::from_mins(1);

/// Access to the API server. All reflectors share it, so that new credentials are read once for all of them.
#[derive(Debug)]
pub struct Access {
    options: ConnectionOptions,
    environment: Environment,
    /// Not set while the kubeconfig does not exist.
    server: OnceLock<Server>,
    current: Mutex<Current>,
}

/// What is known of the server without the credentials.
#[derive(Debug)]
struct Server {
    url: String,
    host: String,
    proxy: Option<String>,
    insecure_skip_tls_verify: bool,
}

impl Server {
    fn of(loaded: &Loaded) -> Self {
        let url = &loaded.config.cluster_url;
        let proxy = loaded.proxy.as_ref().ok().and_then(Option::as_ref);
        Self {
            url: url.to_string().trim_end_matches('/').to_owned(),
            host: url.authority().map(ToString::to_string).unwrap_or_default(),
            proxy: proxy.map(|proxy| hide_userinfo(proxy.to_string().trim_end_matches('/'))),
            insecure_skip_tls_verify: loaded.config.accept_invalid_certs,
        }
    }
}

#[derive(Debug, Default)]
struct Current {
    client: Option<OpaqueClient>,
    /// When the client is replaced.
    expires: Option<Expiry>,
    plugin: Runner,
    /// The number of clients created so far.
    generation: u64,
}

/// When to replace a client.
#[derive(Debug, Clone, Copy)]
enum Expiry {
    /// The credentials are not valid after this time.
    Credentials(Timestamp),
    /// The token file may have changed. While it cannot be read, the last token is used, as in client-go.
    TokenFile(Timestamp),
}

struct OpaqueClient(Client);

impl std::fmt::Debug for OpaqueClient {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Client")
    }
}

impl Access {
    /// Reads the address of the API server and which credentials to use. Sends no request and reads no token: its file may appear later.
    ///
    /// # Errors
    /// If the address or the credentials are missing or invalid. A retry does not help.
    pub fn open(options: &ConnectionOptions) -> Result<Self, AccessError> {
        if options.qps > 0.0 && options.burst == 0 {
            return Err(AccessError::Burst);
        }
        Self::open_in(options, Environment::read())
    }

    /// As [`open`](Self::open), but accepts a kubeconfig that does not exist: the installer of the node may write it later. Until then no
    /// client can be created.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn open_or_wait(options: &ConnectionOptions) -> Result<Self, AccessError> {
        match Self::open(options) {
            Err(error) if error.is_missing_kubeconfig() => Ok(Self::new(options, Environment::read(), OnceLock::new())),
            result => result,
        }
    }

    pub(super) fn open_in(options: &ConnectionOptions, environment: Environment) -> Result<Self, AccessError> {
        let server = Server::of(&credentials::load(options, &environment)?);
        Ok(Self::new(options, environment, OnceLock::from(server)))
    }

    fn new(options: &ConnectionOptions, environment: Environment, server: OnceLock<Server>) -> Self {
        Self { options: options.clone(), environment, server, current: Mutex::default() }
    }

    /// Whether the address of the API server is known: the kubeconfig exists, or existed.
    pub fn has_server(&self) -> bool {
        self.server.get().is_some()
    }

    /// Host and port of the server, for metrics. Empty while it is not known, as for [`server`](Self::server).
    pub fn host(&self) -> &str {
        self.server.get().map_or("", |server| &server.host)
    }

    /// The URL of the server, for messages.
    pub fn server(&self) -> &str {
        self.server.get().map_or("", |server| &server.url)
    }

    /// The URL of the proxy between this process and the server.
    pub fn proxy(&self) -> Option<&str> {
        self.server.get()?.proxy.as_deref()
    }

    /// Whether the kubeconfig has `insecure-skip-tls-verify`: any server may pose as the API server, and read the token.
    pub fn insecure_skip_tls_verify(&self) -> bool {
        self.server.get().is_some_and(|server| server.insecure_skip_tls_verify)
    }

    pub(super) fn options(&self) -> &ConnectionOptions {
        &self.options
    }

    /// The current client, created if there is none, and its generation for [`Self::renew`].
    ///
    /// # Errors
    /// If no client can be created now. A retry may help: a file or credential plugin may recover.
    pub async fn client(&self) -> Result<(Client, u64), AccessError> {
        let mut current = self.current.lock().await;
        let is_valid = current.expires.is_none_or(|expiry| !expiry.is_over(Timestamp::now()));
        if let Some(OpaqueClient(client)) = current.client.as_ref().filter(|_| is_valid) {
            return Ok((client.clone(), current.generation));
        }
        match (self.create(&mut current).await, &current.client, current.expires) {
            (Ok(client), _, _) => {
                current.generation += 1;
                current.client = Some(OpaqueClient(client.clone()));
                Ok((client, current.generation))
            }
            (
                Err(AccessError::Token { .. } | AccessError::EmptyToken { .. }),
                Some(OpaqueClient(client)),
                Some(Expiry::TokenFile(_)),
            ) => {
                let client = client.clone();
                current.expires = Some(Expiry::TokenFile(Timestamp::now() + TOKEN_FILE_PERIOD));
                Ok((client, current.generation))
            }
            (Err(error), _, _) => Err(error),
        }
    }

    /// Creates a client, and sets when it expires.
    async fn create(&self, current: &mut Current) -> Result<Client, AccessError> {
        let (options, environment) = (self.options.clone(), self.environment.clone());
        // Files may be on a network drive that does not respond.
        let prepared = tokio::task::spawn_blocking(move || {
            let loaded = credentials::load(&options, &environment)?;
            Ok::<_, AccessError>((Server::of(&loaded), loaded.prepare()?))
        });
        let (server, Prepared { mut config, plugin, has_token_file }) =
            prepared.await.map_err(|error| AccessError::Runtime(error.into()))??;
        self.server.get_or_init(|| server);
        let mut expires = has_token_file.then(|| Expiry::TokenFile(Timestamp::now() + TOKEN_FILE_PERIOD));
        if let Some(plugin) = plugin {
            let credential = current.plugin.credential(plugin).await?;
            expires = credential.expires.map(Expiry::Credentials);
            credential.apply(&mut config.auth_info);
        }
        let client = client::create(config).await?;
        current.expires = expires;
        Ok(client)
    }

    /// Drops the client of a generation after its credentials were rejected. The next client reads the credentials again. If several
    /// requests with the same client were rejected, only the first call drops it.
    pub async fn renew(&self, generation: u64) {
        let mut current = self.current.lock().await;
        if current.generation == generation {
            current.client = None;
        }
    }
}

impl Expiry {
    fn is_over(self, now: Timestamp) -> bool {
        match self {
            Self::Credentials(at) => now + RENEW_BEFORE >= at,
            Self::TokenFile(at) => now >= at,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::PathBuf;
    use std::time::Duration;

    use super::*;

    fn open(kubeconfig: Option<PathBuf>, master: Option<&str>) -> Result<Access, AccessError> {
        Access::open(&options(kubeconfig, master))
    }

    fn options(kubeconfig: Option<PathBuf>, master: Option<&str>) -> ConnectionOptions {
        ConnectionOptions {
            kubeconfig,
            master: master.map(str::to_owned),
            qps: 5.0,
            burst: 10,
            stream_lists: true,
            response_timeout: ConnectionOptions::RESPONSE_TIMEOUT,
            watch_timeout: Duration::from_secs(90),
            user_agent: "test".to_owned(),
        }
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

    #[tokio::test]
    async fn a_kubeconfig_that_does_not_exist_is_read_when_it_does() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("kubeconfig");
        let access = Access::open_or_wait(&options(Some(file.clone()), None)).unwrap();
        assert!(!access.has_server());
        let missing = access.client().await.map(drop).unwrap_err();
        assert_eq!(missing.to_string(), format!("cannot read kubeconfig {}", file.display()));
        fs::write(directory.path().join("token"), "secret\n").unwrap();
        fs::write(&file, KUBECONFIG).unwrap();
        access.client().await.map(drop).unwrap();
        assert_eq!((access.server(), access.host()), ("https://10.0.0.1:6443", "10.0.0.1:6443"));
    }

    #[test]
    fn unusable_options_are_rejected_with_a_reason() {
        let none = open(Some("/nowhere/kubeconfig".into()), None).unwrap_err();
        assert_eq!(none.to_string(), "cannot read kubeconfig /nowhere/kubeconfig");
        let odd = open(None, Some("http://a b")).unwrap_err();
        assert!(odd.to_string().starts_with("invalid API server URL --master=http://a b: "), "{odd}");
        let outside = open(None, None).unwrap_err();
        assert!(outside.to_string().contains("set --kubeconfig"), "{outside}");
    }
}
