//! Certificates of a kubeconfig, inline or in files: what Go's `encoding/base64`, `encoding/pem` and `crypto/x509` read.

use std::fs;
use std::path::PathBuf;

use base64::Engine;
use base64::prelude::BASE64_STANDARD as BASE64;
use kube::config::AuthInfo;
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use secrecy::ExposeSecret;

use super::error::{CertificateProblem, KubeconfigError};
use crate::cluster::pem::{self, NoCertificates};
use crate::file_text::decode_text;

/// Decodes as Go does, which ignores line ends: people wrap long lines of YAML.
fn decode_base64(field: &'static str, text: &str) -> Result<Vec<u8>, KubeconfigError> {
    let text: String = text.chars().filter(|character| !matches!(character, '\r' | '\n')).collect();
    BASE64.decode(text).map_err(|_| KubeconfigError::Base64 { field })
}

/// The bytes of an inline value, or of a file. An empty value is absent.
fn bytes(
    data: (&'static str, Option<&str>),
    file: (&'static str, Option<&str>),
) -> Result<Option<(&'static str, Vec<u8>)>, KubeconfigError> {
    if let (field, Some(text)) = data {
        return Ok(Some((field, decode_base64(field, text)?)));
    }
    let (field, Some(path)) = file else { return Ok(None) };
    let path = PathBuf::from(path);
    match fs::read(&path) {
        Ok(bytes) => Ok(Some((field, bytes))),
        Err(source) => Err(KubeconfigError::File { field, path, source }),
    }
}

/// The certificates, as DER, with which the certificate of the server is verified.
pub(in crate::cluster) fn authorities(
    data: Option<&str>,
    file: Option<&str>,
) -> Result<Option<Vec<Vec<u8>>>, KubeconfigError> {
    let Some((field, bytes)) = bytes(("certificate-authority-data", data), ("certificate-authority", file))? else {
        return Ok(None);
    };
    usable(bytes).map(Some).map_err(|problem| KubeconfigError::Certificate { field, problem })
}

/// The text of the authorities, for a credential plugin.
pub(super) fn authority_text(data: Option<&str>, file: Option<&str>) -> Result<Option<Vec<u8>>, KubeconfigError> {
    let read = bytes(("certificate-authority-data", data), ("certificate-authority", file))?;
    Ok(read.map(|(_, bytes)| bytes))
}

/// The certificates that can be used. One that cannot be read is left out, as in Go: the others may be enough.
fn usable(bytes: Vec<u8>) -> Result<Vec<Vec<u8>>, CertificateProblem> {
    let text = text(bytes)?;
    let certificates = pem::certificates(&text).map_err(|none| match none {
        NoCertificates::Key => CertificateProblem::Key,
        NoCertificates::Nothing => CertificateProblem::NoPem,
    })?;
    let is_usable = |der: &Vec<u8>| RootCertStore::empty().add(CertificateDer::from(der.as_slice())).is_ok();
    let usable: Vec<_> = certificates.into_iter().filter_map(|block| block.contents).filter(is_usable).collect();
    if usable.is_empty() { Err(CertificateProblem::Unreadable) } else { Ok(usable) }
}

fn text(bytes: Vec<u8>) -> Result<String, CertificateProblem> {
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return Err(CertificateProblem::Empty);
    }
    match bytes.as_slice() {
        // A sequence that starts with version 3: a key store, a file with the extension .pfx on Windows.
        [0x30, 0x82, _, _, 0x02, 0x01, 0x03, ..] => return Err(CertificateProblem::Pkcs12),
        // A sequence with a length of more than one byte. Text in PEM never starts with these bytes.
        [0x30, 0x81..=0x84, ..] => return Err(CertificateProblem::Der),
        _ => {}
    }
    // UTF-16 without a byte order mark is valid UTF-8 with a NUL in each character.
    let text = decode_text(bytes).ok().filter(|text| !text.contains('\0'));
    text.ok_or(CertificateProblem::NoText)
}

/// Replaces the files of the client certificate by their contents. Without a certificate, a key is not used, as in client-go.
///
/// # Errors
/// If they cannot be read. A retry may help: the files may change.
pub(in crate::cluster) fn client_certificate(auth: &mut AuthInfo) -> Result<(), KubeconfigError> {
    let (certificate_file, key_file) = (auth.client_certificate.take(), auth.client_key.take());
    let (certificate, key) = (auth.client_certificate_data.take(), auth.client_key_data.take());
    let certificate = bytes(
        ("client-certificate-data", certificate.as_deref()),
        ("client-certificate", certificate_file.as_deref()),
    )?;
    let Some((field, certificate)) = certificate else { return Ok(()) };
    let key = key.as_ref().map(ExposeSecret::expose_secret);
    let key = bytes(("client-key-data", key), ("client-key", key_file.as_deref()))?;
    let Some((_, key)) = key else {
        return Err(KubeconfigError::Missing { field, missing: "client-key or client-key-data" });
    };
    let pem = text(certificate).map_err(|problem| KubeconfigError::Certificate { field, problem })?;
    auth.client_certificate_data = Some(BASE64.encode(pem));
    // A key that is not text is reported with the certificate, in tls/identity.rs.
    let key = decode_text(key.clone()).map_or(key, String::into_bytes);
    auth.client_key_data = Some(BASE64.encode(key).into());
    Ok(())
}
