//! The HCN (v2) API: its functions on the store.

use hcn::call::{Call, Reply};
use hcn::schema::Query;
use hcn::{Guid, Kind};
use serde_json::{Value, json};

use crate::object::parse;
use crate::rules::{self, Rule};
use crate::schema;
use crate::store::{self, Store, id_of};
use crate::v1;

pub(crate) fn call(store: &mut Store, call: &Call) -> Result<Reply, Rule> {
    if !store.features().v2 && !matches!(call, Call::Close { .. } | Call::Hns { .. }) {
        return Err(rules::NO_V2);
    }
    match call {
        Call::Enumerate { kind, query } => enumerate(store, *kind, query),
        Call::Create { kind, network, id, settings } => {
            let network = network.map(|handle| store.opened(Kind::Network, handle)).transpose()?;
            if *kind == Kind::Endpoint && network.is_none() {
                return Err(rules::NO_NETWORK_HANDLE);
            }
            store.about = Some((*kind, *id)).filter(|(_, id)| !id.is_nil());
            let document = to_v2(store, *kind, parse(settings)?)?;
            let id = store.create(*kind, network, *id, document)?;
            store.open(*kind, id).map(Reply::Handle)
        }
        Call::Open { kind, id } => store.open(*kind, *id).map(Reply::Handle),
        Call::Query { kind, handle, query } => {
            let id = store.opened(*kind, *handle)?;
            let v2 = parse_query(store, query)?.1;
            let document = store.get(*kind, id)?;
            let document = if v2 { store.shown(*kind, document) } else { v1::view(store, *kind, document) };
            Ok(Reply::Document(document.to_string()))
        }
        Call::Modify { kind, handle, settings } => {
            let id = store.opened(*kind, *handle)?;
            modify(store, *kind, id, parse(settings)?).map(|()| Reply::Done)
        }
        Call::Delete { kind, id } => store.delete(*kind, *id).map(|()| Reply::Done),
        Call::Close { handle, .. } => {
            store.close(*handle);
            Ok(Reply::Done)
        }
        Call::Hns { method, path, body } => v1::call(store, *method, path, body),
    }
}

/// The filter of a query, and whether the reply has the v2 schema. A null query, or another major version, requests the v1 schema.
fn parse_query(store: &mut Store, text: &str) -> Result<(Vec<(String, Value)>, bool), Rule> {
    if text.is_empty() {
        return Ok((Vec::new(), false));
    }
    let document = parse(text)?;
    store.check_members(schema::unknown_member_of_query(&document))?;
    let v2 = document.pointer("/SchemaVersion/Major").and_then(Value::as_u64) == Some(2);
    let query: Query = serde_json::from_value(document).map_err(|_| rules::INVALID_JSON)?;
    let filter = if query.filter.is_empty() { json!({}) } else { parse(&query.filter)? };
    let Value::Object(members) = filter else { return Err(rules::INVALID_JSON) };
    Ok((members.into_iter().collect(), v2))
}

fn enumerate(store: &mut Store, kind: Kind, query: &str) -> Result<Reply, Rule> {
    let (filter, _) = parse_query(store, query)?;
    let store = &*store;
    let matches = |document: &Value| filter.iter().all(|(key, value)| matches(store, kind, document, key, value));
    // Lookup by id, without a scan of all objects.
    let by_id = filter.iter().find(|(key, _)| key.eq_ignore_ascii_case("ID")).map(|(_, value)| value);
    let ids: Vec<String> = match by_id {
        Some(value) => {
            let id: Option<Guid> = value.as_str().and_then(|text| text.parse().ok());
            let found = id.and_then(|id| Some((id, store.table(kind).get(id)?)));
            found.filter(|(_, document)| matches(document)).map(|(id, _)| id.to_string()).into_iter().collect()
        }
        None => store.table(kind).iter().filter(|(_, d)| matches(d)).map(|(id, _)| id.to_string()).collect(),
    };
    Ok(Reply::Document(json!(ids).to_string()))
}

/// Whether a document matches one member of a filter. Unknown members match nothing.
fn matches(store: &Store, kind: Kind, document: &Value, key: &str, value: &Value) -> bool {
    let text = value.as_str().unwrap_or_default();
    let same_id = |member: &str| text.parse::<Guid>().is_ok_and(|id| id_of(document, member) == Some(id));
    let same_text =
        |member: &str| document.get(member).and_then(Value::as_str).is_some_and(|own| own.eq_ignore_ascii_case(text));
    match key {
        "ID" => same_id("ID"),
        "Name" => same_text("Name"),
        "VirtualNetwork" | "HostComputeNetwork" if kind == Kind::Endpoint => same_id("HostComputeNetwork"),
        "VirtualNetworkName" if kind == Kind::Endpoint => {
            v1::network_name(store, document).is_some_and(|name| name.eq_ignore_ascii_case(text))
        }
        "Flags" => document.get("Flags").and_then(Value::as_u64).unwrap_or(0) == value.as_u64().unwrap_or(0),
        _ => false,
    }
}

/// These functions take settings in the v1 schema too: those without schema version 2.
fn to_v2(store: &mut Store, kind: Kind, mut document: Value) -> Result<Value, Rule> {
    if document.pointer("/SchemaVersion/Major").and_then(Value::as_u64) == Some(2) {
        store.check_members(schema::unknown_member(kind, &document))?;
        if store.options.drops_unknown_members {
            schema::drop_unknown_members(kind, &mut document);
        }
        return Ok(document);
    }
    v1::to_v2(kind, document)
}

fn modify(store: &mut Store, kind: Kind, id: Guid, mut request: Value) -> Result<(), Rule> {
    let is_document = kind == Kind::LoadBalancer && request.get("PortMappings").is_some();
    store.check_members(if is_document {
        schema::unknown_member(kind, &request)
    } else {
        schema::unknown_member_of_request(&request)
    })?;
    if is_document && store.options.drops_unknown_members {
        schema::drop_unknown_members(kind, &mut request);
    }
    if kind == Kind::LoadBalancer {
        return store.modify_load_balancer(id, request);
    }
    let resource = request.get("ResourceType").and_then(Value::as_str).unwrap_or_default();
    let verb = store::request(&request)?;
    let settings = request.get("Settings").cloned().unwrap_or_default();
    match (kind, resource) {
        (Kind::Network | Kind::Endpoint, "Policy") => {
            let policies = settings.get("Policies").and_then(Value::as_array).cloned().unwrap_or_default();
            store.change_policies(kind, id, verb, &policies)
        }
        (Kind::Namespace, "Endpoint") => {
            let endpoint = id_of(&settings, "EndpointId").ok_or(rules::UNKNOWN_ENDPOINT)?;
            if verb == "Remove" { store.detach(id, endpoint) } else { store.attach(id, endpoint) }
        }
        (Kind::Namespace, "Container") => {
            let container = settings.get("ContainerId").and_then(Value::as_str).ok_or(rules::NO_CONTAINER)?;
            if verb == "Remove" { store.delist(id, resource, container) } else { store.enlist(id, resource, container) }
        }
        (Kind::Endpoint, "Port") | (Kind::Network, "DNS" | "Extension") => Ok(()),
        _ => Err(rules::NO_SUCH_RESOURCE),
    }
}
