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
    /// The time limit of each part of a response: its head, a chunk of a list, and an event of a streamed list. After it, the API server counts
    /// as unavailable. [`RESPONSE_TIMEOUT`](Self::RESPONSE_TIMEOUT) is meant for all API servers.
    pub response_timeout: Duration,
    /// For how long a watch may receive nothing before the resource version is verified; a random part, up to a third, is added. Longer than
    /// the interval of bookmarks, which is a minute. When the watches of a kind, one after the other, have received nothing for twice this
    /// time, the objects are listed again. While such lists show nothing new, this time doubles twice.
    pub watch_timeout: Duration,
    /// The `User-Agent` header.
    pub user_agent: String,
}

impl ConnectionOptions {
    /// An overloaded API server lets a request wait for a quarter of `--request-timeout`, by default 15 s, and then refuses it (429). A request
    /// that was given up earlier would wait from the beginning again.
    pub const RESPONSE_TIMEOUT: Duration = Duration::from_secs(15);
}
