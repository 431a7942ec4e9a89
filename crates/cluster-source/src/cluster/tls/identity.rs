//! The client certificate and its key, read as Go's `tls.X509KeyPair` reads them.

use base64::Engine;
use base64::prelude::BASE64_STANDARD as BASE64;
use kube::config::AuthInfo;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use secrecy::ExposeSecret;

use super::error::IdentityError;
use crate::cluster::pem::{self, NoCertificates};

/// The client certificate, if there is one. It may have any version of X.509: it is only sent, so rustls-webpki does not have to support it.
pub(super) fn identity(auth: &AuthInfo, provider: &CryptoProvider) -> Result<Option<CertifiedKey>, IdentityError> {
    let (Some(certificate), Some(key)) = (&auth.client_certificate_data, &auth.client_key_data) else {
        return Ok(None);
    };
    let certificates = certificates(&decode(certificate))?;
    let key = private_key(&decode(key.expose_secret()))?;
    let key = provider.key_provider.load_private_key(key).map_err(|_| IdentityError::Key)?;
    // The parser for trusted certificates accepts every version.
    let first = certificates.first().and_then(|first| webpki::anchor_from_trusted_cert(first).ok());
    let public_key = webpki::spki_for_anchor(&first.ok_or(IdentityError::Certificate)?);
    if key.public_key().is_some_and(|of_key| of_key != public_key) {
        return Err(IdentityError::Mismatch);
    }
    Ok(Some(CertifiedKey::new(certificates, key)))
}

/// The certificate of this client itself, in DER.
pub(super) fn first_certificate(auth: &AuthInfo) -> Option<CertificateDer<'static>> {
    certificates(&decode(auth.client_certificate_data.as_ref()?)).ok()?.into_iter().next()
}

fn decode(text: &str) -> Vec<u8> {
    BASE64.decode(text).unwrap_or_default()
}

fn certificates(text: &[u8]) -> Result<Vec<CertificateDer<'static>>, IdentityError> {
    let text = String::from_utf8_lossy(text);
    let blocks = pem::certificates(&text).map_err(|none| match none {
        NoCertificates::Key => IdentityError::KeyAsCertificate,
        NoCertificates::Nothing => IdentityError::NoCertificate,
    })?;
    Ok(blocks.into_iter().filter_map(|block| block.contents).map(CertificateDer::from).collect())
}

/// The first key in a text. Other blocks, for example the parameters of a curve, are skipped.
fn private_key(text: &[u8]) -> Result<PrivateKeyDer<'static>, IdentityError> {
    // A sequence in DER. Text in PEM never starts with this byte.
    if text.first() == Some(&0x30) {
        return Err(IdentityError::DerKey);
    }
    let text = String::from_utf8_lossy(text);
    let block = pem::blocks(&text).into_iter().find(pem::Block::is_key).ok_or(IdentityError::NoKey)?;
    if block.is_encrypted() {
        return Err(IdentityError::EncryptedKey);
    }
    // As in Go, the contents decide on the format, not the label.
    PrivateKeyDer::try_from(block.contents.unwrap_or_default()).map_err(|_| IdentityError::Key)
}
