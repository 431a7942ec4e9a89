//! `HNSCall`, and the v1 view of the store.

use hcn::call::{Method, Reply};
use hcn::schema::v1::{HnsEndpoint, PolicyList};
use hcn::schema::{Endpoint, LoadBalancer, Network};
use hcn::{Guid, Kind};
use serde_json::{Map, Value, json};

use crate::rules::{self, Rule};
use crate::store::{Store, read};
use crate::v2;

pub(crate) fn call(store: &mut Store, method: Method, path: &str, body: &str) -> Result<Reply, Rule> {
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    let output = match (method, parts.as_slice()) {
        (Method::Get, ["globals", "version"]) => {
            json!({"Major": store.build.version.major, "Minor": store.build.version.minor})
        }
        (Method::Get, [kind]) => {
            let kinds = kinds(kind)?;
            let views = kinds.iter().flat_map(|kind| store.table(*kind).iter().map(|(_, d)| view(store, *kind, d)));
            Value::Array(views.collect())
        }
        (Method::Post, [kind]) => {
            let document = v2::parse(body)?;
            let kind = match kinds(kind)? {
                [Kind::LoadBalancer, Kind::Route] if is_route(&document) => Kind::Route,
                [kind, ..] => *kind,
                [] => return Err(rules::UNKNOWN_PATH),
            };
            let id = store.create(kind, None, Guid::nil(), to_v2(kind, document)?)?;
            view(store, kind, store.get(kind, id)?)
        }
        (Method::Get, ["endpointstats", id]) => {
            let id = parse_id(id)?;
            store.get(Kind::Endpoint, id)?;
            json!({"BytesReceived": 0, "BytesSent": 0, "DroppedPacketsIncoming": 0, "DroppedPacketsOutgoing": 0,
                   "EndpointId": upper(id), "InstanceId": upper(id), "PacketsReceived": 0, "PacketsSent": 0})
        }
        (Method::Get, [kind, id]) => {
            let (kind, id) = find(store, kind, parse_id(id)?)?;
            view(store, kind, store.get(kind, id)?)
        }
        (Method::Delete, [kind, id]) => {
            let (kind, id) = find(store, kind, parse_id(id)?)?;
            store.delete(kind, id)?;
            Value::Null
        }
        (Method::Post, ["endpoints", id]) => {
            let id = parse_id(id)?;
            let update: HnsEndpoint = serde_json::from_value(v2::parse(body)?).map_err(|_| rules::INVALID_JSON)?;
            let policies = Endpoint::from(update).policies;
            let policies: Vec<Value> = policies.iter().filter_map(|p| serde_json::to_value(p).ok()).collect();
            store.change_policies(Kind::Endpoint, id, "Update", &policies)?;
            view(store, Kind::Endpoint, store.get(Kind::Endpoint, id)?)
        }
        (Method::Post, ["endpoints", id, "attach" | "detach"]) => {
            let id = parse_id(id)?;
            view(store, Kind::Endpoint, store.get(Kind::Endpoint, id)?)
        }
        (Method::Post, ["namespaces", id, verb @ ("addresource" | "removeresource")]) => {
            let id = parse_id(id)?;
            let body = v2::parse(body)?;
            let endpoint = body.pointer("/Data/Id").and_then(Value::as_str).and_then(|text| text.parse().ok());
            let endpoint = endpoint.ok_or(rules::UNKNOWN_ENDPOINT)?;
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

fn kinds(name: &str) -> Result<&'static [Kind], Rule> {
    Ok(match name {
        "networks" => &[Kind::Network],
        "endpoints" => &[Kind::Endpoint],
        "policylists" => &[Kind::LoadBalancer, Kind::Route],
        "namespaces" => &[Kind::Namespace],
        _ => return Err(rules::UNKNOWN_PATH),
    })
}

/// The object of an id, among the kinds that a path stands for.
fn find(store: &Store, name: &str, id: Guid) -> Result<(Kind, Guid), Rule> {
    let kinds = kinds(name)?;
    let kind = kinds.iter().find(|kind| store.table(**kind).get(id).is_some()).or(kinds.first());
    kind.map(|kind| (*kind, id)).ok_or(rules::UNKNOWN_PATH)
}

fn parse_id(text: &str) -> Result<Guid, Rule> {
    text.parse().map_err(|_| rules::BACKEND_NO_ID)
}

/// v1 prints ids in capitals.
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

/// A v2 document as v1 shows it.
pub(crate) fn view(store: &Store, kind: Kind, document: &Value) -> Value {
    let mut members = match kind {
        Kind::Network => {
            let mut members = members(v2::network_to_v1(document));
            members.insert("Subnets".into(), subnets_to_v1(document));
            members
        }
        Kind::Endpoint => {
            let mut members = members(v2::endpoint_to_v1(document));
            members.insert("State".into(), 1.into());
            members
        }
        Kind::LoadBalancer => {
            let mut members = members(v2::load_balancer_to_v1(document));
            let dangling = |id| store.table(Kind::Endpoint).get(id).is_none();
            let degraded = read::<LoadBalancer>(document).endpoint_ids().any(dangling);
            members.insert("State".into(), if degraded { 4 } else { 2 }.into());
            members.insert("IsApplied".into(), true.into());
            members
        }
        Kind::Namespace | Kind::Route => members(document),
    };
    if let Some(id) = members.get("ID").and_then(Value::as_str).map(str::to_uppercase) {
        members.insert("ID".into(), id.into());
    }
    Value::Object(members)
}

fn subnets_to_v1(document: &Value) -> Value {
    let network: Network = read(document);
    let subnets = network.ipams.iter().flat_map(|ipam| &ipam.subnets);
    let view = |subnet: &hcn::schema::Subnet| {
        let default = |route: &&hcn::schema::Route| matches!(route.destination_prefix.as_str(), "0.0.0.0/0" | "::/0");
        let gateway = subnet.routes.iter().find(default).map(|route| route.next_hop.clone());
        json!({"AddressPrefix": subnet.ip_address_prefix, "GatewayAddress": gateway.unwrap_or_default()})
    };
    subnets.map(view).collect()
}

/// A v1 document as the store keeps it.
pub(crate) fn to_v2(kind: Kind, document: Value) -> Result<Value, Rule> {
    let invalid = |_| rules::INVALID_JSON;
    let v2 = match kind {
        Kind::Network => {
            let subnets = document.get("Subnets").and_then(Value::as_array).cloned().unwrap_or_default();
            let network: hcn::schema::v1::HnsNetwork = serde_json::from_value(document).map_err(invalid)?;
            let mut members = members(Network::from(network));
            let subnets: Vec<Value> = subnets.iter().map(subnet_to_v2).collect();
            members.insert("Ipams".into(), json!([{"Type": "Static", "Subnets": subnets}]));
            Value::Object(members)
        }
        Kind::Endpoint => {
            let endpoint: HnsEndpoint = serde_json::from_value(document).map_err(invalid)?;
            Value::Object(members(Endpoint::from(endpoint)))
        }
        Kind::LoadBalancer => {
            let list: PolicyList = serde_json::from_value(document).map_err(invalid)?;
            let balancer = LoadBalancer::try_from(list).map_err(|_| rules::INVALID_JSON)?;
            Value::Object(members(balancer))
        }
        Kind::Namespace | Kind::Route => document,
    };
    Ok(v2)
}

fn subnet_to_v2(subnet: &Value) -> Value {
    let text = |member: &str| subnet.get(member).and_then(Value::as_str).unwrap_or_default();
    let everywhere = if text("AddressPrefix").contains(':') { "::/0" } else { "0.0.0.0/0" };
    json!({"IpAddressPrefix": text("AddressPrefix"),
           "Routes": [{"NextHop": text("GatewayAddress"), "DestinationPrefix": everywhere}]})
}
