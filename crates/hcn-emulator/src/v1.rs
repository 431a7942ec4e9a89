//! The HNS v1 API: `HNSCall`, and documents of the store in the v1 schema.

use hcn::call::{Method, Reply};
use hcn::schema::v1::{ElbPolicy, HnsEndpoint, HnsNetwork, PolicyList, flat_to_v2, v2_to_flat};
use hcn::schema::{Endpoint, LoadBalancer, Network, Policy};
use hcn::{Guid, Kind, Version};
use serde_json::{Map, Value, json};

use crate::object::parse;
use crate::rules::{self, Rule};
use crate::store::{Store, as_id, id_of, read, typed};

pub(crate) fn call(store: &mut Store, method: Method, path: &str, body: &str) -> Result<Reply, Rule> {
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    let output = match (method, parts.as_slice()) {
        (Method::Get, ["globals", "version"]) => {
            json!({"Major": store.build.version.major, "Minor": store.build.version.minor})
        }
        (method, ["accelnet"]) => accelnet(store, method, body)?,
        (Method::Get, [kind]) => {
            let kinds = kinds(kind)?;
            let views = kinds.iter().flat_map(|kind| store.table(*kind).iter().map(|(_, d)| view(store, *kind, d)));
            Value::Array(views.collect())
        }
        (Method::Post, [kind]) => {
            let document = parse(body)?;
            let kind = match kinds(kind)? {
                [Kind::LoadBalancer, Kind::Route] if is_route(&document) => Kind::Route,
                [kind, ..] => *kind,
                [] => return Err(rules::UNKNOWN_PATH),
            };
            let id = store.create(kind, None, Guid::nil(), to_v2(kind, document)?)?;
            view(store, kind, store.get(kind, id)?)
        }
        (Method::Get, ["endpointstats", id]) => {
            let (_, id) = find(store, "endpoints", id)?;
            store.get(Kind::Endpoint, id)?;
            json!({"BytesReceived": 0, "BytesSent": 0, "DroppedPacketsIncoming": 0, "DroppedPacketsOutgoing": 0,
                   "EndpointId": upper(id), "InstanceId": upper(id), "PacketsReceived": 0, "PacketsSent": 0})
        }
        (Method::Get, [kind, id]) => {
            let (kind, id) = find(store, kind, id)?;
            view(store, kind, store.get(kind, id)?)
        }
        (Method::Delete, [kind, id]) => {
            let (kind, id) = find(store, kind, id)?;
            store.delete(kind, id)?;
            Value::Null
        }
        (Method::Post, [kind @ "endpoints", id]) => {
            let (kind, id) = find(store, kind, id)?;
            let update: HnsEndpoint = typed(&parse(body)?)?;
            let policies = Endpoint::from(update).policies;
            let policies: Vec<Value> = policies.iter().filter_map(|p| serde_json::to_value(p).ok()).collect();
            store.change_policies(kind, id, "Update", &policies)?;
            view(store, kind, store.get(kind, id)?)
        }
        (Method::Post, [kind @ "endpoints", id, verb @ ("attach" | "detach")]) => {
            let (kind, id) = find(store, kind, id)?;
            let body = if body.is_empty() { Value::Null } else { parse(body)? };
            let container = body.get("ContainerId").and_then(Value::as_str).filter(|container| !container.is_empty());
            if *verb == "attach" {
                store.attach_v1(id, container)?
            } else {
                store.detach_v1(id, container)?
            }
            view(store, kind, store.get(kind, id)?)
        }
        (Method::Post, [kind @ "namespaces", id, verb @ ("addresource" | "removeresource")]) => {
            let (_, id) = find(store, kind, id)?;
            let body = parse(body)?;
            let endpoint = body.pointer("/Data/Id").and_then(as_id).ok_or(rules::UNKNOWN_ENDPOINT)?;
            if *verb == "addresource" {
                store.attach(id, endpoint)?
            } else {
                store.detach(id, endpoint)?
            }
            Value::Null
        }
        _ => return Err(rules::UNKNOWN_PATH),
    };
    let mut envelope = json!({"Success": true});
    if let Value::Object(members) = &mut envelope
        && !output.is_null()
    {
        members.insert("Output".into(), output);
    }
    Ok(Reply::Document(envelope.to_string()))
}

