//! Makes certificates of servers, clients and authorities, and connects a client and a server with them in memory.

use std::io::Read;
use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose, SignatureAlgorithm, SigningKey,
};
use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::CryptoProvider;
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::crypto::{verify_tls12_signature, verify_tls13_signature_with_raw_key};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{
    ClientConfig, ClientConnection, DigitallySignedStruct, DistinguishedName, ServerConfig, ServerConnection,
    SignatureScheme, SupportedProtocolVersion,
};

use super::super::der::{Der, tag};

/// A certificate with its key.
pub(super) struct Issued {
    pub(super) der: Vec<u8>,
    pub(super) key: KeyPair,
    params: CertificateParams,
}

/// The names of each server.
pub(super) const NAMES: [&str; 3] = ["api.example", "*.wild.example", "10.0.0.1"];

/// A self-signed authority.
pub(super) fn root(change: impl FnOnce(&mut CertificateParams)) -> Issued {
    root_of(&rcgen::PKCS_ECDSA_P256_SHA256, change)
}

pub(super) fn root_of(algorithm: &'static SignatureAlgorithm, change: impl FnOnce(&mut CertificateParams)) -> Issued {
    let mut params = named(Vec::new(), "root");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    change(&mut params);
    self_signed(algorithm, params)
}

/// A server that signed its own certificate.
pub(super) fn self_signed_server(change: impl FnOnce(&mut CertificateParams)) -> Issued {
    let mut params = named(NAMES.map(str::to_owned).into(), "server");
    change(&mut params);
    self_signed(&rcgen::PKCS_ECDSA_P256_SHA256, params)
}

fn named(names: Vec<String>, common_name: &str) -> CertificateParams {
    let mut params = CertificateParams::new(names).unwrap();
    params.distinguished_name.remove(DnType::CommonName);
    params.distinguished_name.push(DnType::CommonName, common_name);
    params
}

fn self_signed(algorithm: &'static SignatureAlgorithm, params: CertificateParams) -> Issued {
    let key = KeyPair::generate_for(algorithm).unwrap();
    Issued { der: params.self_signed(&key).unwrap().der().to_vec(), key, params }
}

impl Issued {
    /// A certificate of a server.
    pub(super) fn server(&self, change: impl FnOnce(&mut CertificateParams)) -> Issued {
        self.server_of(&rcgen::PKCS_ECDSA_P256_SHA256, change)
    }

    pub(super) fn server_of(
        &self,
        algorithm: &'static SignatureAlgorithm,
        change: impl FnOnce(&mut CertificateParams),
    ) -> Issued {
        let mut params = named(NAMES.map(str::to_owned).into(), "server");
        change(&mut params);
        self.sign(KeyPair::generate_for(algorithm).unwrap(), params)
    }

    /// An authority between a root and a server.
    pub(super) fn intermediate(&self, change: impl FnOnce(&mut CertificateParams)) -> Issued {
        let mut params = named(Vec::new(), "intermediate");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        change(&mut params);
        self.sign(KeyPair::generate().unwrap(), params)
    }

    fn sign(&self, key: KeyPair, params: CertificateParams) -> Issued {
        let signed = params.signed_by(&key, &Issuer::from_params(&self.params, &self.key)).unwrap();
        Issued { der: signed.der().to_vec(), key, params }
    }

    /// The same certificate as one of version 1, which has no extensions.
    pub(super) fn into_version_1(self, signer: Option<&Issued>) -> Issued {
        let mut fields = Der::new(&self.der).enter(tag::SEQUENCE).unwrap();
        let body = fields.enter(tag::SEQUENCE).unwrap();
        let is_of_version_1 = |(found, _): &(u8, &[u8])| *found & 0xe0 != 0xa0;
        let body: Vec<u8> = body.filter(is_of_version_1).flat_map(|(tag, contents)| element(tag, contents)).collect();
        let body = element(tag::SEQUENCE, &body);
        let signature = signer.map_or(&self.key, |signer| &signer.key).sign(&body).unwrap();
        let algorithm = element(tag::SEQUENCE, fields.read(tag::SEQUENCE).unwrap());
        let signature = element(tag::BIT_STRING, &[&[0], &signature[..]].concat());
        Issued { der: element(tag::SEQUENCE, &[body, algorithm, signature].concat()), ..self }
    }

