//! Errors with the codes, reasons and messages of the API server.

use serde_json::{Value, json};

/// An error: its HTTP code and `Status` document.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Status {
    pub(crate) code: u16,
    pub(crate) document: Value,
}

impl Status {
    fn new(code: u16, reason: &str, message: impl Into<String>) -> Self {
        Self::with(code, reason, message, json!({}), json!({}))
    }

    fn with(code: u16, reason: &str, message: impl Into<String>, details: Value, metadata: Value) -> Self {
        let document = json!({
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": metadata,
            "status": "Failure",
            "message": message.into(),
            "reason": reason,
            "details": details,
            "code": code,
        });
        Self { code, document }
    }

    /// The usual status for a code.
    pub(crate) fn of(code: u16, retry_after: Option<u32>) -> Self {
        let (reason, message) = match code {
            401 => ("Unauthorized", "Unauthorized"),
            403 => ("Forbidden", "the request is forbidden: not allowed for this user"),
            429 => ("TooManyRequests", "Too many requests, please try again later."),
            500 => ("InternalError", "an error on the server has prevented the request from succeeding"),
            503 => ("ServiceUnavailable", "the server is currently unable to handle the request"),
            504 => ("Timeout", "the server was unable to return a response in the time allotted"),
            _ => ("", "the server rejects the request"),
        };
        let details = retry_after.map_or_else(|| json!({}), |seconds| json!({"retryAfterSeconds": seconds}));
        Self::with(code, reason, message, details, json!({}))
    }

    pub(crate) fn bad_request(message: impl Into<String>) -> Self {
        Self::new(400, "BadRequest", message)
    }

    pub(crate) fn not_found(resource: &str, name: &str) -> Self {
        let details = json!({"name": name, "kind": resource});
        Self::with(404, "NotFound", format!("{resource} \"{name}\" not found"), details, json!({}))
    }

    pub(crate) fn exists(resource: &str, name: &str) -> Self {
        let details = json!({"name": name, "kind": resource});
        Self::with(409, "AlreadyExists", format!("{resource} \"{name}\" already exists"), details, json!({}))
    }

    pub(crate) fn expired_watch(asked: u64, oldest: u64) -> Self {
        Self::new(410, "Expired", format!("too old resource version: {asked} ({oldest})"))
    }

    /// The version of the next page has expired. The token in the status continues the list with current objects.
    pub(crate) fn expired_page(inconsistent: &str) -> Self {
        let message = "The provided continue parameter is too old to display a consistent list result. You can start a new list \
            without the continue parameter, or use the continue token in this response to retrieve the remainder of the results. \
            Continuing with the provided token results in an inconsistent list - objects that were created, modified, or deleted \
            between the time the first chunk was returned and now may show up in the list.";
        Self::with(410, "Expired", message, json!({}), json!({"continue": inconsistent}))
    }

    pub(crate) fn too_large(asked: u64, current: u64) -> Self {
        let cause = json!({"reason": "ResourceVersionTooLarge", "message": "Too large resource version"});
        let details = json!({"causes": [cause], "retryAfterSeconds": 1});
        let message = format!("Timeout: Too large resource version: {asked}, current: {current}");
        Self::with(504, "Timeout", message, details, json!({}))
    }

    /// List or watch options that exclude each other.
    pub(crate) fn invalid(field: &str, why: &str) -> Self {
        let cause = json!({"reason": "FieldValueForbidden", "message": format!("Forbidden: {why}"), "field": field});
        let details = json!({"group": "meta.k8s.io", "kind": "ListOptions", "causes": [cause]});
        let message = format!("ListOptions.meta.k8s.io \"\" is invalid: {field}: Forbidden: {why}");
        Self::with(422, "Invalid", message, details, json!({}))
    }

    pub(crate) fn internal(message: impl Into<String>) -> Self {
        Self::new(500, "InternalError", message)
    }

    /// The seconds after which to retry, if the status has them.
    pub(crate) fn retry_after(&self) -> Option<u64> {
        self.document.get("details")?.get("retryAfterSeconds")?.as_u64()
    }
}