/// The MAC addresses of accelerated networking, which HNS handles as one list.
fn accelnet(store: &mut Store, method: Method, body: &str) -> Result<Value, Rule> {
    if !store.features().accelnet {
        return Err(rules::NO_ACCELNET);
    }
    match method {
        Method::Get => {}
        Method::Post => {
            let list = parse(body)?.get("MacAddressList").and_then(Value::as_array).cloned();
            store.accelnet = list.ok_or(rules::INVALID_JSON)?;
        }
        Method::Delete => store.accelnet.clear(),
    }
    Ok(json!({ "MacAddressList": store.accelnet }))
}

fn kinds(name: &str) -> Result<&'static [Kind], Rule> {
    Ok(match name {
        "networks" => &[Kind::Network],
        "endpoints" => &[Kind::Endpoint],
        "policylists" => &[Kind::LoadBalancer, Kind::Route],
        "namespaces" => &[Kind::Namespace],
        _ => return Err(rules::UNKNOWN_PATH),
    })
}

/// The object with an id, among the kinds of a path.
fn find(store: &mut Store, name: &str, id: &str) -> Result<(Kind, Guid), Rule> {
    let kinds = kinds(name)?;
    let id = id.parse().map_err(|_| rules::BACKEND_NO_ID)?;
    let kind = kinds.iter().find(|kind| store.table(**kind).get(id).is_some()).or(kinds.first());
    store.about = kind.map(|kind| (*kind, id));
    store.about.ok_or(rules::UNKNOWN_PATH)
}

/// v1 prints ids in upper case.
fn upper(id: Guid) -> String {
    id.to_string().to_uppercase()
}

fn is_route(document: &Value) -> bool {
    document.pointer("/Policies/0/Type").and_then(Value::as_str).is_some_and(|kind| kind.eq_ignore_ascii_case("ROUTE"))
}

fn members(value: impl serde::Serialize) -> Map<String, Value> {
    match serde_json::to_value(value) {
        Ok(Value::Object(members)) => members,
        _ => Map::new(),
    }
}

/// The name of the network of an endpoint.
pub(crate) fn network_name<'a>(store: &'a Store, endpoint: &Value) -> Option<&'a str> {
    let network = id_of(endpoint, "HostComputeNetwork")?;
    store.table(Kind::Network).get(network)?.get("Name")?.as_str()
}

/// A v2 document in the v1 schema.
pub(crate) fn view(store: &Store, kind: Kind, document: &Value) -> Value {
    let mut members = match kind {
        Kind::Network => members(HnsNetwork::from(&read::<Network>(document))),
        Kind::Endpoint => {
            let mut members = members(HnsEndpoint::from(&read::<Endpoint>(&store.shown(kind, document))));
            if let Some(name) = network_name(store, document) {
                members.insert("VirtualNetworkName".into(), name.into());
            }
            members.entry("State").or_insert_with(|| store.state_of_endpoint(document).into());
            members
        }
        Kind::LoadBalancer => applied(store, document, members(PolicyList::from(&read::<LoadBalancer>(document)))),
        Kind::Route => applied(store, document, route_to_v1(document)),
        Kind::Namespace => namespace_to_v1(document),
    };
    // In lower case on 1.1 and 5.1, and in upper case from 9.1 on; references stay in lower case.
    if store.build.version >= Version::new(9, 0) {
        for member in ["ID", "VirtualNetwork"] {
            if let Some(Value::String(id)) = members.get_mut(member) {
                *id = id.to_uppercase();
            }
        }
    }
    Value::Object(members)
}

