//! Options of the connection to the API server.

use std::path::PathBuf;
use std::time::Duration;

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
    /// For how long a watch may receive nothing before the resource version is verified; a random part, up to a third, is added. Longer than
    /// the interval of bookmarks, which is a minute. After twice this time, the objects are listed again.
    pub watch_timeout: Duration,
    /// The `User-Agent` header.
    pub user_agent: String,
}
