//! Which bearer tokens can be sent.

use http::HeaderValue;

/// Whether an HTTP header can have this token. kube panics with others.
pub(super) fn is_valid_token(token: &str) -> bool {
    HeaderValue::from_str(token).is_ok()
}
