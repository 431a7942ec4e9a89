//! TLS: a certificate authority of the server, and the certificates that it has signed, all in memory.

use std::io;
use std::net::{SocketAddr, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose, PKCS_ECDSA_P521_SHA512,
};
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::PrivateKeyDer;
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, ServerConnection, StreamOwned};

use crate::stream::Stream;

/// Which certificate a server has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ServerCertificate {
    /// One that its certificate authority has signed.
    Signed,
    /// One that is its own certificate authority, with a key on P-521.
    SelfSigned,
}

/// The TLS configuration of a server, and the certificate for its clients.
#[derive(Debug)]
pub(crate) struct Tls {
    config: Arc<ServerConfig>,
    /// The certificate that clients of the server have to trust, as PEM.
    trusted: String,
    /// Signs the certificates of clients.
    authority: CertifiedIssuer<'static, KeyPair>,
    client: Mutex<ClientCertificate>,
}

/// A client certificate.
#[derive(Debug, Clone)]
pub(crate) struct ClientCertificate {
    /// The certificate as a TLS connection has it.
    pub(crate) der: Vec<u8>,
    /// The certificate as PEM.
    pub(crate) certificate: String,
    /// The key as PEM.
    pub(crate) key: String,
}

impl Tls {
    /// Creates certificates for a server at an address. Client certificates are optional.
    pub(crate) fn new(address: SocketAddr, certificate: ServerCertificate) -> io::Result<Self> {
        let authority = authority().map_err(io::Error::other)?;
        let name = address.ip().to_string();
        let (trusted, certificate, key) = match certificate {
            ServerCertificate::Signed => {
                let (certificate, key) = signed(&authority, name, ExtendedKeyUsagePurpose::ServerAuth)?;
                (authority.pem(), certificate, key)
            }
            ServerCertificate::SelfSigned => {
                let (certificate, key) = self_signed(name).map_err(io::Error::other)?;
                (certificate.pem(), certificate, key)
            }
        };
        let client = client(&authority)?.into();

        let provider = Arc::new(default_provider());
        let mut roots = RootCertStore::empty();
        roots.add(authority.der().clone()).map_err(io::Error::other)?;
        let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), provider.clone());
        let verifier = verifier.allow_unauthenticated().build().map_err(io::Error::other)?;
        let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
        let config = config.map_err(io::Error::other)?.with_client_cert_verifier(verifier);
        let key = PrivateKeyDer::Pkcs8(key.serialize_der().into());
        let mut config = config.with_single_cert(vec![certificate.der().clone()], key).map_err(io::Error::other)?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self { config: config.into(), trusted, authority, client })
    }

    /// The certificate that clients of the server have to trust, as PEM.
    pub(crate) fn authority(&self) -> String {
        self.trusted.clone()
    }

    pub(crate) fn client(&self) -> ClientCertificate {
        self.client.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Issues another client certificate, and returns the previous one.
    pub(crate) fn renew_client(&self) -> io::Result<ClientCertificate> {
        let new = client(&self.authority)?;
        Ok(std::mem::replace(&mut self.client.lock().unwrap_or_else(PoisonError::into_inner), new))
    }

    /// Creates a TLS connection. The handshake takes place with the first read or write.
    pub(crate) fn accept(&self, stream: TcpStream) -> io::Result<Stream> {
        let connection = ServerConnection::new(self.config.clone()).map_err(io::Error::other)?;
        Ok(Stream::Tls(Box::new(StreamOwned::new(connection, stream))))
    }
}

fn authority() -> Result<CertifiedIssuer<'static, KeyPair>, rcgen::Error> {
    let mut params = CertificateParams::new(Vec::new())?;
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.distinguished_name.push(DnType::CommonName, "test-api-server");
    CertifiedIssuer::self_signed(params, KeyPair::generate()?)
}

fn self_signed(name: String) -> Result<(rcgen::Certificate, KeyPair), rcgen::Error> {
    let mut params = CertificateParams::new(vec![name])?;
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate_for(&PKCS_ECDSA_P521_SHA512)?;
    Ok((params.self_signed(&key)?, key))
}

fn client(authority: &CertifiedIssuer<'static, KeyPair>) -> io::Result<ClientCertificate> {
    let (certificate, key) = signed(authority, "client".to_owned(), ExtendedKeyUsagePurpose::ClientAuth)?;
    Ok(ClientCertificate { der: certificate.der().to_vec(), certificate: certificate.pem(), key: key.serialize_pem() })
}

fn signed(
    authority: &CertifiedIssuer<'static, KeyPair>,
    name: String,
    usage: ExtendedKeyUsagePurpose,
) -> io::Result<(rcgen::Certificate, KeyPair)> {
    let sign = || {
        let mut params = CertificateParams::new(vec![name.clone()])?;
        params.distinguished_name.push(DnType::CommonName, name);
        params.extended_key_usages = vec![usage];
        let key = KeyPair::generate()?;
        Ok((params.signed_by(&key, authority)?, key))
    };
    sign().map_err(|error: rcgen::Error| io::Error::other(error))
}
