//! Recognizes the documents of HNS by their members, and converts those of the HNS v1 API to the v2 schema.

use hcn::schema::v1::{HnsEndpoint, HnsNetwork, PolicyList};
use hcn::schema::{Endpoint, LoadBalancer, Network};
use hcn::{Guid, Kind};
use serde::Deserialize;
use serde_json::{Map, Value};

/// What a JSON object is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    V1(Kind),
    V2(Kind),
    /// A namespace or a route, which hnsproxy does not use.
    Unused,
}

/// The members by which a form is recognized: one of them is enough. The first form of the table counts: a load balancer of newer builds has
/// a `HostComputeNetwork`, as an endpoint does, and an endpoint can have the `CompartmentId` of its namespace.
const MARKS: [(Form, &[&str]); 9] = [
    (Form::Unused, &["Setting"]),
    (Form::V2(Kind::LoadBalancer), &["HostComputeEndpoints", "PortMappings", "FrontendVIPs"]),
    (Form::V1(Kind::LoadBalancer), &["References"]),
    (Form::V2(Kind::Endpoint), &["IpConfigurations", "HostComputeNetwork"]),
    (
        Form::V1(Kind::Endpoint),
        &["VirtualNetwork", "VirtualNetworkName", "IPAddress", "IsRemoteEndpoint", "MacAddress"],
    ),
    (Form::V2(Kind::Network), &["Ipams", "MacPool"]),
    (Form::V1(Kind::Network), &["Subnets", "MacPools", "ManagementIP", "LayeredOn"]),
    (Form::V1(Kind::Network), &["NetworkAdapterName", "MaxConcurrentEndpoints", "CurrentEndpointCount"]),
    (Form::Unused, &["CompartmentId", "NamespaceId", "ResourceList"]),
];

/// The form of an object; `None` if it is no document of HNS.
pub(super) fn form(members: &Map<String, Value>) -> Option<Form> {
    // A load balancer has no routes.
    if members.contains_key("HostComputeEndpoints") && members.contains_key("Routes") {
        return Some(Form::Unused);
    }
    let has_one = |names: &[&str]| names.iter().any(|name| members.contains_key(*name));
    MARKS.iter().find(|(_, names)| has_one(names)).map(|(form, _)| *form)
}

/// The id of a document, and the document in the v2 schema. A route in the v1 schema is `None`.
///
/// # Errors
/// Why the document cannot be used.
pub(super) fn convert(form: Form, document: Value) -> Result<Option<(Kind, Guid, Value)>, String> {
    let (kind, v2) = match form {
        Form::Unused => return Ok(None),
        Form::V2(kind) => (kind, document),
        Form::V1(Kind::Network) => (Kind::Network, written(&Network::from(read::<HnsNetwork>(&document)?))?),
        Form::V1(Kind::Endpoint) => (Kind::Endpoint, written(&Endpoint::from(read::<HnsEndpoint>(&document)?))?),
        Form::V1(_) if is_route(&document) => return Ok(None),
        Form::V1(kind) => (kind, written(&LoadBalancer::try_from(read::<PolicyList>(&document)?)?)?),
    };
    let id = match v2.get("ID") {
        None | Some(Value::Null) => return Err("missing ID".to_owned()),
        Some(Value::String(id)) => id.parse().map_err(|_| format!("invalid ID {id:?}"))?,
        Some(other) => return Err(format!("invalid ID {other}")),
    };
    Ok(Some((kind, id, v2)))
}

fn read<T: for<'de> Deserialize<'de>>(document: &Value) -> Result<T, String> {
    T::deserialize(document).map_err(|error| error.to_string())
}

fn written(document: &impl serde::Serialize) -> Result<Value, String> {
    serde_json::to_value(document).map_err(|error| error.to_string())
}

fn is_route(document: &Value) -> bool {
    let kind = document.pointer("/Policies/0/Type").and_then(Value::as_str);
    kind.is_some_and(|kind| kind.eq_ignore_ascii_case("ROUTE"))
}

/// The members that `ConvertTo-Json` has cut off because of its depth: it prints an object that is too deep as `@{Name=value; ...}`, and a
/// list as the name of its type. Members that hnsproxy does not use are not looked at.
pub(super) fn cut_off(document: &Value) -> Vec<&str> {
    const UNUSED: [&str; 4] = ["Resources", "Health", "Extensions", "AdditionalParams"];
    let members = document.as_object().into_iter().flatten();
    members
        .filter(|(name, value)| !UNUSED.contains(&name.as_str()) && is_cut_off(value))
        .map(|(name, _)| &**name)
        .collect()
}

fn is_cut_off(value: &Value) -> bool {
    match value {
        Value::String(text) => text.starts_with("@{") || text.starts_with("System."),
        Value::Array(list) => list.iter().any(is_cut_off),
        Value::Object(members) => members.values().any(is_cut_off),
        _ => false,
    }
}

/// Undoes what Windows PowerShell makes of some lists: `{"value": [...], "Count": 2}`.
pub(super) fn unwrap_lists(value: Value) -> Value {
    match value {
        Value::Array(list) => Value::Array(list.into_iter().map(unwrap_lists).collect()),
        Value::Object(mut members) => {
            let is_list = members.len() == 2 && members.contains_key("Count");
            if is_list && members.get("value").is_some_and(Value::is_array) {
                return unwrap_lists(members.shift_remove("value").unwrap_or_default());
            }
            Value::Object(members.into_iter().map(|(name, value)| (name, unwrap_lists(value))).collect())
        }
        other => other,
    }
}
