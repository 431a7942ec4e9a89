//! The documents of the HNS v1 API, and their conversion from and to the v2 schema.
//!
//! The v1 schema has no session affinity, fewer flags of a port mapping, and no IPv6 flag. Conversion to v1 loses these: before comparing,
//! callers reduce their document to what v1 has. Members without a known other name keep their name and value in both directions.
//!
//! A v1 document that is converted to v2 and back keeps all its members, except for `SchemaVersion`, and `Flags` of a policy list. The DNS
//! lists lose blanks after their commas, and the `ELB` policies of one list have the same addresses. Source: the documents that hnslib
//! reads and writes.

mod endpoint;
mod network;
mod policy;
mod policy_list;

use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use serde_json::{Value, json};

pub use endpoint::HnsEndpoint;
pub use network::{HnsNetwork, HnsSubnet};
pub use policy::{flat_to_v2, v2_to_flat};
pub use policy_list::{ElbPolicy, PolicyList};

use super::member::Member;
use super::{Other, Route};

/// The envelope of every reply of `HNSCall`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Envelope<'a> {
    /// Whether the call succeeded.
    #[serde(deserialize_with = "lenient")]
    pub success: bool,
    /// The message text of a failure.
    #[serde(deserialize_with = "lenient")]
    pub error: String,
    /// The code of a failure, as an unsigned decimal number. Older builds leave it out.
    #[serde(deserialize_with = "lenient")]
    pub error_code: u32,
    /// The reply as raw JSON, since it may be a list of all objects, which is read one at a time.
    #[serde(borrow)]
    pub output: Option<&'a RawValue>,
}

/// Reads a member of an envelope. An unreadable member has its default, so the call counts as failed, without a text or a code.
fn lenient<'de, D: Deserializer<'de>, T: Member>(deserializer: D) -> Result<T, D::Error> {
    Ok(T::read(&Value::deserialize(deserializer)?).unwrap_or_default())
}

/// `Dns` of v2 from the suffixes and servers of v1, which are lists with commas. `None` if both are empty.
fn dns_to_v2(suffix: &str, servers: &str) -> Option<Value> {
    let parts = |text: &str| -> Vec<String> {
        text.split(',').map(str::trim).filter(|part| !part.is_empty()).map(str::to_owned).collect()
    };
    let (suffixes, servers) = (parts(suffix), parts(servers));
    let mut dns = Other::new();
    if let Some(first) = suffixes.first() {
        dns.insert("Domain".into(), first.clone().into());
    }
    if suffixes.len() > 1 {
        dns.insert("Search".into(), suffixes.into());
    }
    if !servers.is_empty() {
        dns.insert("ServerList".into(), servers.into());
    }
    (!dns.is_empty()).then_some(Value::Object(dns))
}

/// The suffixes and servers of v1 from `Dns` of v2.
fn dns_to_v1(dns: Option<&Value>) -> (String, String) {
    let list = |member: &str| {
        let values = dns.and_then(|dns| dns.get(member)).and_then(Value::as_array).into_iter().flatten();
        values.filter_map(Value::as_str).collect::<Vec<_>>().join(",")
    };
    let domain = dns.and_then(|dns| dns.get("Domain")).and_then(Value::as_str).unwrap_or_default();
    let search = list("Search");
    (if search.is_empty() { domain.to_owned() } else { search }, list("ServerList"))
}

/// The destination of the default route of an address family.
fn everywhere(six: bool) -> &'static str {
    if six { "::/0" } else { "0.0.0.0/0" }
}

/// The gateway of an address family.
fn gateway(routes: &[Route], six: bool) -> String {
    let default = routes.iter().find(|route| route.destination_prefix == everywhere(six));
    default.map(|route| route.next_hop.clone()).unwrap_or_default()
}

/// The default route to a gateway, if there is one.
fn default_route(gateway: &str) -> Option<Route> {
    (!gateway.is_empty()).then(|| Route {
        next_hop: gateway.to_owned(),
        destination_prefix: everywhere(gateway.contains(':')).to_owned(),
        ..Route::default()
    })
}

/// Removes a member that is a list.
fn take_list(other: &mut Other, member: &str) -> Vec<Value> {
    match other.shift_remove(member) {
        Some(Value::Array(list)) => list,
        _ => Vec::new(),
    }
}

/// A document with one member.
fn only(member: &str, value: impl Into<Value>) -> Value {
    json!({ member: value.into() })
}
