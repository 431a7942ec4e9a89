//! Headers of responses.

use http::{HeaderName, header};

pub(super) const JSON: (HeaderName, &str) = (header::CONTENT_TYPE, "application/json");
pub(super) const TEXT: (HeaderName, &str) = (header::CONTENT_TYPE, "text/plain; charset=utf-8");
/// Browsers must not guess another content type, for example a script.
pub(super) const NOSNIFF: (HeaderName, &str) = (header::X_CONTENT_TYPE_OPTIONS, "nosniff");
/// The number of local backends of a Service, as kube-proxy sends it to external load balancers.
pub(super) const WEIGHT: HeaderName = HeaderName::from_static("x-load-balancing-endpoint-weight");
