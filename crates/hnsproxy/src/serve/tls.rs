//! TLS at an address: the handshake, and certificates that are read again when their files change.

use std::fmt::{self, Formatter};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustls::ServerConfig;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use serde::Serialize;
use tokio::net::TcpStream;
use tokio::task::spawn_blocking;
use tokio::time::Instant;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tracing::{info, warn};

use super::key_pair::{KeyPairError, KeyPairFiles, Stamps};
use crate::cli::TlsArgs;
use crate::mutex::lock;

/// The shortest time between two checks of the files. Certificates are renewed long before they expire.
const CHECK_INTERVAL: Duration = Duration::from_secs(1);
/// The encrypted bytes that a client has not read yet. The default of rustls is four times as much, for each of 512 connections.
const MAX_UNSENT: usize = 16 << 10;
/// The first byte of a TLS connection: the content type of a record with a handshake
/// ([RFC 8446](https://www.rfc-editor.org/rfc/rfc8446#section-5.1)).
const HANDSHAKE: u8 = 22;

/// The certificate of an address cannot be used.
#[derive(Debug, thiserror::Error)]
#[error(
    "cannot serve {name} with TLS: {source}; correct --{name}-tls-cert-file and --{name}-tls-key-file, or remove both"
)]
pub struct TlsError {
    name: &'static str,
    #[source]
    source: KeyPairError,
}

/// An address with TLS, on `/statusz`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct TlsPage {
    /// The name of the address, as in metrics.
    pub(super) listener: &'static str,
    pub(super) certificate_file: PathBuf,
    pub(super) key_file: PathBuf,
    /// Why the files cannot be used.
    pub(super) error: Option<String>,
}

/// The TLS of the addresses that can have it. None for HTTP without TLS.
#[derive(Debug, Clone, Default)]
pub struct ListenerTls {
    pub(super) healthz: Option<Arc<Tls>>,
    pub(super) metrics: Option<Arc<Tls>>,
}

impl ListenerTls {
    /// # Errors
    /// If a certificate cannot be used. A file that does not exist yet is not an error: it is read later, like a kubeconfig.
    pub fn open(args: &TlsArgs) -> Result<Self, TlsError> {
        let open = |name, files: Option<_>| files.map(|files| Tls::open(name, files).map(Arc::new)).transpose();
        let files = |(certificate, key): (&Path, &Path)| KeyPairFiles {
            certificate: certificate.to_owned(),
            key: key.to_owned(),
        };
        Ok(Self {
            healthz: open("healthz", args.healthz().map(files))?,
            metrics: open("metrics", args.metrics().map(files))?,
        })
    }

    pub(super) fn pages(&self) -> Vec<TlsPage> {
        [&self.healthz, &self.metrics].into_iter().flatten().map(|tls| tls.page()).collect()
    }
}

/// The certificate in use. None until its files exist.
#[derive(Debug, Default)]
struct Current(Mutex<Option<Arc<CertifiedKey>>>);

impl ResolvesServerCert for Current {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        lock(&self.0).clone()
    }
}

/// The last check of the files.
#[derive(Debug)]
struct Check {
    at: Instant,
    stamps: Stamps,
}

#[derive(Debug)]
struct Certificate {
    name: &'static str,
    files: KeyPairFiles,
    provider: Arc<CryptoProvider>,
    current: Arc<Current>,
    /// Why the files cannot be used.
    error: Mutex<Option<String>>,
}

/// The TLS of one address.
pub(super) struct Tls {
    certificate: Arc<Certificate>,
    acceptor: TlsAcceptor,
    check: Arc<tokio::sync::Mutex<Check>>,
}

/// A connection whose client has sent something.
pub(super) enum Accepted {
    Tls(Box<TlsStream<TcpStream>>),
    /// The client does not speak TLS.
    NotTls(TcpStream),
}

impl fmt::Debug for Tls {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Tls").field("certificate", &self.certificate).finish_non_exhaustive()
    }
}

impl Tls {
    pub(super) fn open(name: &'static str, files: KeyPairFiles) -> Result<Self, TlsError> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        // Taken before the files are read, so that the next check finds a change in between.
        let check = Check { at: Instant::now(), stamps: files.stamps() };
        let certificate =
            Certificate { name, files, provider: provider.clone(), current: Arc::default(), error: Mutex::default() };
        match certificate.files.read(&provider) {
            Ok(pair) => *lock(&certificate.current.0) = Some(Arc::new(pair)),
            Err(error) if error.is_absent() => {
                warn!("{name} waits for its certificate: {error}");
                *lock(&certificate.error) = Some(error.to_string());
            }
            Err(source) => return Err(TlsError { name, source }),
        }
        // TLS 1.2 and 1.3.
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| TlsError { name, source: KeyPairError::Provider(error) })?
            .with_no_client_auth()
            .with_cert_resolver(certificate.current.clone());
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self {
            certificate: Arc::new(certificate),
            acceptor: Arc::new(config).into(),
            check: Arc::new(tokio::sync::Mutex::new(check)),
        })
    }

    /// Completes the handshake of a connection.
    ///
    /// # Errors
    /// If the client aborts it, or the certificate is still missing.
    pub(super) async fn accept(&self, stream: TcpStream) -> io::Result<Accepted> {
        let mut first = [0];
        if stream.peek(&mut first).await? > 0 && first != [HANDSHAKE] {
            return Ok(Accepted::NotTls(stream));
        }
        self.refresh().await;
        let handshake = self.acceptor.accept_with(stream, |connection| connection.set_buffer_limit(Some(MAX_UNSENT)));
        Ok(Accepted::Tls(Box::new(Box::pin(handshake).await?)))
    }

    /// Reads the files again if they have changed since the last check.
    async fn refresh(&self) {
        // While a file system does not answer, only one handshake waits for it. The others use the current certificate.
        let Ok(mut check) = self.check.clone().try_lock_owned() else { return };
        if check.at.elapsed() < CHECK_INTERVAL {
            return;
        }
        let certificate = self.certificate.clone();
        // A panic is logged by its hook, and the certificate stays.
        let _ = spawn_blocking(move || {
            let stamps = certificate.files.stamps();
            if stamps != check.stamps {
                certificate.read();
            }
            *check = Check { at: Instant::now(), stamps };
        })
        .await;
    }

    fn page(&self) -> TlsPage {
        let Certificate { name, files: KeyPairFiles { certificate, key }, error, .. } = &*self.certificate;
        TlsPage {
            listener: name,
            certificate_file: certificate.clone(),
            key_file: key.clone(),
            error: lock(error).clone(),
        }
    }
}

impl Certificate {
    /// Uses the pair of the files, if it can be used.
    fn read(&self) {
        let Self { name, files, provider, current, error: last } = self;
        match files.read(provider) {
            Ok(pair) => {
                *lock(&current.0) = Some(Arc::new(pair));
                lock(last).take().iter().for_each(|error| info!("{name}: {error}: resolved"));
                info!("{name}: certificate read from {}", files.certificate.display());
            }
            Err(error) => {
                let error = error.to_string();
                let mut last = lock(last);
                if last.as_ref() != Some(&error) {
                    warn!("{name}: {error}; the certificate in use stays");
                    *last = Some(error);
                }
            }
        }
    }
}
