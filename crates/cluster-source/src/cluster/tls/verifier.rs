//! Decides whether the certificate of a server is trusted, with the rules of Go's `crypto/x509` (`Certificate.Verify`).
//!
//! rustls-webpki builds and verifies the chains of certificates. This module adds the rules of Go that it lacks: a certificate of the server that
//! is itself trusted needs no signature of an authority; an authority must be valid, and allowed to sign.

use std::sync::Arc;

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, TrustAnchor, UnixTime};
use rustls::{CertificateError, DigitallySignedStruct, OtherError, SignatureScheme};
use webpki::{
    EndEntityCert, ExtendedKeyUsageValidator, KeyPurposeId, KeyPurposeIdIter, KeyUsage, RequiredEkuNotFoundContext,
    VerifiedPath,
};

use super::certificate::{ANY_USAGE, Certificate, Name, SERVER_USAGE, Validity};
use super::error::{ServerCertificateError, Whose};

/// The certificates that are trusted.
#[derive(Debug)]
pub(super) struct ServerVerifier {
    trusted: Vec<Trusted>,
    anchors: Vec<TrustAnchor<'static>>,
    /// Where the certificates are from, for messages.
    trust: String,
    algorithms: WebPkiSupportedAlgorithms,
}

#[derive(Debug)]
struct Trusted {
    der: Vec<u8>,
    anchor: TrustAnchor<'static>,
    certificate: Certificate,
}

impl ServerVerifier {
    /// Trusts certificates in DER. One that is malformed is left out, as in Go.
    pub(super) fn new(certificates: &[Vec<u8>], trust: String, algorithms: WebPkiSupportedAlgorithms) -> Self {
        let trusted: Vec<Trusted> = certificates.iter().filter_map(|der| Trusted::read(der)).collect();
        let anchors = trusted.iter().map(|trusted| trusted.anchor.clone()).collect();
        Self { trusted, anchors, trust, algorithms }
    }

    /// Makes Go's checks in Go's order, since messages show the first failure only.
    pub(super) fn verify(
        &self,
        der: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        wanted: &ServerName<'_>,
        now: UnixTime,
    ) -> Result<(), ServerCertificateError> {
        let certificate = Certificate::read(der).ok_or(ServerCertificateError::Malformed)?;
        certificate.check_validity(date_time(now), || Whose::Server)?;
        if certificate.names.is_empty() {
            let common_name = certificate.subject.common_name();
            return Err(ServerCertificateError::NoNames { wanted: wanted.to_str().into_owned(), common_name });
        }
        let parsed = EndEntityCert::try_from(der).map_err(|_| ServerCertificateError::Malformed)?;
        if parsed.verify_is_valid_for_subject_name(wanted).is_err() {
            let names = certificate.names;
            return Err(ServerCertificateError::OtherName { wanted: wanted.to_str().into_owned(), names });
        }
        if certificate.has_short_key {
            return Err(ServerCertificateError::Algorithm);
        }
        // Go does not ask who signed a certificate that is trusted itself.
        if self.trusted.iter().any(|trusted| trusted.der == der.as_ref()) {
            return certificate.is_for_servers.then_some(()).ok_or(ServerCertificateError::NotForServers);
        }
        let is_allowed = |path: &VerifiedPath<'_>| match self.may_sign(path, date_time(now)) {
            true => Ok(()),
            // Another path may be possible.
            false => Err(webpki::Error::UnknownIssuer),
        };
        parsed
            .verify_for_usage(
                self.algorithms.all,
                &self.anchors,
                intermediates,
                now,
                ForServers,
                None,
                Some(&is_allowed),
            )
            .map(|_| ())
            .map_err(|error| self.explain(error, &certificate, intermediates, date_time(now)))
    }

    /// Whether all authorities of a path may sign it. rustls-webpki ignores these fields of a trusted certificate, and the key usage of each.
    fn may_sign(&self, path: &VerifiedPath<'_>, now: DateTime) -> bool {
        let is_authority = |der: &[u8]| Certificate::read(der).is_some_and(|one| one.is_authority());
        if !path.intermediate_certificates().all(|one| is_authority(&one.der())) {
            return false;
        }
        let intermediates = path.intermediate_certificates().count();
        self.trusted.iter().filter(|trusted| trusted.anchor == *path.anchor()).any(|Trusted { certificate, .. }| {
            certificate.validity_at(now) == Validity::Valid
                && certificate.is_authority()
                && certificate.allows_intermediates(intermediates)
        })
    }

    /// Finds the reason of an error of rustls-webpki.
    fn explain(
        &self,
        error: webpki::Error,
        certificate: &Certificate,
        intermediates: &[CertificateDer<'_>],
        now: DateTime,
    ) -> ServerCertificateError {
        use webpki::Error;
        let trust = self.trust.clone();
        #[allow(deprecated)]
        match error {
            // The certificate of the server was checked before.
            Error::CertExpired { not_after, .. } => {
                ServerCertificateError::Expired { whose: Whose::Intermediate, at: date_time(not_after) }
            }
            Error::CertNotValidYet { not_before, .. } => {
                ServerCertificateError::NotYetValid { whose: Whose::Intermediate, at: date_time(not_before) }
            }
            Error::CaUsedAsEndEntity => ServerCertificateError::AuthorityAsServer { trust },
            Error::RequiredEkuNotFound | Error::RequiredEkuNotFoundContext(_) => ServerCertificateError::NotForServers,
            Error::UnsupportedSignatureAlgorithm
            | Error::UnsupportedSignatureAlgorithmForPublicKey
            | Error::UnsupportedSignatureAlgorithmContext(_)
            | Error::UnsupportedSignatureAlgorithmForPublicKeyContext(_) => ServerCertificateError::Algorithm,
            Error::UnknownIssuer | Error::InvalidSignatureForPublicKey => {
                let chain = chain(certificate, intermediates);
                if let Some(intermediate) = chain.iter().find(|one| !one.is_authority()) {
                    return ServerCertificateError::IntermediateMayNotSign { name: intermediate.subject.to_string() };
                }
                let issuer = &chain.last().unwrap_or(certificate).issuer;
                self.explain_issuer(issuer, chain.len(), now)
            }
            other => ServerCertificateError::Other(other.to_string()),
        }
    }

    fn explain_issuer(&self, issuer: &Name, intermediates: usize, now: DateTime) -> ServerCertificateError {
        let (name, trust) = (issuer.to_string(), self.trust.clone());
        let known = self.trusted.iter().find(|trusted| trusted.certificate.subject == *issuer);
        let Some(Trusted { certificate, .. }) = known else {
            let trusted = self.trusted.iter().map(|trusted| trusted.certificate.subject.to_string()).collect();
            return ServerCertificateError::UnknownAuthority { issuer: name, trust, trusted };
        };
        let whose = || Whose::Authority { name: name.clone(), trust: trust.clone() };
        match certificate.check_validity(now, whose) {
            Err(error) => error,
            Ok(()) if !certificate.is_authority() => ServerCertificateError::NotAnAuthority { issuer: name, trust },
            Ok(()) if !certificate.allows_intermediates(intermediates) => {
                ServerCertificateError::TooManyIntermediates { issuer: name, trust }
            }
            Ok(()) if certificate.has_short_key => ServerCertificateError::Algorithm,
            Ok(()) => ServerCertificateError::OtherKey { issuer: name, trust },
        }
    }
}

