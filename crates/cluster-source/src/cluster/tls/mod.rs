//! TLS to the API server: which servers are trusted, and the client certificate. What Go's clients accept is accepted.

mod certificate;
mod der;
mod error;
#[cfg(feature = "fuzzing")]
mod fuzzing;
mod identity;
#[cfg(test)]
mod tests;
mod verifier;

use std::sync::Arc;

use http::Uri;
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use kube::Config;
use kube::client::ConfigExt;
use kube::config::AuthInfo;
use rustls::ClientConfig;
use rustls::client::danger::ServerCertVerifier;
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::ServerName;
use rustls::sign::SingleCertAndKey;

use self::certificate::Certificate;
pub(in crate::cluster) use self::error::ServerCertificateError;
pub(super) use self::error::TlsError;
#[cfg(feature = "fuzzing")]
pub use self::fuzzing::certificates;
use self::verifier::{AnyServer, ServerVerifier};

/// The TLS configuration of connections to the API server.
///
/// # Errors
/// If the client certificate or its key cannot be used. A retry may help: the files may change.
pub(super) fn client_config(config: &Config) -> Result<ClientConfig, TlsError> {
    let provider = Arc::new(default_provider());
    let algorithms = provider.signature_verification_algorithms;
    let identity = identity::identity(&config.auth_info, &provider)?;
    let verifier: Option<Arc<dyn ServerCertVerifier>> = match &config.root_cert {
        _ if config.accept_invalid_certs => Some(Arc::new(AnyServer(algorithms))),
        Some(certificates) => Some(Arc::new(ServerVerifier::new(certificates, trust(config), algorithms))),
        // Without TLS, no server has to be trusted. Reading the certificates of the system could fail, since it may have none.
        None if !uses_tls(config) => Some(Arc::new(ServerVerifier::new(&[], String::new(), algorithms))),
        None => None,
    };
    let mut tls = match verifier {
        Some(verifier) => ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .dangerous()
            .with_custom_certificate_verifier(verifier)
            .with_no_client_auth(),
        None => system_trust()?,
    };
    if let Some(identity) = identity {
        tls.client_auth_cert_resolver = Arc::new(SingleCertAndKey::from(identity));
    }
    Ok(tls)
}

/// The first and the last second in which the client certificate is valid. `None` if there is none, or it cannot be read.
pub(super) fn client_certificate_validity(auth: &AuthInfo) -> Option<(Timestamp, Timestamp)> {
    let (from, to) = Certificate::read(&identity::first_certificate(auth)?)?.valid;
    let utc = |time: DateTime| Some(time.to_zoned(TimeZone::UTC).ok()?.timestamp());
    Some((utc(from)?, utc(to)?))
}

fn uses_tls(config: &Config) -> bool {
    let urls = [Some(&config.cluster_url), config.proxy_url.as_ref()];
    urls.into_iter().flatten().any(|url| url.scheme_str() == Some("https"))
}

/// The setting that has the trusted certificates, for messages.
fn trust(config: &Config) -> String {
    match &config.root_cert_file {
        Some(file) => format!("certificate-authority ({})", file.display()),
        None => "certificate-authority-data".to_owned(),
    }
}

/// kube's configuration without a certificate authority: the operating system decides.
fn system_trust() -> Result<ClientConfig, TlsError> {
    let config = Config::new(Uri::from_static("https://localhost"));
    config.rustls_client_config().map_err(|source| TlsError::SystemTrust(Box::new(source)))
}

/// The name that the certificate of the server must have, if it is not the host of its URL.
///
/// # Errors
/// If the name is neither a DNS name nor an address.
pub(super) fn server_name(config: &Config) -> Result<Option<ServerName<'static>>, TlsError> {
    let Some(name) = &config.tls_server_name else { return Ok(None) };
    let address = name.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    let parsed = ServerName::try_from(address.unwrap_or(name).to_owned());
    parsed.map(Some).map_err(|_| TlsError::ServerName { name: name.clone() })
}
