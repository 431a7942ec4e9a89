//! How the API server is reached.

use std::path::PathBuf;

/// How the API server is reached, and how often it may be asked.
#[derive(Debug, Clone, PartialEq)]
pub struct ConnectionOptions {
    pub kubeconfig: Option<PathBuf>,
    /// A URL that overrides the kubeconfig's. With neither, the service account of the pod is used.
    pub master: Option<String>,
    /// Requests per second; no limit if not above zero.
    pub qps: f32,
    /// Requests that may be sent at once before `qps` counts.
    pub burst: u32,
    /// Whether initial lists are requested as streams (`sendInitialEvents`), where the server has them.
    pub stream_lists: bool,
    /// The `User-Agent` header.
    pub user_agent: String,
}
