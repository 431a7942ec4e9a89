//! Headers of responses.

use http::{HeaderName, header};

pub(super) const JSON: (HeaderName, &str) = (header::CONTENT_TYPE, "application/json");
pub(super) const TEXT: (HeaderName, &str) = (header::CONTENT_TYPE, "text/plain; charset=utf-8");
/// Browsers take the content type as it is: no page can be made to run as a script.
pub(super) const NOSNIFF: (HeaderName, &str) = (header::X_CONTENT_TYPE_OPTIONS, "nosniff");
/// The number of local backends of a Service, as kube-proxy sends it to load balancers.
pub(super) const WEIGHT: HeaderName = HeaderName::from_static("x-load-balancing-endpoint-weight");
