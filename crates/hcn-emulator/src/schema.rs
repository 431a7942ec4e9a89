//! The members of documents in the HCN (v2) schema that Microsoft has published, and the first member of a document that is not among them.
//!
//! Source: [HNS_Schema.md](https://github.com/MicrosoftDocs/Virtualization-Documentation/blob/main/virtualization/api/hcn/HNS_Schema.md).
//! Settings of policies and the data of resources have the type `Any` there, so that they are not checked. A real HNS names such a member
//! in the error record: `{{CreateWithCompartment,UnknownField}}`.

use hcn::Kind;
use serde_json::Value;

/// The members of an object: their names, and what is in them.
type Members = &'static [(&'static str, Content)];

/// What is in a member: anything, or one object or a list of objects with these members. `Derived` adds the members of all objects.
#[derive(Clone, Copy)]
enum Content {
    Any,
    Of(Members),
    Derived(Members),
}

use Content::{Any, Derived, Of};

/// The members of all objects.
const BASE: Members = &[
    ("ID", Any),
    ("Owner", Any),
    ("Name", Any),
    ("Version", Any),
    ("AdditionalParams", Any),
    ("Health", Any),
    ("SchemaVersion", Of(VERSION)),
    ("Telemetry", Any),
    ("State", Any),
];

const VERSION: Members = &[("Major", Any), ("Minor", Any)];
const DNS: Members = &[("Domain", Any), ("Search", Any), ("ServerList", Any), ("Options", Any)];
const POLICY: Members = &[("Type", Any), ("Settings", Any)];
const ROUTE: Members = &[("NextHop", Any), ("DestinationPrefix", Any), ("Metric", Any)];
const RANGE: Members = &[("StartMacAddress", Any), ("EndMacAddress", Any)];

const NETWORK: Members = &[
    ("Type", Any),
    ("Policies", Of(POLICY)),
    ("MacPool", Of(&[("Ranges", Of(RANGE))])),
    ("Dns", Of(DNS)),
    ("Ipams", Of(&[("Type", Any), ("Subnets", Derived(SUBNET))])),
    ("Flags", Any),
];

const SUBNET: Members =
    &[("IpAddressPrefix", Any), ("Policies", Of(POLICY)), ("Routes", Of(ROUTE)), ("IpSubnets", Any), ("Flags", Any)];

const ENDPOINT: Members = &[
    ("HostComputeNetwork", Any),
    ("HostComputeNamespace", Any),
    ("Policies", Of(POLICY)),
    ("IpConfigurations", Of(&[("IpAddress", Any), ("PrefixLength", Any), ("IpSubnetId", Any)])),
    ("Dns", Of(DNS)),
    ("Routes", Of(ROUTE)),
    ("MacAddress", Any),
    ("Flags", Any),
];

const LOAD_BALANCER: Members = &[
    ("HostComputeNetwork", Any),
    ("HostComputeEndpoints", Any),
    ("SourceVIP", Any),
    ("FrontendVIPs", Any),
    ("PortMappings", Of(PORT_MAPPING)),
    ("Flags", Any),
];

const PORT_MAPPING: Members =
    &[("Protocol", Any), ("InternalPort", Any), ("ExternalPort", Any), ("DistributionType", Any), ("Flags", Any)];

const NAMESPACE: Members =
    &[("NamespaceId", Any), ("NamespaceGuid", Any), ("Type", Any), ("Resources", Of(&[("Type", Any), ("Data", Any)]))];

/// `Setting` is not published: hnslib sends it.
const ROUTES: Members =
    &[("HostComputeNetwork", Any), ("HostComputeEndpoints", Any), ("Routes", Any), ("Setting", Any)];

const QUERY: Members = &[("SchemaVersion", Of(VERSION)), ("Flags", Any), ("Filter", Any)];

const REQUEST: Members = &[("ResourceUri", Any), ("RequestType", Any), ("ResourceType", Any), ("Settings", Any)];

/// The first member of an object's document that is not published.
pub(crate) fn unknown_member(kind: Kind, document: &Value) -> Option<&str> {
    unknown(&[BASE, members(kind)], document)
}

/// Removes the members of an object's document that are not published.
pub(crate) fn drop_unknown_members(kind: Kind, document: &mut Value) {
    drop_unknown(&[BASE, members(kind)], document);
}

fn members(kind: Kind) -> Members {
    match kind {
        Kind::Network => NETWORK,
        Kind::Endpoint => ENDPOINT,
        Kind::LoadBalancer => LOAD_BALANCER,
        Kind::Namespace => NAMESPACE,
        Kind::Route => ROUTES,
    }
}

/// The first member of a query that is not published.
pub(crate) fn unknown_member_of_query(document: &Value) -> Option<&str> {
    unknown(&[QUERY], document)
}

/// The first member of a modify request that is not published.
pub(crate) fn unknown_member_of_request(document: &Value) -> Option<&str> {
    unknown(&[REQUEST], document)
}

fn unknown<'a>(known: &[Members], value: &'a Value) -> Option<&'a str> {
    match value {
        Value::Object(members) => members.iter().find_map(|(name, value)| match content(known, name) {
            None => Some(name.as_str()),
            Some(Any) => None,
            Some(Of(members)) => unknown(&[members], value),
            Some(Derived(members)) => unknown(&[BASE, members], value),
        }),
        Value::Array(list) => list.iter().find_map(|value| unknown(known, value)),
        // A value of another type is not a member that is unknown.
        _ => None,
    }
}

fn drop_unknown(known: &[Members], value: &mut Value) {
    match value {
        Value::Object(members) => members.retain(|name, value| {
            match content(known, name) {
                None => return false,
                Some(Any) => {}
                Some(Of(members)) => drop_unknown(&[members], value),
                Some(Derived(members)) => drop_unknown(&[BASE, members], value),
            }
            true
        }),
        Value::Array(list) => list.iter_mut().for_each(|value| drop_unknown(known, value)),
        _ => {}
    }
}

fn content(known: &[Members], name: &str) -> Option<Content> {
    known.iter().copied().flatten().find(|(known, _)| *known == name).map(|(_, content)| *content)
}