/// Adds the state to a policy list: degraded if an endpoint is missing.
fn applied(store: &Store, document: &Value, mut members: Map<String, Value>) -> Map<String, Value> {
    let dangling = |id| store.table(Kind::Endpoint).get(id).is_none();
    let degraded = read::<LoadBalancer>(document).endpoint_ids().any(dangling);
    members.insert("State".into(), if degraded { 4 } else { 2 }.into());
    // Seen with state 2 on 9.2 and 15.0 (calico 8465).
    members.insert("IsApplied".into(), false.into());
    members
}

/// A v1 document in the v2 schema of the store.
pub(crate) fn to_v2(kind: Kind, document: Value) -> Result<Value, Rule> {
    let v2 = match kind {
        Kind::Network => {
            let network: HnsNetwork = typed(&document)?;
            Value::Object(members(Network::from(network)))
        }
        Kind::Endpoint => {
            let endpoint: HnsEndpoint = typed(&document)?;
            Value::Object(members(Endpoint::from(endpoint)))
        }
        Kind::LoadBalancer => {
            let list: PolicyList = typed(&document)?;
            list.policies.iter().try_for_each(|policy| typed::<ElbPolicy>(policy).map(drop))?;
            let balancer = LoadBalancer::try_from(list).map_err(|_| rules::INVALID_JSON)?;
            Value::Object(members(balancer))
        }
        Kind::Route if is_route(&document) => {
            let list: PolicyList = typed(&document)?;
            route_to_v2(list)
        }
        Kind::Namespace => namespace_to_v2(document),
        Kind::Route => document,
    };
    Ok(v2)
}

/// Names of members of namespaces in v1 and in v2.
const OF_NAMESPACES: [(&str, &str); 2] = [("ResourceList", "Resources"), ("CompartmentId", "NamespaceId")];

fn namespace_to_v2(mut document: Value) -> Value {
    if let Value::Object(members) = &mut document {
        // In v1, `Resources` is internal to HNS, which does not take it from a request (seen on 15.0, calico 8465).
        members.shift_remove("Resources");
        members.shift_remove("SchemaVersion");
        for (v1, v2) in OF_NAMESPACES {
            if let Some(value) = members.shift_remove(v1) {
                members.insert(v2.into(), value);
            }
        }
        if members.shift_remove("IsDefault") == Some(true.into()) {
            members.entry("Type").or_insert_with(|| "HostDefault".into());
        }
    }
    document
}

fn namespace_to_v1(document: &Value) -> Map<String, Value> {
    let mut members = members(document);
    for (v1, v2) in OF_NAMESPACES {
        if let Some(value) = members.shift_remove(v2) {
            members.insert(v1.into(), value);
        }
    }
    let default = document.get("Type").and_then(Value::as_str).is_some_and(|kind| kind.ends_with("Default"));
    members.insert("IsDefault".into(), default.into());
    // Seen on 15.0 (calico 8465).
    members.insert("SchemaVersion".into(), json!({"Major": 0, "Minor": 0}));
    members
}

/// The prefix of the references of policy lists.
const ENDPOINTS: &str = "/endpoints/";

fn route_to_v2(list: PolicyList) -> Value {
    let endpoints: Vec<&str> =
        list.references.iter().map(|path| path.strip_prefix(ENDPOINTS).unwrap_or(path)).collect();
    let routes: Vec<Value> = list.policies.into_iter().map(|route| flat_to_v2(route).settings).collect();
    let id = list.id.map(|id| id.to_string());
    json!({"ID": id, "HostComputeEndpoints": endpoints, "Setting": routes, "SchemaVersion": {"Major": 2, "Minor": 0}})
}

fn route_to_v1(document: &Value) -> Map<String, Value> {
    let list = |member: &str| document.get(member).and_then(Value::as_array).cloned().unwrap_or_default();
    let references =
        list("HostComputeEndpoints").iter().filter_map(|id| id.as_str().map(|id| format!("{ENDPOINTS}{id}"))).collect();
    let flat = |settings| v2_to_flat(&Policy { kind: "SDNRoute".into(), settings, ..Policy::default() });
    let policies = list("Setting").into_iter().map(flat).collect();
    members(PolicyList { id: id_of(document, "ID"), references, policies, ..PolicyList::default() })
}
