//! Policies of networks and endpoints: the known types, and adding and removing them.

use hcn::schema::{Endpoint, Policy};
use hcn::{Guid, Kind, Version};
use ipnet::IpNet;
use serde_json::Value;

use super::index::mapping_key;
use super::members::{texts, typed};
use super::spelling::spell_settings;
use super::{Store, read, set};
use crate::rules::{self, Rule};

/// The types of policies of networks. The last line is v1 only.
const OF_NETWORKS: &[&str] = &[
    "SourceMacAddress",
    "NetAdapterName",
    "VSwitchExtension",
    "DrMacAddress",
    "AutomaticDNS",
    "InterfaceConstraint",
    "ProviderAddress",
    "RemoteSubnetRoute",
    "VxlanPort",
    "HostRoute",
    "SetPolicy",
    "L4Proxy",
    "LayerConstraint",
    "NeighborDiscovery",
    "NetworkACL",
    "VLAN",
    "VSID",
    "ACL",
    "OutBoundNAT",
    "PortMapping",
    "QOS",
    "Isolation",
    "VNET",
    "L2Driver",
];

/// The types of policies of endpoints. The last line is v1 only.
const OF_ENDPOINTS: &[&str] = &[
    "PortMapping",
    "ACL",
    "QOS",
    "L2Driver",
    "OutBoundNAT",
    "SDNRoute",
    "L4Proxy",
    "L4WFPPROXY",
    "PortName",
    "EncapOverhead",
    "Iov",
    "ProviderAddress",
    "InterfaceConstraint",
    "TierAcl",
    "Encryption",
    "VLAN",
    "InterfaceParameters",
    "Firewall",
    "VSID",
    "Isolation",
    "VNET",
];

fn kind_of(policy: &Value) -> &str {
    policy.get("Type").and_then(Value::as_str).unwrap_or_default()
}

/// Whether a request matches an existing policy: by type and settings, or by type alone if it has no settings.
fn names(request: &Value, policy: &Value) -> bool {
    kind_of(request).eq_ignore_ascii_case(kind_of(policy))
        && (request.get("Settings") == policy.get("Settings") || kind_of(policy).eq_ignore_ascii_case("HostRoute"))
}

/// Normalizes a policy as HNS does.
fn spell(kind: Kind, policy: &mut Value) -> Result<(), Rule> {
    let known = if kind == Kind::Network { OF_NETWORKS } else { OF_ENDPOINTS };
    let name = known.iter().find(|name| name.eq_ignore_ascii_case(kind_of(policy))).ok_or(rules::UNKNOWN_POLICY)?;
    set(policy, "Type", *name);
    policy.get_mut("Settings").map_or(Ok(()), |settings| spell_settings(name, settings))
}

impl Store {
    pub(super) fn spell_policies(&self, kind: Kind, document: &mut Value) -> Result<(), Rule> {
        let policies = document.get_mut("Policies").and_then(Value::as_array_mut);
        policies.into_iter().flatten().try_for_each(|policy| spell(kind, policy))
    }

    /// Checks a policy of a new or existing endpoint.
    pub(super) fn check_policy(&self, endpoint: Guid, remote: bool, policy: &Policy) -> Result<(), Rule> {
        let key = mapping_key(policy);
        if remote && (key.is_some() || policy.is("ACL")) {
            return Err(rules::REMOTE_PORT);
        }
        self.check_addresses(policy)?;
        let Some(key) = key else { return Ok(()) };
        let holder = self.index.mappings.get(&key);
        if holder.is_some_and(|holder| *holder != endpoint) {
            return Err(rules::MAPPING_IN_USE);
        }
        let (protocol, port, vip) = key;
        let on_host = vip.is_none_or(|vip| self.node_ips.contains(&vip));
        let port = u32::try_from(protocol).ok().zip(u16::try_from(port).ok());
        if on_host && holder.is_none() && port.is_some_and(|(protocol, port)| self.is_reserved(protocol, port)) {
            return Err(rules::PORT_RESERVED);
        }
        Ok(())
    }

    /// Checks the addresses in a policy of an endpoint.
    fn check_addresses(&self, policy: &Policy) -> Result<(), Rule> {
        let host_bits = |prefix: &str| prefix.parse::<IpNet>().is_ok_and(|prefix| prefix.addr() != prefix.network());
        if policy.is("OutBoundNAT")
            && self.build.version >= Version::new(13, 0)
            && texts(&policy.settings, "Exceptions").any(host_bits)
        {
            return Err(rules::EXCEPTION_HOST_BITS);
        }
        let is_any = |member| policy.settings.get(member).and_then(Value::as_str) == Some("Any");
        if policy.is("ACL") && ["LocalAddresses", "RemoteAddresses"].into_iter().any(is_any) {
            return Err(rules::ACL_ANY);
        }
        Ok(())
    }

    /// Adds, replaces or removes policies of a network or endpoint.
    pub(crate) fn change_policies(
        &mut self,
        kind: Kind,
        id: Guid,
        request: &str,
        policies: &[Value],
    ) -> Result<(), Rule> {
        let mut document = self.get(kind, id)?.clone();
        let mut policies = policies.to_vec();
        policies.iter_mut().try_for_each(|policy| spell(kind, policy))?;
        let mut current: Vec<Value> = document.get("Policies").and_then(Value::as_array).cloned().unwrap_or_default();
        match request {
            "Remove" => current.retain(|have| !policies.iter().any(|gone| names(gone, have))),
            "Update" => {
                current.retain(|have| !policies.iter().any(|new| kind_of(new).eq_ignore_ascii_case(kind_of(have))));
                current.append(&mut policies);
            }
            "Add" => {
                let route = |policy: &&Value| kind_of(policy) == "RemoteSubnetRoute";
                if policies.iter().filter(route).any(|new| current.iter().any(|have| names(new, have))) {
                    return Err(rules::DUPLICATE_POLICY);
                }
                current.append(&mut policies);
            }
            _ => return Err(rules::NO_SUCH_RESOURCE),
        }
        if kind == Kind::Endpoint {
            let remote = read::<Endpoint>(&document).is_remote();
            for policy in &current {
                self.check_policy(id, remote, &typed(policy)?)?;
            }
        }
        set(&mut document, "Policies", current);
        self.replace(kind, id, document);
        Ok(())
    }
}
