//! The members of documents that are described: in the schemas that Microsoft has published, in its Go clients, or in documents of nodes with HNS
//! 1.1 to 16.0. An object may have the members of both APIs.

use hcn::Kind;
use hcn::schema::v1::{ElbPolicy, HnsEndpoint, HnsNetwork, HnsSubnet, PolicyList, flat_to_v2};
use hcn::schema::{Endpoint, IpConfiguration, Ipam, LoadBalancer, Network, Policy, PortMapping, Route, Subnet};
use serde_json::Value;

/// The members of all objects.
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
    "Dns",
    "DNSServerCompartment",
    "ManagementIP",
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
    "HostComputeNamespace",
    "Dns",
    "Routes",
    "VirtualNetworkName",
    "DNSDomain",
    "EnableInternalDNS",
    "Namespace",
    "EncapOverhead",
    "SharedContainers",
    "InterfaceConstraint",
    "IPSubnetId",
    "CreateProcessingStartTime",
    "StartTime",
    "CompartmentId",
];
const LOAD_BALANCER: &[&str] = &["HostComputeNetwork", "IsApplied"];

const MAC_RANGE: &[&str] = &["StartMacAddress", "EndMacAddress"];
const INTERFACE: &[&str] = &[
    "InterfaceGuid",
    "InterfaceLuid",
    "InterfaceIndex",
    "InterfaceMediaType",
    "InterfaceAlias",
    "InterfaceDescription",
];

/// The members that contain objects, at any depth, with the members of these objects. What is in other members is internal to HNS.
const INSIDE: &[(&str, &[&[&str]])] = &[
    ("SchemaVersion", &[&["Major", "Minor"]]),
    ("Ipams", &[Ipam::MEMBERS]),
    ("Subnets", &[COMMON, Subnet::MEMBERS, HnsSubnet::MEMBERS, &["IpSubnets", "ObjectType"]]),
    ("IpSubnets", &[COMMON, Subnet::MEMBERS, &["ObjectType"]]),
    ("Routes", &[Route::MEMBERS, &["Metric"]]),
    ("MacPool", &[&["Ranges"]]),
    ("Ranges", &[MAC_RANGE]),
    ("MacPools", &[MAC_RANGE]),
    ("Dns", &[&["Domain", "Search", "ServerList", "Options"]]),
    ("IpConfigurations", &[IpConfiguration::MEMBERS, &["IpSubnetId"]]),
    ("PortMappings", &[PortMapping::MEMBERS]),
    ("Namespace", &[&["ID", "IsDefault", "CompartmentId", "CompartmentGuid"]]),
    ("InterfaceConstraint", &[INTERFACE]),
];

const ACL: &[&str] = &[
    "Id",
    "Protocols",
    "Action",
    "Direction",
    "LocalAddresses",
    "RemoteAddresses",
    "LocalPorts",
    "RemotePorts",
    "RuleType",
    "Priority",
    "Scope",
];

/// The types of policies in v2, and their settings. A v1 policy is converted.
const POLICIES: &[(&str, &[&str])] = &[
    ("ACL", ACL),
    ("NetworkACL", ACL),
    ("TierAcl", &["Name", "Direction", "Order", "TierAclRules"]),
    ("AutomaticDNS", &["Enable"]),
    ("DrMacAddress", &["Address"]),
    ("ELB", ElbPolicy::MEMBERS),
    ("EncapOverhead", &["Overhead"]),
    ("Firewall", &["AllowedProfiles"]),
    ("HostRoute", &[]),
    ("InterfaceConstraint", INTERFACE),
    ("InterfaceParameters", &["ParameterName", "ParameterValue"]),
    ("IOV", &["IovOffloadWeight", "QueuePairsRequested", "InterruptModeration"]),
    ("L2Driver", &[]),
    // In documents of Windows Server 1803, `OutboundNat` is misspelled.
    ("L4Proxy", &["IP", "Port", "Protocol", "Exceptions", "Destination", "OutboundNAT", "OutbountNat"]),
    (
        "L4WFPPROXY",
        &[
            "Port",
            "InboundProxyPort",
            "OutboundProxyPort",
            "FilterTuple",
            "UserSID",
            "InboundExceptions",
            "OutboundExceptions",
        ],
    ),
    ("NetAdapterName", &["NetworkAdapterName"]),
    ("OutBoundNAT", &["VirtualIP", "Exceptions", "Destinations", "Flags", "MaxPortPoolUsage"]),
    ("PortMapping", &["Protocol", "InternalPort", "ExternalPort", "VIP", "Flags", "ExternalPortReserved"]),
    ("PortName", &["Name"]),
    ("ProviderAddress", &["ProviderAddress"]),
    ("QOS", &["MaximumOutgoingBandwidthInBytes"]),
    ("RemoteSubnetRoute", &["DestinationPrefix", "IsolationId", "ProviderAddress", "DistributedRouterMacAddress"]),
    ("SDNRoute", &["DestinationPrefix", "NextHop", "NeedEncap", "AutomaticEndpointMonitor"]),
    ("SetPolicy", &["Id", "Name", "PolicyType", "Values"]),
    ("SourceMacAddress", &["SourceMacAddress"]),
    ("VLAN", &["IsolationId"]),
    ("VSID", &["IsolationId"]),
    ("VSwitchExtension", &["ExtensionID", "Enable"]),
];

