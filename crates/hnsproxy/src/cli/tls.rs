//! The TLS flags for the metrics and health check addresses: those of the server, and those of the commands that query it.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use clap::Args;

use crate::http_client::Server;

#[derive(Debug, Args)]
pub struct TlsArgs {
    /// The certificate chain in PEM with which the metrics address serves HTTPS.
    ///
    /// The address then refuses HTTP without TLS. Both files are read again when they change.
    #[arg(long, value_name = "FILE", requires = "metrics_tls_key_file")]
    metrics_tls_cert_file: Option<PathBuf>,
    /// The private key of --metrics-tls-cert-file in PEM.
    #[arg(long, value_name = "FILE", requires = "metrics_tls_cert_file")]
    metrics_tls_key_file: Option<PathBuf>,
    /// The certificate chain in PEM with which the healthz address serves HTTPS.
    ///
    /// Only for probes that use HTTPS: those of external load balancers usually use HTTP. Both files are read again when they change.
    #[arg(long, value_name = "FILE", requires = "healthz_tls_key_file")]
    healthz_tls_cert_file: Option<PathBuf>,
    /// The private key of --healthz-tls-cert-file in PEM.
    #[arg(long, value_name = "FILE", requires = "healthz_tls_cert_file")]
    healthz_tls_key_file: Option<PathBuf>,
}

impl TlsArgs {
    /// The certificate and the key of the metrics address.
    pub fn metrics(&self) -> Option<(&Path, &Path)> {
        self.metrics_tls_cert_file.as_deref().zip(self.metrics_tls_key_file.as_deref())
    }

    /// The certificate and the key of the healthz address.
    pub fn healthz(&self) -> Option<(&Path, &Path)> {
        self.healthz_tls_cert_file.as_deref().zip(self.healthz_tls_key_file.as_deref())
    }
}

/// The flags with which a command verifies the running hnsproxy that it queries.
#[derive(Debug, Clone, Args)]
pub struct DebugTlsArgs {
    /// The file of --metrics-tls-cert-file of the running hnsproxy, if it has this flag.
    ///
    /// hnsproxy is then queried over HTTPS, and no other certificate is trusted.
    #[arg(long, value_name = "FILE", hide_short_help = true)]
    debug_tls_cert_file: Option<PathBuf>,
}

impl DebugTlsArgs {
    /// Returns the client for the hnsproxy at an address.
    pub fn server(&self, address: SocketAddr) -> Server {
        Server { address, certificate_file: self.debug_tls_cert_file.clone() }
    }
}
