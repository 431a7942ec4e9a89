//! TLS: an authority of the server's own, and what it has signed. Nothing of it outlives the server.

use std::io;
use std::net::{SocketAddr, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose,
};
use rustls::crypto::ring::default_provider;
use rustls::pki_types::PrivateKeyDer;
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, ServerConnection, StreamOwned};

use crate::stream::Stream;

/// What a TLS server has, and what its clients are given.
#[derive(Debug)]
pub(crate) struct Tls {
    config: Arc<ServerConfig>,
    authority: CertifiedIssuer<'static, KeyPair>,
    client: Mutex<ClientCertificate>,
}

/// By what the server knows a client.
#[derive(Debug, Clone)]
pub(crate) struct ClientCertificate {
    /// The certificate, as a connection shows it.
    pub(crate) der: Vec<u8>,
    /// The certificate, as files have it.
    pub(crate) certificate: String,
    /// Its key.
    pub(crate) key: String,
}

impl Tls {
    /// For a server at an address. Clients may show a certificate, and need not.
    pub(crate) fn new(address: SocketAddr) -> io::Result<Self> {
        let authority = authority().map_err(io::Error::other)?;
        let (certificate, key) = signed(&authority, address.ip().to_string(), ExtendedKeyUsagePurpose::ServerAuth)?;
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
        Ok(Self { config: config.into(), authority, client })
    }

    /// The authority's certificate, by which clients know the server.
    pub(crate) fn authority(&self) -> String {
        self.authority.pem()
    }

    /// What clients are given.
    pub(crate) fn client(&self) -> ClientCertificate {
        self.client.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Gives clients another certificate, and answers what they had before.
    pub(crate) fn renew_client(&self) -> io::Result<ClientCertificate> {
        let new = client(&self.authority)?;
        Ok(std::mem::replace(&mut self.client.lock().unwrap_or_else(PoisonError::into_inner), new))
    }

    /// A connection, whose handshake comes with its first bytes.
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
