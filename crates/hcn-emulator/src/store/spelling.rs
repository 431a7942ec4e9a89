//! Normalizes enumerations, which callers write as numbers or names, to the form of HNS: types by name, others as numbers.

use hcn::Kind;
use hcn::schema::enumeration::Names;
use hcn::schema::{DistributionType, EndpointFlags, LoadBalancerFlags, PortMappingFlags, Protocol};
use serde_json::Value;

use super::members::set;
use crate::rules::{self, Rule};

const NAT_FLAGS: Names = &[("None", 0), ("LocalRoutedVip", 1), ("IPv6", 2)];
const NETWORK_FLAGS: Names = &[
    ("None", 0),
    ("EnableDns", 1),
    ("EnableDhcp", 2),
    ("EnableMirroring", 4),
    ("EnableNonPersistent", 8),
    ("EnablePersistent", 16),
    ("IsolateVSwitch", 32),
    ("EnableFlowSteering", 64),
    ("DisableSharing", 128),
    ("EnableFirewall", 256),
    ("SuppressMediaDisconnect", 512),
    ("DisableHostPort", 1024),
    ("WeakHostReceiveAdapter", 2048),
    ("WeakHostSendAdapter", 4096),
    ("EnableIov", 8192),
];
const SUBNET_FLAGS: Names = &[("None", 0), ("DoNotReserveGatewayAddress", 1)];

/// In the order of their numbers.
pub(super) const NETWORK_TYPES: [&str; 11] = [
    "NAT",
    "ICS",
    "Transparent",
    "L2Bridge",
    "L2Tunnel",
    "Overlay",
    "Private",
    "Internal",
    "Mirrored",
    "Infiniband",
    "ConstrainedICS",
];
const NAMESPACE_TYPES: [&str; 4] = ["Host", "HostDefault", "Guest", "GuestDefault"];
const IPAM_TYPES: [&str; 2] = ["Static", "DHCP"];
const REQUEST_TYPES: [&str; 5] = ["Add", "Remove", "Update", "Refresh", "Reset"];

/// Normalizes the enumerations of a v2 document.
pub(super) fn spell(kind: Kind, document: &mut Value) -> Result<(), Rule> {
    match kind {
        Kind::LoadBalancer => {
            number(document, "Flags", LoadBalancerFlags::NAMES)?;
            for mapping in elements(document, "PortMappings") {
                number(mapping, "Protocol", Protocol::NAMES)?;
                number(mapping, "DistributionType", DistributionType::NAMES)?;
                number(mapping, "Flags", PortMappingFlags::NAMES)?;
            }
        }
        Kind::Endpoint => number(document, "Flags", EndpointFlags::NAMES)?,
        Kind::Network => {
            number(document, "Flags", NETWORK_FLAGS)?;
            name(document, "Type", &NETWORK_TYPES);
            for ipam in elements(document, "Ipams") {
                name(ipam, "Type", &IPAM_TYPES);
                for subnet in elements(ipam, "Subnets") {
                    number(subnet, "Flags", SUBNET_FLAGS)?;
                }
            }
        }
        Kind::Namespace => name(document, "Type", &NAMESPACE_TYPES),
        Kind::Route => {}
    }
    Ok(())
}

/// Normalizes the enumerations in the settings of a policy.
pub(super) fn spell_settings(kind: &str, settings: &mut Value) -> Result<(), Rule> {
    match kind {
        "PortMapping" => {
            number(settings, "Protocol", Protocol::NAMES)?;
            number(settings, "Flags", NAT_FLAGS)
        }
        "OutBoundNAT" => number(settings, "Flags", NAT_FLAGS),
        "L4Proxy" => number(settings, "Protocol", Protocol::NAMES),
        _ => Ok(()),
    }
}

/// The request of a modify document; `Add` if it has none.
pub(crate) fn request(document: &Value) -> Result<&'static str, Rule> {
    match document.get("RequestType") {
        None | Some(Value::Null) => Ok("Add"),
        Some(value) => canonical(value, &REQUEST_TYPES).ok_or(rules::INVALID_JSON),
    }
}

fn elements<'a>(document: &'a mut Value, member: &str) -> impl Iterator<Item = &'a mut Value> {
    document.get_mut(member).and_then(Value::as_array_mut).into_iter().flatten()
}

/// Replaces names, which may be joined, by their number.
fn number(document: &mut Value, member: &str, names: Names) -> Result<(), Rule> {
    let Some(Value::String(text)) = document.get(member) else { return Ok(()) };
    let mut sum = 0;
    for part in text.split([',', '|']).map(str::trim).filter(|part| !part.is_empty()) {
        let known = names.iter().find(|(name, _)| name.eq_ignore_ascii_case(part)).map(|(_, number)| *number);
        sum |= known.or_else(|| part.parse().ok()).ok_or(rules::INVALID_JSON)?;
    }
    set(document, member, sum);
    Ok(())
}

/// Replaces a number, or a name in another case, by the name. Unknown values stay.
fn name(document: &mut Value, member: &str, names: &[&'static str]) {
    if let Some(name) = document.get(member).and_then(|value| canonical(value, names)) {
        set(document, member, name);
    }
}

fn canonical(value: &Value, names: &[&'static str]) -> Option<&'static str> {
    let by_number = |number: usize| names.get(number).copied();
    match value {
        Value::Number(number) => by_number(usize::try_from(number.as_u64()?).ok()?),
        Value::String(text) => {
            let named = names.iter().copied().find(|name| name.eq_ignore_ascii_case(text));
            named.or_else(|| by_number(text.parse().ok()?))
        }
        _ => None,
    }
}
