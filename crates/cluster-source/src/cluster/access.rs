//! Access to the API server: one client at a time. When its credentials expire or are rejected, they are read again for a new client.

use jiff::{SignedDuration, Timestamp};
use kube::Client;
use tokio::sync::Mutex;

use super::access_error::AccessError;
use super::client;
use super::connection_options::ConnectionOptions;
use super::credentials;
use super::plugin::Runner;

/// A client is replaced this long before its credentials expire, so that no request arrives with expired ones.
const RENEW_BEFORE: SignedDuration = SignedDuration::from_secs(10);

/// Access to the API server. All reflectors share it, so that new credentials are read once for all of them.
#[derive(Debug)]
pub struct Access {
    options: ConnectionOptions,
    server: String,
    host: String,
    insecure_skip_tls_verify: bool,
    current: Mutex<Current>,
}

#[derive(Debug, Default)]
struct Current {
    client: Option<OpaqueClient>,
    /// When the credentials of the client expire.
    expires: Option<Timestamp>,
    plugin: Runner,
    /// The number of clients created so far.
    generation: u64,
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
        // kube's functions are async, but never wait. This runs before any runtime exists.
        let runtime = tokio::runtime::Builder::new_current_thread().build().map_err(AccessError::Runtime)?;
        let config = runtime.block_on(credentials::load(options))?;
        let server = config.cluster_url.to_string().trim_end_matches('/').to_owned();
        let host = config.cluster_url.authority().map(ToString::to_string).unwrap_or_default();
        let (insecure_skip_tls_verify, current) = (config.accept_invalid_certs, Mutex::default());
        Ok(Self { options: options.clone(), server, host, insecure_skip_tls_verify, current })
    }

    /// Host and port of the server, for metrics.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The URL of the server, for messages.
    pub fn server(&self) -> &str {
        &self.server
    }

    /// Whether the kubeconfig has `insecure-skip-tls-verify`: any server may pose as the API server, and read the token.
    pub fn insecure_skip_tls_verify(&self) -> bool {
        self.insecure_skip_tls_verify
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
        let is_valid = current.expires.is_none_or(|expires| Timestamp::now() + RENEW_BEFORE < expires);
        if let Some(OpaqueClient(client)) = current.client.as_ref().filter(|_| is_valid) {
            return Ok((client.clone(), current.generation));
        }
        let mut config = credentials::load(&self.options).await?;
        let mut expires = None;
        if let Some(plugin) = credentials::prepare(&mut config)? {
            let credential = current.plugin.credential(plugin).await?;
            expires = credential.expires;
            credential.apply(&mut config.auth_info);
        }
        let client = client::create(config).await?;
        current.generation += 1;
        (current.client, current.expires) = (Some(OpaqueClient(client.clone())), expires);
        Ok((client, current.generation))
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

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::PathBuf;
    use std::time::Duration;

    use super::*;

    fn open(kubeconfig: Option<PathBuf>, master: Option<&str>) -> Result<Access, AccessError> {
        Access::open(&ConnectionOptions {
            kubeconfig,
            master: master.map(str::to_owned),
            qps: 5.0,
            burst: 10,
            stream_lists: true,
            response_timeout: ConnectionOptions::RESPONSE_TIMEOUT,
            watch_timeout: Duration::from_secs(90),
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
    fn unusable_options_are_rejected_with_a_reason() {
        let none = open(Some("/nowhere/kubeconfig".into()), None).unwrap_err();
        assert_eq!(none.to_string(), "cannot read kubeconfig /nowhere/kubeconfig");
        let odd = open(None, Some("http://a b")).unwrap_err();
        assert!(odd.to_string().starts_with("invalid API server URL --master=http://a b: "), "{odd}");
        let outside = open(None, None).unwrap_err();
        assert!(outside.to_string().contains("set --kubeconfig"), "{outside}");
    }
}