    fn certified(&self, chain: &[&Issued]) -> CertifiedKey {
        let chain = std::iter::once(self).chain(chain.iter().copied());
        let chain = chain.map(|issued| CertificateDer::from(issued.der.clone())).collect();
        let key = PrivateKeyDer::Pkcs8(self.key.serialize_der().into());
        CertifiedKey::new(chain, default_provider().key_provider.load_private_key(key).unwrap())
    }
}

fn element(tag: u8, contents: &[u8]) -> Vec<u8> {
    let length = contents.len();
    let header = match length {
        0..0x80 => vec![tag, length as u8],
        0x80..0x100 => vec![tag, 0x81, length as u8],
        _ => vec![tag, 0x82, (length >> 8) as u8, length as u8],
    };
    [&header, contents].concat()
}

pub(super) static TLS12: &[&SupportedProtocolVersion] = &[&rustls::version::TLS12];
pub(super) static TLS13: &[&SupportedProtocolVersion] = &[&rustls::version::TLS13];

/// A server with a certificate, and with the chain that it sends in addition. It asks for a client certificate, and accepts any.
pub(super) fn server(
    certificate: &Issued,
    chain: &[&Issued],
    versions: &[&'static SupportedProtocolVersion],
) -> ServerConfig {
    server_with(certificate.certified(chain), versions)
}

/// A server that does not have the key of its certificate.
pub(super) fn server_without_key(certificate: &Issued, key: &Issued) -> ServerConfig {
    let stolen = CertificateDer::from(certificate.der.clone());
    server_with(CertifiedKey { cert: vec![stolen], ..key.certified(&[]) }, TLS13)
}

fn server_with(certified: CertifiedKey, versions: &[&'static SupportedProtocolVersion]) -> ServerConfig {
    let provider = Arc::new(default_provider());
    ServerConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(versions)
        .unwrap()
        .with_client_cert_verifier(Arc::new(AnyClient(provider)))
        .with_cert_resolver(Arc::new(SingleCertAndKey::from(certified)))
}

/// Connects both in memory. Returns the certificate of the client that the server has seen.
pub(super) fn handshake(
    client: ClientConfig,
    server: ServerConfig,
    name: &str,
) -> Result<Option<Vec<u8>>, rustls::Error> {
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let mut client = ClientConnection::new(Arc::new(client), name).unwrap();
    let mut server = ServerConnection::new(Arc::new(server)).unwrap();
    while client.is_handshaking() || server.is_handshaking() {
        let mut sent = Vec::new();
        while client.wants_write() {
            client.write_tls(&mut sent).unwrap();
        }
        server.read_tls(&mut sent.as_slice()).unwrap();
        server.process_new_packets()?;
        let mut sent = Vec::new();
        while server.wants_write() {
            server.write_tls(&mut sent).unwrap();
        }
        let mut sent = sent.as_slice();
        client.read_tls(sent.by_ref()).unwrap();
        client.process_new_packets()?;
    }
    Ok(server.peer_certificates().and_then(|chain| chain.first()).map(|first| first.to_vec()))
}

/// Accepts every client that has the key of its certificate, of any version.
#[derive(Debug)]
struct AnyClient(Arc<CryptoProvider>);

impl ClientCertVerifier for AnyClient {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn verify_client_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signature, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let public_key = webpki::spki_for_anchor(&webpki::anchor_from_trusted_cert(certificate).unwrap());
        verify_tls13_signature_with_raw_key(message, &public_key, signature, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
