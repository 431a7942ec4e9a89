//! Finds members of documents that nobody has described, and what cannot be read.

use std::collections::BTreeMap;

use hcn::schema::v1::{HnsEndpoint, HnsNetwork, PolicyList};
use hcn::schema::{Document, Endpoint, LoadBalancer, Network};
use hcn::{Error, Kind};
use serde_json::Value;

use super::raw::MAX_EXCERPT;
use super::survey::MemberFacts;

/// The members of the published schemas, and of documents of nodes with HNS 1.1 to 16.0, in v1 and v2.
const COMMON: &[&str] = &[
    "ID",
    "Owner",
    "Name",
    "Version",
    "AdditionalParams",
    "Health",
    "SchemaVersion",
    "Telemetry",
    "State",
    "Flags",
    "Policies",
    "ActivityId",
    "Resources",
    "Type",
];
const NETWORK: &[&str] = &[
    "MacPool",
    "MacPools",
    "Dns",
    "Ipams",
    "Subnets",
    "NetworkAdapterName",
    "SourceMac",
    "DNSSuffix",
    "DNSServerList",
    "DNSServerCompartment",
    "ManagementIP",
    "AutomaticDNS",
    "CurrentEndpointCount",
    "TotalEndpoints",
    "MaxConcurrentEndpoints",
    "Extensions",
    "IPv6",
    "LayeredOn",
    "NatName",
    "NATName",
    "DrMacAddress",
    "SwitchGuid",
    "SwitchName",
    "ExternalInterfaceAddress",
    "ExternalInterfaceIndex",
    "GatewayMac",
    "IsolateSwitch",
    "RunspaceId",
];
const ENDPOINT: &[&str] = &[
    "HostComputeNetwork",
    "HostComputeNamespace",
    "IpConfigurations",
    "Dns",
    "Routes",
    "MacAddress",
    "VirtualNetwork",
    "VirtualNetworkName",
    "IPAddress",
    "PrefixLength",
    "IPv6Address",
    "IPv6PrefixLength",
    "GatewayAddress",
    "GatewayAddressV6",
    "DNSSuffix",
    "DNSServerList",
    "DNSDomain",
    "EnableInternalDNS",
    "DisableICC",
    "IsRemoteEndpoint",
    "EnableLowMetric",
    "Namespace",
    "EncapOverhead",
    "SharedContainers",
    "InterfaceConstraint",
    "IPSubnetId",
    "CreateProcessingStartTime",
    "StartTime",
    "CompartmentId",
];
const LOAD_BALANCER: &[&str] = &[
    "HostComputeEndpoints",
    "SourceVIP",
    "FrontendVIPs",
    "PortMappings",
    "HostComputeNetwork",
    "References",
    "IsApplied",
];

/// What was found in documents, by kind, API and member.
#[derive(Default)]
pub(super) struct Members {
    unknown: BTreeMap<Key, (u64, String)>,
    unreadable: BTreeMap<Key, (u64, String)>,
}

type Key = (&'static str, &'static str, String);

impl Members {
    pub(super) fn add_v1(&mut self, kind: Kind, document: &Value) {
        match kind {
            Kind::Network => self.add::<HnsNetwork>("Network", "v1", NETWORK, document),
            Kind::Endpoint => self.add::<HnsEndpoint>("Endpoint", "v1", ENDPOINT, document),
            _ => self.add::<PolicyList>("LoadBalancer", "v1", LOAD_BALANCER, document),
        }
    }

    pub(super) fn add_v2(&mut self, kind: Kind, document: &Value) {
        match kind {
            Kind::Network => self.add::<Network>("Network", "v2", NETWORK, document),
            Kind::Endpoint => self.add::<Endpoint>("Endpoint", "v2", ENDPOINT, document),
            _ => self.add::<LoadBalancer>("LoadBalancer", "v2", LOAD_BALANCER, document),
        }
    }

    /// A v2 document that HNS did not return, or that is not JSON.
    pub(super) fn add_failure(&mut self, kind: Kind, error: &Error) {
        count(&mut self.unreadable, (kind.name(), "v2", String::new()), &Value::String(error.to_string()));
    }

    pub(super) fn unknown(&self) -> Vec<MemberFacts> {
        facts(&self.unknown)
    }

    pub(super) fn unreadable(&self) -> Vec<MemberFacts> {
        facts(&self.unreadable)
    }

    fn add<D: Document>(&mut self, kind: &'static str, api: &'static str, known: &[&str], document: &Value) {
        match D::deserialize(document) {
            Err(_) => count(&mut self.unreadable, (kind, api, String::new()), document),
            Ok(read) => {
                for one in read.unreadable_members() {
                    count(&mut self.unreadable, (kind, api, one.member), &one.value);
                }
            }
        }
        for (name, value) in document.as_object().into_iter().flatten() {
            if !COMMON.contains(&name.as_str()) && !known.contains(&name.as_str()) {
                count(&mut self.unknown, (kind, api, name.clone()), value);
            }
        }
    }
}

fn count(members: &mut BTreeMap<Key, (u64, String)>, key: Key, value: &Value) {
    let (objects, excerpt) = members.entry(key).or_default();
    *objects += 1;
    *excerpt = value.to_string().chars().take(MAX_EXCERPT).collect();
}

fn facts(members: &BTreeMap<Key, (u64, String)>) -> Vec<MemberFacts> {
    let fact = |((kind, api, member), (objects, value)): (&Key, &(u64, String))| MemberFacts {
        kind: (*kind).to_owned(),
        api: (*api).to_owned(),
        member: member.clone(),
        objects: *objects,
        value: value.clone(),
    };
    members.iter().map(fact).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn members_are_unknown_or_unreadable_and_documents_unreadable() {
        let mut members = Members::default();
        members.add_v2(Kind::LoadBalancer, &json!({"ID": "", "State": 2, "Surprise": {"a": 1}, "FrontendVIPs": 7}));
        members.add_v1(Kind::Endpoint, &json!("x".repeat(300)));
        let brief = |all: Vec<MemberFacts>| -> Vec<_> {
            all.into_iter().map(|one| (one.kind, one.api, one.member, one.value.len())).collect()
        };
        let row = |kind: &str, api: &str, member: &str, length| (kind.into(), api.into(), member.into(), length);
        assert_eq!(brief(members.unknown()), [row("LoadBalancer", "v2", "Surprise", 7)]);
        assert_eq!(
            brief(members.unreadable()),
            [row("Endpoint", "v1", "", 200), row("LoadBalancer", "v2", "FrontendVIPs", 1)]
        );
    }
}
