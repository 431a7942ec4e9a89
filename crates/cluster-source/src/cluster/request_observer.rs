//! The callback that counts requests to the API server.

use std::time::Duration;

/// Called on the thread that sends the requests, so it must not block.
pub trait RequestObserver: Send + Sync {
    /// A request waited this long for the client's rate limit; zero if it did not wait.
    fn rate_limited(&self, host: &str, method: &str, waited: Duration);
    /// A request was answered with an HTTP code, or failed without one.
    fn answered(&self, host: &str, method: &str, code: Option<u16>, took: Duration);
}
