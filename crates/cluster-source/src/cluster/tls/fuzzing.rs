//! What the fuzz target of certificates calls.

use base64::Engine;
use base64::prelude::BASE64_STANDARD as BASE64;
use kube::config::AuthInfo;
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};

use super::certificate::Certificate;
use super::der::Der;
use super::identity::identity;
use super::verifier::ServerVerifier;
use crate::cluster::kubeconfig::authorities;

/// A time at which the certificates of the seeds are valid, in seconds since 1970.
const NOW: u64 = 1_800_000_000;
const NAME: &str = "api.example";

/// Certificates in DER, one after the other: that of a server, and its chain. Each is trusted in turn. The bytes are also read as text in PEM.
pub fn certificates(bytes: &[u8]) {
    let elements: Vec<&[u8]> = elements(bytes).collect();
    for (position, trusted) in elements.iter().enumerate() {
        connect(&elements, &[trusted.to_vec()], position);
    }
    assert!(!is_trusted(&elements, &[]), "a server is trusted although no certificate is");
    let text = BASE64.encode(bytes);
    if let Err(error) = authorities(Some(&text), None) {
        is_one_line(&error.to_string());
    }
    let auth = AuthInfo {
        client_certificate_data: Some(text.clone()),
        client_key_data: Some(text.into()),
        ..AuthInfo::default()
    };
    if let Err(error) = identity(&auth, &default_provider()) {
        is_one_line(&error.to_string());
    }
}

/// The elements with their tags and lengths.
fn elements(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = Der::new(bytes);
    std::iter::from_fn(move || {
        let before = rest.rest();
        rest.next()?;
        before.get(..before.len() - rest.rest().len())
    })
}

/// A server with a chain, for a client that trusts one of its certificates.
fn connect(chain: &[&[u8]], trusted: &[Vec<u8>], position: usize) {
    if let Some(certificate) = trusted.first().and_then(|der| Certificate::read(der)) {
        is_one_line(&certificate.issuer.to_string());
        let may_be_trusted = position == 0 || certificate.is_authority();
        assert!(may_be_trusted || !is_trusted(chain, trusted), "the issuer is not an authority");
    } else {
        assert!(!is_trusted(chain, trusted), "a certificate is trusted that cannot be read");
    }
}

fn is_trusted(chain: &[&[u8]], trusted: &[Vec<u8>]) -> bool {
    let Some((server, rest)) = chain.split_first() else { return false };
    let Ok(name) = ServerName::try_from(NAME) else { return false };
    let rest: Vec<_> = rest.iter().map(|der| CertificateDer::from(*der)).collect();
    let algorithms = default_provider().signature_verification_algorithms;
    let verifier = ServerVerifier::new(trusted, "certificate-authority-data".to_owned(), algorithms);
    let now = UnixTime::since_unix_epoch(std::time::Duration::from_secs(NOW));
    let result = verifier.verify(&CertificateDer::from(*server), &rest, &name, now);
    result.inspect_err(|error| is_one_line(&error.to_string())).is_ok()
}

/// Checks a message: the server chooses parts of it.
fn is_one_line(message: &str) {
    assert!(!message.is_empty() && !message.contains(char::is_control), "{message:?}");
}
