//! Errors of creating an API server client.
//!
//! Messages name the flags and configuration fields of kube-proxy that fix the error.

use std::path::PathBuf;

use kube::config::InClusterError;

use super::kubeconfig::KubeconfigError;
use super::plugin::PluginError;
use super::proxy::InvalidProxy;
use super::server_url::InvalidServerUrl;
use super::tls::TlsError;
use crate::error_chain;

/// Why no client of an API server can be created.
#[derive(Debug, thiserror::Error)]
pub enum AccessError {
    #[error("cannot read kubeconfig {}", path.display())]
    Kubeconfig {
        path: PathBuf,
        #[source]
        source: KubeconfigError,
    },
    /// A file or a value that the kubeconfig names.
    #[error(transparent)]
    Value(#[from] KubeconfigError),
    /// Neither a kubeconfig nor a service account.
    #[error(
        "no API server configured: {}; set --kubeconfig (clientConnection.kubeconfig) or --master, or run in a pod with a service account \
         (KUBERNETES_SERVICE_HOST and _PORT, and token, ca.crt and namespace in /var/run/secrets/kubernetes.io/serviceaccount, or below \
         CONTAINER_SANDBOX_MOUNT_POINT), or read files with --from",
        error_chain(.0)
    )]
    InCluster(#[source] Box<InClusterError>),
    /// A file of the service account below the mount point of the container.
    #[error("cannot read {}", path.display())]
    ServiceAccount {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("invalid API server URL --master={master}: {source}; expected e.g. https://10.0.0.1:6443")]
    Master { master: String, source: InvalidServerUrl },
    /// A rate limit with a burst of 0 would never allow a request.
    #[error("invalid --kube-api-burst (clientConnection.burst) 0: must be above 0 if requests per second are limited")]
    Burst,
    #[error("cannot read token file {}", path.display())]
    Token {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("invalid token file {}: empty", path.display())]
    EmptyToken { path: PathBuf },
    #[error(
        "invalid token: HTTP headers do not allow one of its characters; check token or tokenFile in the kubeconfig"
    )]
    InvalidToken,
    #[error(
        "unsupported auth-provider {name} in the kubeconfig: Kubernetes clients support only oidc with an id-token; use exec"
    )]
    AuthProvider { name: String },
    #[error(transparent)]
    Proxy(#[from] InvalidProxy),
    #[error(transparent)]
    Plugin(#[from] PluginError),
    #[error("cannot configure TLS to the API server: {0}")]
    Tls(#[from] TlsError),
    #[error("cannot create API server client")]
    Client(#[source] Box<kube::Error>),
    #[error("cannot start the runtime for requests to the API server")]
    Runtime(#[source] std::io::Error),
}

impl AccessError {
    /// Whether the file of the kubeconfig does not exist.
    pub(super) fn is_missing_kubeconfig(&self) -> bool {
        let Self::Kubeconfig { source: KubeconfigError::Read(error), .. } = self else { return false };
        error.kind() == std::io::ErrorKind::NotFound
    }
}
