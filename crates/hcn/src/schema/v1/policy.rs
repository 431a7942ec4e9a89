//! Conversion of policies: objects with a `Type` beside the settings in v1, a type and settings in v2.

use serde_json::{Map, Value};

use crate::schema::member::Member;
use crate::schema::{Other, Policy, Protocol};

/// Names of a member in v1 and in v2.
type Members = &'static [(&'static str, &'static str)];

/// Types whose name differs between v1 and v2, or whose members do.
const RENAMED: [(&str, &str, Members); 7] = [
    ("PA", "ProviderAddress", &[("PA", "ProviderAddress")]),
    ("NAT", "PortMapping", &[]),
    ("OutBoundNAT", "OutBoundNAT", &[("VIP", "VirtualIP"), ("ExceptionList", "Exceptions")]),
    ("ROUTE", "SDNRoute", &[]),
    ("PROXY", "L4Proxy", &[("ExceptionList", "Exceptions"), ("OutboundNat", "OutboundNAT")]),
    ("VSID", "VSID", &[("VSID", "IsolationId")]),
    ("VLAN", "VLAN", &[("VLAN", "IsolationId")]),
];

/// Renames members, except where the new name is taken.
fn rename(members: Map<String, Value>, name: impl Fn(&str) -> Option<&'static str>) -> Map<String, Value> {
    let free: Vec<_> = members.keys().map(|key| name(key).filter(|new| !members.contains_key(*new))).collect();
    members.into_iter().zip(free).map(|((key, value), new)| (new.map_or(key, str::to_owned), value)).collect()
}

/// A v1 policy as a v2 policy. Members without a known other name keep theirs.
pub fn flat_to_v2(flat: Value) -> Policy {
    let mut members = match flat {
        Value::Object(members) => members,
        other => return Policy { settings: other, ..Policy::default() },
    };
    let kind = match members.get("Type") {
        None | Some(Value::Null) => String::new(),
        Some(kind) => match String::read(kind) {
            Some(kind) => kind,
            None => {
                let kind = members.shift_remove("Type").map(|kind| ("Type".to_owned(), kind));
                let (settings, other) = (Value::Object(members), Other::from_iter(kind));
                return Policy { kind: String::new(), settings, other, unreadable: vec!["Type"] };
            }
        },
    };
    if kind.is_empty() {
        return Policy { settings: Value::Object(members), ..Policy::default() };
    }
    members.shift_remove("Type");
    let Some((_, v2, names)) = RENAMED.iter().find(|(v1, ..)| v1.eq_ignore_ascii_case(&kind)) else {
        return Policy { kind, settings: Value::Object(members), ..Policy::default() };
    };
    let mut settings = rename(members, |key| names.iter().find(|(v1, _)| *v1 == key).map(|(_, v2)| *v2));
    if *v2 == "PortMapping"
        && let Some(number) = settings.get("Protocol").and_then(Protocol::read)
    {
        settings.insert("Protocol".into(), number.0.into());
    }
    Policy { kind: (*v2).to_owned(), settings: Value::Object(settings), ..Policy::default() }
}

/// A v2 policy as a v1 policy.
pub fn v2_to_flat(policy: &Policy) -> Value {
    let settings = match &policy.settings {
        Value::Object(settings) => settings.clone(),
        other if policy.kind.is_empty() && policy.other.is_empty() => return other.clone(),
        Value::Null => Map::new(),
        other => Map::from_iter([("Settings".to_owned(), other.clone())]),
    };
    let renamed = RENAMED.iter().find(|(_, v2, _)| policy.is(v2));
    let (kind, names) = renamed.map_or((policy.kind.as_str(), [].as_slice()), |(v1, _, names)| (*v1, *names));
    let mut flat = Map::new();
    if !kind.is_empty() {
        flat.insert("Type".into(), kind.into());
    }
    flat.extend(policy.other.clone());
    flat.extend(rename(settings, |key| names.iter().find(|(_, v2)| *v2 == key).map(|(v1, _)| *v1)));
    if kind == "NAT"
        && let Some(number) = flat.get("Protocol").and_then(Value::as_u64).and_then(|n| u32::try_from(n).ok())
    {
        flat.insert("Protocol".into(), Protocol(number).to_string().into());
    }
    Value::Object(flat)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn policies_are_converted_between_both_schemas() {
        for (v1, v2) in [
            (
                json!({"Type": "NAT", "Protocol": "TCP", "InternalPort": 80, "ExternalPort": 8080, "ExternalPortReserved": true}),
                json!({"Type": "PortMapping", "Settings": {"Protocol": 6, "InternalPort": 80, "ExternalPort": 8080,
                       "ExternalPortReserved": true}}),
            ),
            (
                json!({"Type": "OutBoundNAT", "VIP": "10.0.0.1", "ExceptionList": ["10.96.0.0/12"], "MaxPortPoolUsage": 64}),
                json!({"Type": "OutBoundNAT", "Settings": {"VirtualIP": "10.0.0.1", "Exceptions": ["10.96.0.0/12"],
                       "MaxPortPoolUsage": 64}}),
            ),
            (
                json!({"Type": "ROUTE", "DestinationPrefix": "10.96.0.0/12", "NeedEncap": true}),
                json!({"Type": "SDNRoute", "Settings": {"DestinationPrefix": "10.96.0.0/12", "NeedEncap": true}}),
            ),
            (
                json!({"Type": "PROXY", "IP": "10.0.0.9", "Port": "8080", "ExceptionList": ["1.1.1.1"], "OutboundNat": true}),
                json!({"Type": "L4Proxy", "Settings": {"IP": "10.0.0.9", "Port": "8080", "Exceptions": ["1.1.1.1"],
                       "OutboundNAT": true}}),
            ),
            (
                json!({"Type": "PA", "PA": "10.0.0.3"}),
                json!({"Type": "ProviderAddress", "Settings": {"ProviderAddress": "10.0.0.3"}}),
            ),
            (json!({"Type": "VSID", "VSID": 5000}), json!({"Type": "VSID", "Settings": {"IsolationId": 5000}})),
            (json!({"Type": "ACL", "Action": "Allow"}), json!({"Type": "ACL", "Settings": {"Action": "Allow"}})),
        ] {
            let policy: Policy = serde_json::from_value(v2).unwrap();
            assert_eq!(flat_to_v2(v1.clone()), policy);
            assert_eq!(v2_to_flat(&policy), v1);
        }
    }
}
