//! Which texts can be sent in a header.

use http::HeaderValue;

/// Whether a bearer token, or another value, can be sent in an HTTP header. kube panics with tokens that cannot.
pub(super) fn is_valid_header(text: &str) -> bool {
    HeaderValue::from_str(text).is_ok()
}
