//! Reads why the API server rejected a request or ended a watch: from a `Status` object, or from the HTTP code alone.

use serde::Deserialize;

/// The cause in a `Status` if the server has not reached the requested resource version.
const VERSION_UNKNOWN: &str = "ResourceVersionTooLarge";

/// Why the API server rejected a request.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct ApiStatus {
    /// The HTTP code.
    pub(super) code: u16,
    pub(super) message: String,
    /// Seconds after which to retry.
    pub(super) retry_after: Option<u64>,
    /// Whether the resource version is newer than the newest of the server: etcd was restored from a backup.
    pub(super) version_unknown: bool,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Status {
    code: u16,
    message: String,
    details: Option<Details>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Details {
    retry_after_seconds: Option<u64>,
    causes: Option<Vec<Cause>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Cause {
    reason: String,
}

impl ApiStatus {
    /// Reads the head and the body of a response. The body may be anything. For a watch event, which has no head, `code` is 0.
    pub(super) fn read(code: u16, retry_after: Option<u64>, body: &[u8]) -> Self {
        let status: Status = serde_json::from_slice(body).unwrap_or_default();
        let details = status.details.unwrap_or_default();
        Self {
            code: if code == 0 { status.code } else { code },
            message: status.message,
            retry_after: retry_after.or(details.retry_after_seconds.filter(|seconds| *seconds > 0)),
            version_unknown: details.causes.unwrap_or_default().iter().any(|cause| cause.reason == VERSION_UNKNOWN),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_status_is_read_from_the_object_or_from_http_alone() {
        let status = json!({"code": 504, "message": "Timeout: Too large resource version: 9, current: 5",
            "details": {"causes": [{"reason": VERSION_UNKNOWN}], "retryAfterSeconds": 1}});
        let read = ApiStatus::read(504, None, status.to_string().as_bytes());
        assert_eq!((read.code, read.retry_after, read.version_unknown), (504, Some(1), true));
        let bare = ApiStatus::read(429, Some(3), b"slow down");
        assert_eq!(bare, ApiStatus { code: 429, retry_after: Some(3), ..ApiStatus::default() });
    }
}
