//! What metrics are told of requests to the API server.

use std::time::Duration;

/// Counts requests to the API server. Called on the thread that sends them, so it must not block.
pub trait RequestObserver: Send + Sync {
    /// A request has waited this long for the client's rate limit; zero if it did not wait.
    fn rate_limited(&self, host: &str, method: &str, waited: Duration);
    /// A request was answered with an HTTP code, or failed without one.
    fn answered(&self, host: &str, method: &str, code: Option<u16>, took: Duration);
}
