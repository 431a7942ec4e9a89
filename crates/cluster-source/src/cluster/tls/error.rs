//! Why a certificate of the server, or one of this client, cannot be used.

use std::fmt::{Display, Formatter};

use jiff::civil::DateTime;

use crate::error_chain;

/// Why no TLS connection can be configured.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error("invalid tls-server-name {name:?}: expected a DNS name or an IP address")]
    ServerName { name: String },
    #[error("invalid client certificate: {0}")]
    Identity(#[from] IdentityError),
    #[error("cannot use the certificates that this system trusts: {}; set certificate-authority", error_chain(.0))]
    SystemTrust(#[source] Box<kube::Error>),
    #[error(transparent)]
    Rustls(#[from] rustls::Error),
}

/// What is wrong with the client certificate or its key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdentityError {
    #[error("no certificate in PEM in client-certificate: no line BEGIN CERTIFICATE")]
    NoCertificate,
    #[error(
        "client-certificate has a private key, but no certificate in PEM; client-certificate and client-key may be swapped"
    )]
    KeyAsCertificate,
    #[error("the first certificate in client-certificate cannot be read")]
    Certificate,
    #[error("no key in PEM in client-key: no line BEGIN … PRIVATE KEY")]
    NoKey,
    #[error("client-key is in DER; convert it to PEM, for example with openssl pkey -inform der")]
    DerKey,
    #[error("client-key is encrypted; decrypt it, for example with openssl pkey")]
    EncryptedKey,
    #[error(
        "client-key cannot be read, or is of an unsupported kind (supported: ECDSA P-256, P-384, P-521, Ed25519, RSA from 2048 bits)"
    )]
    Key,
    #[error("client-key is not the key of the first certificate in client-certificate")]
    Mismatch,
}

/// Why the certificate of the server is not trusted. The message follows "TLS handshake with API server URL failed: ".
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(in crate::cluster) enum ServerCertificateError {
    #[error("the certificate of the server is malformed, or has a critical extension that is not supported")]
    Malformed,
    #[error("{whose} expired at {at}Z; renew it, and check the clock of this node")]
    Expired { whose: Whose, at: DateTime },
    #[error("{whose} is not valid before {at}Z; check the clock of this node")]
    NotYetValid { whose: Whose, at: DateTime },
    #[error("the certificate of the server is for {}, not for {wanted}; use one of these names in server, or as tls-server-name", list(.names))]
    OtherName { wanted: String, names: Vec<String> },
    /// As in Go, the common name is not a name of the server: <https://go.dev/doc/go1.15#commonname>.
    #[error("the certificate of the server has no subject alternative names{}; issue one with {wanted} as subject alternative name", only(.common_name))]
    NoNames { wanted: String, common_name: Option<String> },
    #[error("the certificate of the server is not for servers; its extended key usage needs serverAuth")]
    NotForServers,
    #[error(
        "the certificate of the server belongs to a certificate authority (CA:TRUE); issue one with CA:FALSE, or add it to {trust}"
    )]
    AuthorityAsServer { trust: String },
    #[error("the certificate of the server is signed by {issuer}, and {trust} has only {}; add the certificate of the authority that signed it", list(.trusted))]
    UnknownAuthority { issuer: String, trust: String, trusted: Vec<String> },
    #[error(
        "the certificate of the server is signed by {issuer}, and {trust} has another key of that name; the authority may have been created again: use its new certificate"
    )]
    OtherKey { issuer: String, trust: String },
    #[error(
        "the certificate of the server is signed by {issuer}, whose certificate in {trust} does not allow it to sign certificates of servers; it needs CA:TRUE, and keyCertSign in its key usage"
    )]
    NotAnAuthority { issuer: String, trust: String },
    #[error(
        "the intermediate certificate {name}, which the server sends, does not allow it to sign certificates of servers; it needs CA:TRUE, and keyCertSign in its key usage"
    )]
    IntermediateMayNotSign { name: String },
    #[error(
        "the certificate of the server is signed by {issuer}, and with more intermediate certificates than {trust} allows (pathlen)"
    )]
    TooManyIntermediates { issuer: String, trust: String },
    #[error(
        "the certificate of the server, or one that signed it, has an unsupported signature or key; supported are SHA-2 signatures, and RSA keys from 2048 bits"
    )]
    Algorithm,
    /// Anything else, as rustls-webpki names it.
    #[error("the certificate of the server, or one that signed it, is invalid: {0}")]
    Other(String),
}

/// Whose certificate it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::cluster) enum Whose {
    Server,
    /// One that the server sends in addition to its own.
    Intermediate,
    /// An authority in the kubeconfig.
    Authority {
        name: String,
        trust: String,
    },
}

impl Display for Whose {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Server => f.write_str("the certificate of the server"),
            Self::Intermediate => f.write_str("an intermediate certificate of the server"),
            Self::Authority { name, trust } => write!(f, "the certificate of authority {name} in {trust}"),
        }
    }
}

/// The number of names in a message. A certificate may have thousands, and a few are enough to recognize it.
const SHOWN: usize = 10;

fn list(names: &[String]) -> String {
    let more = names.len().saturating_sub(SHOWN);
    let shown = names.get(..SHOWN).unwrap_or(names).join(", ");
    if more == 0 { shown } else { format!("{shown} and {more} more") }
}

fn only(common_name: &Option<String>) -> String {
    common_name.as_ref().map(|name| format!(", only the common name {name:?}")).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_lists_the_first_names() {
        let refused = |count: usize| {
            let names = (1..=count).map(|number| number.to_string()).collect();
            ServerCertificateError::OtherName { wanted: "a".into(), names }.to_string()
        };
        assert!(refused(2).contains("is for 1, 2, not for a; "), "{}", refused(2));
        assert!(
            refused(12).contains("is for 1, 2, 3, 4, 5, 6, 7, 8, 9, 10 and 2 more, not for a; "),
            "{}",
            refused(12)
        );
    }
}
