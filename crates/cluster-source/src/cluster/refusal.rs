//! Why the API server refuses: a `Status`, or the code of HTTP alone.

use serde::Deserialize;

/// Among the causes of a refusal: the server has never had the version that it was asked for.
const VERSION_UNKNOWN: &str = "ResourceVersionTooLarge";

/// What the API server says when it refuses.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Refusal {
    /// The code of HTTP.
    pub(super) code: u16,
    /// The message for people.
    pub(super) message: String,
    /// After how many seconds to ask again.
    pub(super) retry_after: Option<u64>,
    /// Whether the version is one that the server has never had.
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

impl Refusal {
    /// Reads a refusal from what the head of an answer says and from its body, which may be anything. In a watch there is no head: the
    /// code is 0 there.
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
    fn a_refusal_is_read_from_the_status_or_from_http_alone() {
        let status = json!({"code": 504, "message": "Timeout: Too large resource version: 9, current: 5",
            "details": {"causes": [{"reason": VERSION_UNKNOWN}], "retryAfterSeconds": 1}});
        let read = Refusal::read(504, None, status.to_string().as_bytes());
        assert_eq!((read.code, read.retry_after, read.version_unknown), (504, Some(1), true));
        let bare = Refusal::read(429, Some(3), b"slow down");
        assert_eq!(bare, Refusal { code: 429, retry_after: Some(3), ..Refusal::default() });
    }
}
