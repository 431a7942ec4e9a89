//! Options of the connection to the API server.

use std::path::PathBuf;

/// The address, the credentials and the rate limit of the API server.
#[derive(Debug, Clone, PartialEq)]
pub struct ConnectionOptions {
    pub kubeconfig: Option<PathBuf>,
    /// A URL that overrides the kubeconfig's. With neither, the service account of the pod is used.
    pub master: Option<String>,
    /// Requests per second; no limit if not above 0.
    pub qps: f32,
    /// The number of requests that may be sent at once before `qps` applies.
    pub burst: u32,
    /// Whether initial lists are requested as streams (`sendInitialEvents`), if the server supports them.
    pub stream_lists: bool,
    /// The `User-Agent` header.
    pub user_agent: String,
}