impl Trusted {
    fn read(der: &[u8]) -> Option<Self> {
        let anchor = webpki::anchor_from_trusted_cert(&CertificateDer::from(der)).ok()?.to_owned();
        Some(Self { der: der.to_owned(), anchor, certificate: Certificate::read(der)? })
    }
}

/// The intermediate certificates of a chain, from that of the server on.
fn chain(certificate: &Certificate, intermediates: &[CertificateDer<'_>]) -> Vec<Certificate> {
    let mut rest: Vec<_> = intermediates.iter().filter_map(|der| Certificate::read(der)).collect();
    let mut chain: Vec<Certificate> = Vec::new();
    // Each certificate is used once, since certificates can name each other.
    loop {
        let issuer = &chain.last().unwrap_or(certificate).issuer;
        let signs = |next: &Certificate| next.subject == *issuer && next.issuer != *issuer;
        let Some(position) = rest.iter().position(signs) else { return chain };
        chain.push(rest.swap_remove(position));
    }
}

impl Certificate {
    fn check_validity(&self, now: DateTime, whose: impl FnOnce() -> Whose) -> Result<(), ServerCertificateError> {
        match self.validity_at(now) {
            Validity::NotYet => Err(ServerCertificateError::NotYetValid { whose: whose(), at: self.valid.0 }),
            Validity::Expired => Err(ServerCertificateError::Expired { whose: whose(), at: self.valid.1 }),
            Validity::Valid => Ok(()),
        }
    }
}

/// In UTC.
fn date_time(now: UnixTime) -> DateTime {
    let now = i64::try_from(now.as_secs()).ok().and_then(|second| Timestamp::from_second(second).ok());
    TimeZone::UTC.to_datetime(now.unwrap_or(Timestamp::MAX))
}

/// As in Go, `anyExtendedKeyUsage` allows servers too.
struct ForServers;

impl ExtendedKeyUsageValidator for ForServers {
    fn validate(&self, usages: KeyPurposeIdIter<'_, '_>) -> Result<(), webpki::Error> {
        let mut is_empty = true;
        for usage in usages {
            is_empty = false;
            let usage = usage?;
            if usage == KeyPurposeId::new(SERVER_USAGE) || usage == KeyPurposeId::new(ANY_USAGE) {
                return Ok(());
            }
        }
        let (required, present) = (KeyUsage::server_auth(), Vec::new());
        let refused = webpki::Error::RequiredEkuNotFoundContext(RequiredEkuNotFoundContext { required, present });
        if is_empty { Ok(()) } else { Err(refused) }
    }
}

impl ServerCertVerifier for ServerVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        match self.verify(end_entity, intermediates, server_name, now) {
            Ok(()) => Ok(ServerCertVerified::assertion()),
            Err(error) => Err(CertificateError::Other(OtherError(Arc::new(error))).into()),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signature, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signature, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

/// Trusts every server, for `insecure-skip-tls-verify`. The signature of the handshake is not verified either: without a trusted
/// certificate it proves nothing.
#[derive(Debug)]
pub(super) struct AnyServer(pub(super) WebPkiSupportedAlgorithms);

impl ServerCertVerifier for AnyServer {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_schemes()
    }
}
