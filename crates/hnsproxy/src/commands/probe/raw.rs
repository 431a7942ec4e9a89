//! Reads HNS without decoding: lists and documents as JSON values.

use hcn::call::Method;
use hcn::error::ErrorRecord;
use hcn::schema::Query;
use hcn::schema::v1::Envelope;
use hcn::{Call, Error, Guid, Hcn, Hresult, Kind, Reply};
use serde_json::Value;

/// The longest excerpt of a document, in characters.
const MAX_EXCERPT: usize = 200;

/// The call of the v1 list of a kind: method and path.
pub(super) fn v1_call(kind: Kind) -> &'static str {
    match kind {
        Kind::Network => "GET /networks/",
        Kind::Endpoint => "GET /endpoints/",
        Kind::LoadBalancer | Kind::Route => "GET /policylists/",
        Kind::Namespace => "GET /namespaces/",
    }
}

/// The documents of the v1 list of a kind.
pub(in crate::commands) fn v1_list(hcn: &dyn Hcn, kind: Kind) -> Result<Vec<Value>, Error> {
    let path = v1_call(kind).trim_start_matches("GET ").to_owned();
    let call = Call::Hns { method: Method::Get, path: path.clone(), body: String::new() };
    let text = text(hcn, &call)?;
    let Envelope { success, error, error_code, output } =
        serde_json::from_str(&text).map_err(|error| not_json(&call, &error, &text))?;
    let code = Hresult(error_code);
    if !success && !code.is_success() {
        let record = Some(ErrorRecord { success, error, error_code });
        return Err(Error::Hns { function: call.function(), code, record });
    }
    if !success {
        return Err(Error::Envelope { method: "GET", path, message: error.trim_end().to_owned() });
    }
    let output = output.map_or("null", |output| output.get());
    match serde_json::from_str(output) {
        Ok(Value::Array(documents)) => Ok(documents),
        Ok(_) => Err(invalid(&call, &format!("expected a list as output, found {}", excerpt(output)))),
        Err(error) => Err(not_json(&call, &error, output)),
    }
}

/// The ids of the v2 enumeration of a kind.
pub(super) fn v2_ids(hcn: &dyn Hcn, kind: Kind) -> Result<Vec<Guid>, Error> {
    let call = Call::Enumerate { kind, query: Query::all().to_json() };
    match document(hcn, &call)? {
        Value::Array(ids) => Ok(ids.iter().filter_map(|id| id.as_str()?.parse().ok()).collect()),
        Value::Null => Ok(Vec::new()),
        _ => Err(invalid(&call, "expected a list")),
    }
}

/// The v2 document of an object. One that is not JSON is its text.
pub(in crate::commands) fn v2_document(hcn: &dyn Hcn, kind: Kind, id: Guid) -> Result<Value, Error> {
    let open = Call::Open { kind, id };
    let Reply::Handle(handle) = hcn.call(&open)? else { return Err(invalid(&open, "expected a handle")) };
    let properties = text(hcn, &Call::Query { kind, handle, query: Query::all().to_json() });
    // A handle that HNS fails to close cannot be released in any other way.
    let _ = hcn.call(&Call::Close { kind, handle });
    properties.map(|text| serde_json::from_str(&text).unwrap_or(Value::String(text)))
}

/// The id of a v1 document.
pub(in crate::commands) fn id_of(document: &Value) -> Option<Guid> {
    document.get("ID")?.as_str()?.parse().ok()
}

/// Whether a policy list is a route, which is another kind in v2.
pub(super) fn is_route(document: &Value) -> bool {
    let policies = document.get("Policies").and_then(Value::as_array).into_iter().flatten();
    let is = |policy: &Value| {
        policy.get("Type").and_then(Value::as_str).is_some_and(|kind| kind.eq_ignore_ascii_case("ROUTE"))
    };
    document.get("References").is_some() && policies.into_iter().any(is)
}

fn document(hcn: &dyn Hcn, call: &Call) -> Result<Value, Error> {
    let text = text(hcn, call)?;
    serde_json::from_str(&text).map_err(|error| not_json(call, &error, &text))
}

fn text(hcn: &dyn Hcn, call: &Call) -> Result<String, Error> {
    match hcn.call(call)? {
        Reply::Document(text) => Ok(text),
        _ => Err(invalid(call, "expected a document")),
    }
}

fn not_json(call: &Call, error: &serde_json::Error, text: &str) -> Error {
    invalid(call, &format!("{error}; it begins with {:?}", excerpt(text)))
}

/// The beginning of a text.
pub(super) fn excerpt(text: &str) -> String {
    text.chars().take(MAX_EXCERPT).collect()
}

fn invalid(call: &Call, reason: &str) -> Error {
    Error::Document { function: call.function(), reason: reason.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct OneReply(&'static str);

    impl Hcn for OneReply {
        fn call(&self, call: &Call) -> Result<Reply, Error> {
            Ok(match call {
                Call::Open { .. } => Reply::Handle(hcn::call::Handle(1)),
                Call::Close { .. } => Reply::Done,
                _ => Reply::Document(self.0.to_owned()),
            })
        }
    }

    #[test]
    fn the_error_of_a_v1_list_has_the_text_of_hns() {
        let error = |text| v1_list(&OneReply(text), Kind::Endpoint).unwrap_err().to_string();
        assert_eq!(
            error(r#"{"Success": false, "Error": "Access is denied. ", "ErrorCode": 2147942405}"#),
            "HNSCall failed: Access is denied. (E_ACCESSDENIED, 0x80070005)"
        );
        assert_eq!(
            error(r#"{"Success": false, "Error": "Something else. "}"#),
            "HNSCall GET /endpoints/ failed: Something else."
        );
        assert_eq!(
            error(r#"{"Success": true, "Output": {"Endpoints": []}}"#),
            r#"HNSCall returned an invalid document: expected a list as output, found {"Endpoints": []}"#
        );
    }

    #[test]
    fn a_v2_document_that_is_not_json_is_its_text() {
        let document = v2_document(&OneReply("{\"ID\": "), Kind::Endpoint, Guid::from_u128(1));
        assert_eq!(document, Ok(Value::from("{\"ID\": ")));
    }
}
