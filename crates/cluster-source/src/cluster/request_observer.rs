//! The callback that observes requests to the API server, and how recent its responses are.

use std::time::Duration;

/// Called on the thread that sends the requests, so it must not block.
pub trait RequestObserver: Send + Sync {
    /// A request waited this long for the client's rate limit; zero if it did not wait.
    fn rate_limited(&self, host: &str, method: &str, waited: Duration);
    /// A request was answered with an HTTP code, or failed without one.
    fn answered(&self, host: &str, method: &str, code: Option<u16>, took: Duration);
    /// The API server has proved that what is known of a kind is current, by a complete list, a watch event or a bookmark. `kind` is as in the
    /// field `kind` of objects.
    fn current(&self, kind: &'static str) {
        let _ = kind;
    }
    /// Whether requests for a kind fail for a reason that was reported as an outage.
    fn in_outage(&self, kind: &'static str, in_outage: bool) {
        let _ = (kind, in_outage);
    }
}
