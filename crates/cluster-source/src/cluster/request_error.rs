//! Errors of requests to the API server, classified by code, and how to react to each.

use std::time::Duration;

use super::api_status::ApiStatus;
use super::decode::DecodeError;
use super::limits::{MAX_LINE, MAX_PAGE};
use super::tls::ServerCertificateError;

/// How long a starting server may forbid everything, because it has not loaded the roles yet.
const SERVER_START: Duration = Duration::from_secs(3);

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum RequestError {
    /// No client could be created: the credentials cannot be read, or a credential plugin failed. Holds the message.
    Client(String),
    Connect(String),
    /// The connection broke in the middle of a response.
    ConnectionLost(String),
    Tls(TlsFailure),
    Timeout,
    /// A streamed list ended before it was complete.
    ListEnded,
    /// A watch has received nothing for this time, not even a bookmark, although the server answers other requests.
    Silent(Duration),
    Decode(DecodeError),
    /// A page of this number of objects exceeds [`MAX_PAGE`].
    PageTooLarge {
        objects: usize,
    },
    /// A line of a watch exceeds [`MAX_LINE`]. Holds its beginning, which names the object.
    LineTooLong {
        begin: String,
    },
    /// The server has a resource version that is older than one that it had before.
    VersionWentBack {
        version: String,
        before: String,
    },
    /// The server has another history of the objects than the one that was known up to this resource version.
    OtherHistory {
        version: String,
    },
    /// The server rejected the request.
    Api(ApiStatus),
}

/// Why a TLS handshake failed, with what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum TlsFailure {
    #[error(transparent)]
    Refused(ServerCertificateError),
    /// By rustls, or by the operating system. Holds the message.
    #[error(
        "{0}; check the clock of this node; without certificate-authority in the kubeconfig, this system decides which servers are trusted"
    )]
    Other(String),
    /// Holds the alert that the server sent.
    #[error("{0}; check client-certificate in the kubeconfig, and the clocks of this node and of the server")]
    Rejected(String),
}

impl RequestError {
    fn code(&self) -> Option<u16> {
        match self {
            RequestError::Api(status) => Some(status.code),
            _ => None,
        }
    }

    /// Whether the resource version or `continue` token has expired, or is unknown to the server, so that only a relist helps.
    pub(super) fn needs_relist(&self) -> bool {
        matches!(self, RequestError::Api(status) if status.version_unknown)
            || matches!(self.code(), Some(400 | 410 | 422))
            || matches!(self, RequestError::VersionWentBack { .. } | RequestError::OtherHistory { .. })
    }

    /// Whether a healthy server occasionally causes this error.
    pub(super) fn is_ordinary(&self) -> bool {
        matches!(self, RequestError::ConnectionLost(_) | RequestError::ListEnded) || self.needs_relist()
    }

    /// How long the error must last before it is an outage.
    pub(super) fn grace_period(&self) -> Duration {
        if self.code() == Some(403) { SERVER_START } else { Duration::ZERO }
    }

    /// Whether the server may not support a parameter of the request.
    pub(super) fn is_bad_request(&self) -> bool {
        matches!(self.code(), Some(400 | 422))
    }

    /// Whether the server may not support streamed lists: older servers reject the parameters, newer ones fail if etcd is too old.
    pub(super) fn may_lack_streamed_lists(&self) -> bool {
        self.is_bad_request() || self.code() == Some(500)
    }

    /// Whether the server, or a proxy, may not support the path of the request.
    pub(super) fn may_lack_path(&self) -> bool {
        matches!(self.code(), Some(403..=405))
    }

    /// Whether the server is healthy, but overloaded.
    pub(super) fn is_overloaded(&self) -> bool {
        self.code() == Some(429)
    }

    /// Whether new credentials may help.
    pub(super) fn may_be_credentials(&self) -> bool {
        self.code() == Some(401) || matches!(self, RequestError::Tls(_))
    }

