//! Errors in a kubeconfig. No message has a value that may be secret.

use std::path::PathBuf;

use super::super::server_url::InvalidServerUrl;

/// What is wrong with a kubeconfig, or with a file that it names.
#[derive(Debug, thiserror::Error)]
pub enum KubeconfigError {
    #[error(transparent)]
    Read(std::io::Error),
    /// The message of the YAML parser quotes the file, which has secrets, so only the position of the error is kept.
    #[error("line {line}, column {column}: invalid YAML, or a value of another type than expected")]
    Syntax {
        /// From 1.
        line: u64,
        /// From 1.
        column: u64,
    },
    #[error("not a kubeconfig: expected apiVersion v1 and kind Config")]
    Kind,
    #[error("{field}: the name {name:?} occurs twice")]
    Duplicate { field: &'static str, name: String },
    #[error("missing current-context{}", known(contexts))]
    NoContext { contexts: Vec<String> },
    #[error("unknown current-context {name:?}{}", known(contexts))]
    UnknownContext { name: String, contexts: Vec<String> },
    #[error("context {context:?}: missing cluster{}", known(clusters))]
    NoCluster { context: String, clusters: Vec<String> },
    #[error("context {context:?}: unknown cluster {name:?}{}", known(clusters))]
    UnknownCluster { context: String, name: String, clusters: Vec<String> },
    #[error("cluster {cluster:?}: missing server")]
    NoServer { cluster: String },
    #[error("cluster {cluster:?}: invalid server {url:?}: {source}; expected e.g. https://10.0.0.1:6443")]
    Server { cluster: String, url: String, source: InvalidServerUrl },
    #[error("{first} and {second} are both set; keep one of them")]
    Both { first: &'static str, second: &'static str },
    #[error("{field} is set, but {missing} is missing")]
    Missing { field: &'static str, missing: &'static str },
    #[error("invalid {field}: not valid base64")]
    Base64 { field: &'static str },
    #[error("cannot read {field} {}", path.display())]
    File {
        field: &'static str,
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("invalid {field}: {problem}")]
    Certificate { field: &'static str, problem: CertificateProblem },
    #[error("invalid {field}: HTTP headers do not allow one of its characters")]
    Header { field: &'static str },
}

/// Why a text has no usable certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CertificateProblem {
    #[error("empty")]
    Empty,
    #[error("a certificate in DER; convert it to PEM, for example with openssl x509 -inform der")]
    Der,
    #[error("a key store in PKCS #12 (.pfx); export its certificates to PEM, for example with openssl pkcs12 -nokeys")]
    Pkcs12,
    #[error("neither UTF-8, nor UTF-16 with a byte order mark; save the certificates in PEM, as UTF-8")]
    NoText,
    #[error("no certificate in PEM: no line BEGIN CERTIFICATE")]
    NoPem,
    #[error("a private key, but no certificate in PEM")]
    Key,
    #[error("none of its certificates can be read")]
    Unreadable,
}

fn known(names: &[String]) -> String {
    match names {
        [] => "; the kubeconfig has none".to_owned(),
        names => format!(" (known: {})", names.join(", ")),
    }
}
