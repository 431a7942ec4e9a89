//! HTTPS requests to the program, and certificates for it.

use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rcgen::{CertificateParams, KeyPair};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ALL_VERSIONS, ClientConfig, ClientConnection, RootCertStore, StreamOwned, SupportedProtocolVersion};

use super::http::{Response, exchange_over};
use super::wait::BOUND;

/// A certificate for 127.0.0.1 that is its own authority, with its key.
#[derive(Debug)]
pub(crate) struct Certificate {
    pub(crate) certificate: String,
    pub(crate) key: String,
    der: CertificateDer<'static>,
}

impl Certificate {
    pub(crate) fn generate() -> Self {
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new(["127.0.0.1".to_owned()]).unwrap().self_signed(&key).unwrap();
        Self { certificate: certificate.pem(), key: key.serialize_pem(), der: certificate.der().clone() }
    }

    /// Gets a page from a server with this certificate. None if nothing answers, or with another certificate.
    pub(crate) fn get(&self, address: SocketAddr, path: &str) -> Option<Response> {
        self.get_with(ALL_VERSIONS, address, path)
    }

    /// As [`get`](Self::get), with versions of TLS.
    pub(crate) fn get_with(
        &self,
        versions: &[&'static SupportedProtocolVersion],
        address: SocketAddr,
        path: &str,
    ) -> Option<Response> {
        let mut roots = RootCertStore::empty();
        roots.add(self.der.clone()).unwrap();
        let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_protocol_versions(versions)
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let name = ServerName::from(address.ip());
        let stream = TcpStream::connect_timeout(&address, BOUND).ok()?;
        stream.set_read_timeout(Some(BOUND)).ok()?;
        let mut stream = StreamOwned::new(ClientConnection::new(Arc::new(config), name).unwrap(), stream);
        exchange_over(&mut stream, &address.to_string(), "GET", path, "", "")
    }
}

/// The files of a certificate and its key.
#[derive(Debug)]
pub(crate) struct CertificateFiles {
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
}

impl CertificateFiles {
    /// In a directory, not written yet.
    pub(crate) fn new(directory: &Path) -> Self {
        Self { certificate: directory.join("tls.crt"), key: directory.join("tls.key") }
    }

    pub(crate) fn write(&self, certificate: &Certificate) {
        std::fs::write(&self.certificate, &certificate.certificate).unwrap();
        std::fs::write(&self.key, &certificate.key).unwrap();
    }

    /// The flags of an address, `metrics` or `healthz`.
    pub(crate) fn flags(&self, address: &str) -> [String; 2] {
        [
            format!("--{address}-tls-cert-file={}", self.certificate.display()),
            format!("--{address}-tls-key-file={}", self.key.display()),
        ]
    }
}
