//! Access to the API server: one client at a time. When its credentials expire or are rejected, they are read again for a new client.

use std::sync::{OnceLock, PoisonError};

use jiff::{SignedDuration, Timestamp};
use kube::Client;
use tokio::sync::Mutex;

use super::access_error::AccessError;
use super::client;
use super::connection_options::ConnectionOptions;
use super::credentials::{self, Loaded, Prepared};
use super::lifetime::{self, CredentialKind, CredentialLifetime};
use super::plugin::Runner;
use super::proxy::Environment;
use super::userinfo::hide_userinfo;

/// A client is replaced this long before its credentials expire, so that no request arrives with expired ones.
const RENEW_BEFORE: SignedDuration = SignedDuration::from_secs(10);

/// A token file is read again after this time, as in client-go.
const TOKEN_FILE_PERIOD: SignedDuration = SignedDuration::from_mins(1);

/// A client certificate is read again when one fifth of its lifetime is left, and then every [`CERTIFICATE_PERIOD`]: the kubelet renews it
/// after 70 to 90 % of its lifetime, and the API server accepts the old one until it expires.
const RENEWED_PART: i32 = 5;
const CERTIFICATE_PERIOD: SignedDuration = SignedDuration::from_mins(10);

/// Access to the API server. All reflectors share it, so that new credentials are read once for all of them.
#[derive(Debug)]
pub struct Access {
    options: ConnectionOptions,
    environment: Environment,
    /// Not set while the kubeconfig does not exist.
    server: OnceLock<Server>,
    current: Mutex<Current>,
    /// The lifetimes of the credentials in use. Separate from `current`, which is locked while a plugin runs.
    lifetimes: std::sync::Mutex<Vec<CredentialLifetime>>,
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
    /// The client certificate may have been renewed. While it cannot be read, the last one is used.
    Certificate(Timestamp),
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
        let (current, lifetimes) = Default::default();
        Self { options: options.clone(), environment, server, current, lifetimes }
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

    /// When the credentials in use were issued, and when they expire. Without credentials of a plugin:
    /// new ones are requested before they expire.
    pub fn credential_lifetimes(&self) -> Vec<CredentialLifetime> {
        self.lifetimes.lock().unwrap_or_else(PoisonError::into_inner).clone()
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
            (Err(_), Some(OpaqueClient(client)), Some(Expiry::Certificate(_))) => {
                // The current certificate is still valid, and another program may be writing the file now.
                let client = client.clone();
                current.expires = Some(Expiry::Certificate(Timestamp::now() + CERTIFICATE_PERIOD));
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
        let (now, lifetimes) = (Timestamp::now(), lifetime::lifetimes(&config.auth_info));
        let mut expires = match has_token_file {
            true => Some(Expiry::TokenFile(now + TOKEN_FILE_PERIOD)),
            false => lifetimes.iter().find_map(|lifetime| Expiry::of_certificate(lifetime, now)),
        };
        if let Some(plugin) = plugin {
            let credential = current.plugin.credential(plugin).await?;
            expires = credential.expires.map(Expiry::Credentials);
            credential.apply(&mut config.auth_info);
        }
        let client = client::create(config).await?;
        current.expires = expires;
        *self.lifetimes.lock().unwrap_or_else(PoisonError::into_inner) = lifetimes;
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
    /// Returns when a client certificate is read again. Applies to inline certificates, too, because the kubeconfig may contain a new one.
    fn of_certificate(lifetime: &CredentialLifetime, now: Timestamp) -> Option<Self> {
        let CredentialLifetime { kind: CredentialKind::ClientCertificate, issued: Some(issued), expires } = *lifetime
        else {
            return None;
        };
        let renewal = expires - expires.duration_since(issued) / RENEWED_PART;
        Some(Self::Certificate(renewal.max(now + CERTIFICATE_PERIOD)))
    }

    fn is_over(self, now: Timestamp) -> bool {
        match self {
            Self::Credentials(at) => now + RENEW_BEFORE >= at,
            Self::TokenFile(at) | Self::Certificate(at) => now >= at,
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
    fn a_client_certificate_is_read_again_before_the_end_of_its_lifetime() {
        let at = |seconds| Timestamp::from_second(seconds).unwrap();
        let read_at = |kind, issued, now: i64| {
            let lifetime = CredentialLifetime { kind, issued, expires: at(100_000) };
            Expiry::of_certificate(&lifetime, at(now))
                .map(|expiry| (0..).step_by(100).find(|now| expiry.is_over(at(*now))))
        };
        let certificate = |now| read_at(CredentialKind::ClientCertificate, Some(at(0)), now);
        assert_eq!([1000, 79_000, 79_900].map(certificate), [80_000, 80_000, 80_500].map(Some).map(Some));
        assert_eq!([90_000, 200_000].map(certificate), [90_600, 200_600].map(Some).map(Some));
        assert_eq!(read_at(CredentialKind::Token, Some(at(0)), 0), None);
    }

    /// A client certificate that is valid for a year, with its key, in the fields of a kubeconfig.
    fn with_certificate(year: i32) -> String {
        let mut params = rcgen::CertificateParams::new(vec!["client".into()]).unwrap();
        params.not_before = rcgen::date_time_ymd(year, 1, 1);
        params.not_after = rcgen::date_time_ymd(year + 1, 1, 1);
        let key = rcgen::KeyPair::generate().unwrap();
        let encode = |text: String| base64::Engine::encode(&base64::prelude::BASE64_STANDARD, text);
        let certificate = encode(params.self_signed(&key).unwrap().pem());
        let user = format!("client-certificate-data: {certificate}, client-key-data: {}", encode(key.serialize_pem()));
        KUBECONFIG.replace("tokenFile: token", &user)
    }

    #[tokio::test]
    async fn a_renewed_client_certificate_is_used_and_one_that_cannot_be_read_leaves_the_last_one() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("kubeconfig");
        fs::write(&file, with_certificate(2090)).unwrap();
        let access = open(Some(file.clone()), None).unwrap();
        let expiry = || access.credential_lifetimes()[0].expires.to_string();
        assert_eq!((access.client().await.unwrap().1, expiry().as_str()), (1, "2091-01-01T00:00:00Z"));
        let end = || async { access.current.lock().await.expires = Some(Expiry::Certificate(Timestamp::UNIX_EPOCH)) };
        fs::write(&file, "").unwrap();
        end().await;
        assert_eq!((access.client().await.unwrap().1, expiry().as_str()), (1, "2091-01-01T00:00:00Z"));
        fs::write(&file, with_certificate(2091)).unwrap();
        assert_eq!(access.client().await.unwrap().1, 1, "not before the next time");
        end().await;
        assert_eq!((access.client().await.unwrap().1, expiry().as_str()), (2, "2092-01-01T00:00:00Z"));
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