/// The members of a document that are not described, with their paths. A policy of an unknown type is one member.
pub(super) fn unknown<'a>(kind: Kind, api: &str, document: &'a Value) -> Vec<(String, &'a Value)> {
    let of_kind: &[&[&str]] = match kind {
        Kind::Network => &[COMMON, NETWORK, HnsNetwork::MEMBERS, Network::MEMBERS],
        Kind::Endpoint => &[COMMON, ENDPOINT, HnsEndpoint::MEMBERS, Endpoint::MEMBERS],
        _ => &[COMMON, LOAD_BALANCER, PolicyList::MEMBERS, LoadBalancer::MEMBERS],
    };
    let mut search = Search { is_v1: api == "v1", unknown: Vec::new() };
    search.object("", of_kind, document);
    search.unknown
}

struct Search<'a> {
    is_v1: bool,
    unknown: Vec<(String, &'a Value)>,
}

impl<'a> Search<'a> {
    /// An object, or a list of objects.
    fn object(&mut self, path: &str, known: &[&[&str]], value: &'a Value) {
        match value {
            Value::Object(members) => members.iter().for_each(|(name, value)| self.member(path, known, name, value)),
            Value::Array(list) => list.iter().for_each(|value| self.object(path, known, value)),
            _ => {}
        }
    }

    fn member(&mut self, path: &str, known: &[&[&str]], name: &str, value: &'a Value) {
        let path = if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
        if !known.iter().any(|members| members.contains(&name)) {
            self.unknown.push((path, value));
        } else if name == "Policies" {
            value.as_array().into_iter().flatten().for_each(|policy| self.policy(&path, policy));
        } else if let Some((_, inside)) = INSIDE.iter().find(|(outer, _)| *outer == name) {
            self.object(&path, inside, value);
        }
    }

    fn policy(&mut self, path: &str, policy: &'a Value) {
        let Some(members) = policy.as_object() else { return };
        let name = policy.get("Type").and_then(Value::as_str).unwrap_or_default();
        let path = format!("{path}[{name}]");
        let as_v2 = flat_to_v2(policy.clone());
        let Some((_, settings)) = POLICIES.iter().find(|(kind, _)| as_v2.is(kind)) else {
            self.unknown.push((path, policy));
            return;
        };
        if self.is_v1 {
            // A member without a name in v2 keeps its own.
            let names = as_v2.settings.as_object().into_iter().flatten().map(|(name, _)| name);
            let unknown = names.filter(|name| !settings.contains(&name.as_str()));
            self.unknown.extend(unknown.filter_map(|name| Some((format!("{path}.{name}"), members.get(name)?))));
        } else {
            let unknown = members.iter().filter(|(name, _)| !Policy::MEMBERS.contains(&name.as_str()));
            self.unknown.extend(unknown.map(|(name, value)| (format!("{path}.{name}"), value)));
            if let Some(of_policy) = members.get("Settings") {
                self.object(&format!("{path}.Settings"), &[settings], of_policy);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use serde_json::json;

    use super::*;

    fn names(kind: Kind, api: &str, document: &Value) -> Vec<String> {
        unknown(kind, api, document).into_iter().map(|(name, _)| name).collect()
    }

    #[test]
    fn documents_of_real_nodes_have_no_unknown_member() {
        let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../hcn/tests/corpus");
        for (folder, kind, api) in [
            ("network", Kind::Network, "v1"),
            ("endpoint", Kind::Endpoint, "v1"),
            ("policylist", Kind::LoadBalancer, "v1"),
            ("loadbalancer", Kind::LoadBalancer, "v2"),
        ] {
            for file in fs::read_dir(corpus.join(folder)).unwrap().map(|entry| entry.unwrap().path()) {
                let document: Value = serde_json::from_str(&fs::read_to_string(&file).unwrap()).unwrap();
                let found = match document.get("v2") {
                    // The expected result has the same document in v2.
                    Some(v2) => names(kind, "v2", v2),
                    None => names(kind, api, &document),
                };
                assert_eq!(found, Vec::<String>::new(), "{}", file.display());
            }
        }
    }

    #[test]
    fn members_are_unknown_at_any_depth() {
        let network = json!({
            "A": {"B": 1},
            "Ipams": [{"C": 1, "Subnets": [{"D": 1, "Policies": [{"Type": "vlan", "Settings": {"IsolationId": 1, "E": 1}}]}]}],
            "Policies": [{"Type": "New", "Settings": {}}, {"Type": "RemoteSubnetRoute", "F": 1}, 7],
            "Health": {"G": 1},
        });
        let expected = [
            "A",
            "Ipams.C",
            "Ipams.Subnets.D",
            "Ipams.Subnets.Policies[vlan].Settings.E",
            "Policies[New]",
            "Policies[RemoteSubnetRoute].F",
        ];
        assert_eq!(names(Kind::Network, "v2", &network), expected);
        let balancer = json!({"PortMappings": [{"Protocol": 6, "H": 1}], "FrontendVIPs": ["10.0.0.1"]});
        assert_eq!(names(Kind::LoadBalancer, "v2", &balancer), ["PortMappings.H"]);
        let list = json!({"References": [], "Policies": [{"Type": "ELB", "VIPs": [], "I": 1}]});
        assert_eq!(names(Kind::LoadBalancer, "v1", &list), ["Policies[ELB].I"]);
        let endpoint = json!({"Policies": [{"Type": "PA", "PA": "10.0.0.1", "J": 1}, {"Type": "OutBoundNAT", "ExceptionList": []}]});
        assert_eq!(names(Kind::Endpoint, "v1", &endpoint), ["Policies[PA].J"]);
    }
}
