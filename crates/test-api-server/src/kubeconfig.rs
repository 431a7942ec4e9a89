//! Kubeconfigs for the server.

use std::path::PathBuf;

use base64::Engine;
use base64::prelude::BASE64_STANDARD as BASE64;
use serde_json::{Value, json};

use crate::tls::{ClientCertificate, Tls};

/// How a client authenticates.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Credentials {
    /// Not at all.
    None,
    Token(String),
    /// By a token in a file, which may change.
    TokenFile(PathBuf),
    /// By the client certificate of the server, inline. Over TLS only.
    Certificate,
    /// By a certificate and key in files, which may change.
    CertificateFiles {
        certificate: PathBuf,
        key: PathBuf,
    },
}

pub(crate) fn kubeconfig(url: &str, tls: Option<&Tls>, credentials: &Credentials) -> Value {
    let mut cluster = json!({"server": url});
    if let (Some(tls), Some(cluster)) = (tls, cluster.as_object_mut()) {
        cluster.insert("certificate-authority-data".to_owned(), BASE64.encode(tls.authority()).into());
    }
    let user = match credentials {
        Credentials::None => json!({}),
        Credentials::Token(token) => json!({"token": token}),
        Credentials::TokenFile(file) => json!({"tokenFile": file}),
        Credentials::Certificate => tls.map_or_else(
            || json!({}),
            |tls| {
                let ClientCertificate { certificate, key, .. } = tls.client();
                json!({"client-certificate-data": BASE64.encode(certificate), "client-key-data": BASE64.encode(key)})
            },
        ),
        Credentials::CertificateFiles { certificate, key } => {
            json!({"client-certificate": certificate, "client-key": key})
        }
    };
    json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "test", "cluster": cluster}],
        "users": [{"name": "test", "user": user}],
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
        "current-context": "test",
    })
}