    /// The delay in seconds that the server asks for.
    pub(super) fn retry_after(&self) -> Option<u64> {
        match self {
            RequestError::Api(status) => status.retry_after,
            _ => None,
        }
    }

    /// The message. It names the resource only if requests for other resources may succeed, so that an outage of the server has one message
    /// for all resources.
    pub(super) fn describe(&self, server: &str, resource: &str) -> String {
        match self {
            RequestError::Client(why) => why.clone(),
            RequestError::Connect(why) => format!("cannot connect to API server {server}: {why}"),
            RequestError::ConnectionLost(why) => format!("connection to API server {server} lost: {why}"),
            RequestError::Tls(failure) => format!("TLS handshake with API server {server} failed: {failure}"),
            RequestError::Timeout => format!("API server {server} does not respond: timeout"),
            RequestError::ListEnded => {
                format!("API server {server} ended the list of {resource} before it was complete")
            }
            RequestError::Silent(time) => format!(
                "watch of {resource} at API server {server} has received nothing for {} s, not even a bookmark: using lists instead; \
                 check proxies between this node and the server",
                time.as_secs()
            ),
            RequestError::Decode(error) => format!("invalid response of API server {server}: {error}"),
            RequestError::PageTooLarge { objects } => format!(
                "response of API server {server} too large: a page of {objects} {resource} exceeds {} MiB",
                MAX_PAGE >> 20
            ),
            RequestError::LineTooLong { begin } => format!(
                "response of API server {server} too large: a watch event of {resource} exceeds {} MiB (it begins with {begin:?})",
                MAX_LINE >> 20
            ),
            RequestError::VersionWentBack { version, before } => format!(
                "invalid response of API server {server}: resource version {version} of {resource} is older than {before}, which it had before"
            ),
            RequestError::OtherHistory { version } => format!(
                "API server {server} has not the {resource} that it had at resource version {version}: etcd may have been restored from a backup"
            ),
            RequestError::Api(ApiStatus { code, message, .. }) => {
                let why = if message.is_empty() { String::new() } else { format!(": {message}") };
                match code {
                    401 => format!(
                        "API server {server} rejects the credentials (401){why}; check the token or certificate of the kubeconfig or \
                         the service account"
                    ),
                    403 => format!(
                        "API server {server} forbids listing and watching {resource} (403){why}; bind the ClusterRole \
                         system:node-proxier to this user"
                    ),
                    429 => format!("API server {server} is overloaded (429){why}"),
                    500.. => format!("API server {server} failed ({code}){why}"),
                    _ => format!("API server {server} cannot list or watch {resource} ({code}){why}"),
                }
            }
        }
    }
}

impl From<DecodeError> for RequestError {
    fn from(error: DecodeError) -> Self {
        RequestError::Decode(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn api(code: u16) -> RequestError {
        RequestError::Api(ApiStatus { code, message: "because".into(), ..ApiStatus::default() })
    }

    #[test]
    fn a_message_names_what_to_check() {
        let text = |error: &RequestError| error.describe("https://api:6443", "services");
        assert_eq!(
            text(&api(403)),
            "API server https://api:6443 forbids listing and watching services (403): because; bind the ClusterRole system:node-proxier to this user"
        );
        assert_eq!(
            text(&api(401)),
            "API server https://api:6443 rejects the credentials (401): because; check the token or certificate of the kubeconfig or the \
             service account"
        );
        assert_eq!(text(&api(404)), "API server https://api:6443 cannot list or watch services (404): because");
        assert_eq!(text(&api(500)), "API server https://api:6443 failed (500): because");
    }

    #[test]
    fn errors_are_classified_by_code() {
        let unknown = ApiStatus { code: 504, version_unknown: true, ..ApiStatus::default() };
        assert!(api(410).needs_relist() && RequestError::Api(unknown).needs_relist() && !api(504).needs_relist());
        assert!(api(422).is_bad_request() && !api(410).is_bad_request());
        assert!(api(401).may_be_credentials() && !api(403).may_be_credentials());
    }
}
