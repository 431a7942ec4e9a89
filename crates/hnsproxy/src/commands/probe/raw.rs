//! Reads HNS without decoding: lists and documents as JSON values.

use hcn::call::Method;
use hcn::schema::Query;
use hcn::{Call, Error, Guid, Hcn, Kind, Reply};
use serde_json::Value;

/// The longest excerpt of a document, in characters.
pub(super) const MAX_EXCERPT: usize = 200;

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
pub(super) fn v1_list(hcn: &dyn Hcn, kind: Kind) -> Result<Vec<Value>, Error> {
    let path = v1_call(kind).trim_start_matches("GET ").to_owned();
    let call = Call::Hns { method: Method::Get, path, body: String::new() };
    let mut envelope = document(hcn, &call)?;
    match envelope.get_mut("Output").map(Value::take) {
        Some(Value::Array(documents)) => Ok(documents),
        _ => Err(invalid(&call, "expected a list as output")),
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

/// The v2 document of an object.
pub(super) fn v2_document(hcn: &dyn Hcn, kind: Kind, id: Guid) -> Result<Value, Error> {
    let open = Call::Open { kind, id };
    let Reply::Handle(handle) = hcn.call(&open)? else { return Err(invalid(&open, "expected a handle")) };
    let properties = document(hcn, &Call::Query { kind, handle, query: Query::all().to_json() });
    // A handle that HNS fails to close cannot be released in any other way.
    let _ = hcn.call(&Call::Close { kind, handle });
    properties
}

/// The id of a v1 document.
pub(super) fn id_of(document: &Value) -> Option<Guid> {
    document.get("ID")?.as_str()?.parse().ok()
}

fn document(hcn: &dyn Hcn, call: &Call) -> Result<Value, Error> {
    match hcn.call(call)? {
        Reply::Document(text) => serde_json::from_str(&text).map_err(|error| {
            let beginning: String = text.chars().take(MAX_EXCERPT).collect();
            invalid(call, &format!("{error}; it begins with {beginning:?}"))
        }),
        _ => Err(invalid(call, "expected a document")),
    }
}

fn invalid(call: &Call, reason: &str) -> Error {
    Error::Document { function: call.function(), reason: reason.to_owned() }
}
