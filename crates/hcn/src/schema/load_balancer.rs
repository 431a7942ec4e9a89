//! `HostComputeLoadBalancer`.

use std::net::IpAddr;

use serde::Serialize;
use serde_json::Value;

use super::SchemaVersion;
use super::document::document;
use super::enumeration::{Names, flags, one};
use super::member::Member;
use crate::Guid;

document! {
    /// A load balancer, which distributes the connections to its frontend to its endpoints.
    pub struct LoadBalancer {
        /// The id. `None` lets HNS choose one.
        "ID" => id: Option<Guid>,
        /// The ids of the backends. Kept as text, since HNS may list an invalid id.
        "HostComputeEndpoints" => host_compute_endpoints: Vec<String>,
        /// The source address of translated traffic. HNS chooses one if it is empty, except in overlay networks.
        "SourceVIP" => source_vip: String,
        /// The addresses of the frontend. Empty: all addresses of the node.
        "FrontendVIPs" => frontend_vips: Vec<String>,
        /// The ports of the frontend and of the backends.
        "PortMappings" => port_mappings: Vec<PortMapping>,
        /// The schema version of the document.
        "SchemaVersion" (always) => schema_version: SchemaVersion,
        /// Direct server return and IPv6.
        "Flags" => flags: LoadBalancerFlags,
    }
}

impl LoadBalancer {
    /// The valid ids of the backends.
    pub fn endpoint_ids(&self) -> impl Iterator<Item = Guid> + '_ {
        self.host_compute_endpoints.iter().filter_map(|id| id.parse().ok())
    }

    /// The valid addresses of the frontend.
    pub fn vips(&self) -> impl Iterator<Item = IpAddr> + '_ {
        self.frontend_vips.iter().filter_map(|vip| vip.parse().ok())
    }
}

document! {
    /// A port of a frontend, with the port of its backends.
    pub struct PortMapping {
        /// The IP protocol: TCP or UDP.
        "Protocol" (always) => protocol: Protocol,
        /// The port of the backends.
        "InternalPort" => internal_port: u16,
        /// The port of the frontend.
        "ExternalPort" => external_port: u16,
        /// How a backend is selected.
        "DistributionType" => distribution_type: DistributionType,
        /// How traffic reaches the frontend.
        "Flags" => flags: PortMappingFlags,
    }
}

flags! {
    /// Flags of a load balancer.
    LoadBalancerFlags {
        /// Direct server return: backends reply to the client directly. Needs HNS 9.3 or 10.2.
        DSR = 1: "EnableDirectServerReturn";
        /// The frontend has IPv6 addresses. Needs HNS 11.10.
        IPV6 = 2: "IPv6", "EnableIPv6";
    }
}

flags! {
    /// Flags of a port mapping.
    PortMappingFlags {
        /// An internal load balancer. kube-proxy never sets it.
        ILB = 1: "EnableInternalLoadBalancer";
        /// The frontend is reachable through the routes of the host.
        LOCAL_ROUTED_VIP = 2: "LocalRoutedVip";
        /// Traffic arrives through an upstream multiplexer.
        USE_MUX = 4: "NotUsed", "UseMux";
        /// The destination address is preserved.
        PRESERVE_DIP = 8: "EnablePreserveDip";
        /// Connections stay on their backend when other backends change (kubernetes 113742).
        VIP_EXTERNAL_IP = 16: "IsVipExternalIp";
    }
}

/// An IP protocol by its IANA number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize)]
#[serde(transparent)]
pub struct Protocol(pub u32);

impl Protocol {
    /// TCP.
    pub const TCP: Self = Self(6);
    /// UDP.
    pub const UDP: Self = Self(17);
    /// SCTP, which the virtual switch does not balance.
    pub const SCTP: Self = Self(132);

    /// The names of protocols. 256 is every protocol.
    pub const NAMES: Names =
        &[("ICMPv4", 1), ("IGMP", 2), ("TCP", 6), ("UDP", 17), ("ICMPv6", 58), ("SCTP", 132), ("Any", 256)];
}

impl std::fmt::Display for Protocol {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match *self {
            Self::TCP => f.pad("TCP"),
            Self::UDP => f.pad("UDP"),
            Self::SCTP => f.pad("SCTP"),
            Self(number) => f.pad(&number.to_string()),
        }
    }
}

impl Member for Protocol {
    fn read(value: &Value) -> Option<Self> {
        one(value, Self::NAMES).map(Self)
    }

    fn is_empty(&self) -> bool {
        self.0 == 0
    }
}

/// How a load balancer selects a backend.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize)]
#[serde(transparent)]
pub struct DistributionType(pub u32);

impl DistributionType {
    /// By connection: no session affinity.
    pub const CONNECTION: Self = Self(0);
    /// By client address and protocol.
    pub const SOURCE_IP_PROTOCOL: Self = Self(1);
    /// By client address: session affinity. Needs HNS 12.0.
    pub const SOURCE_IP: Self = Self(2);

    /// The names of the types.
    pub const NAMES: Names = &[("None", 0), ("SourceIPProtocol", 1), ("SourceIP", 2)];

    /// Whether the load balancer has no session affinity.
    pub fn is_default(&self) -> bool {
        *self == Self::CONNECTION
    }
}

impl Member for DistributionType {
    fn read(value: &Value) -> Option<Self> {
        one(value, Self::NAMES).map(Self)
    }

    fn is_empty(&self) -> bool {
        self.is_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_load_balancer_of_kube_proxy_is_read_and_written_unchanged() {
        let text = r#"{"HostComputeEndpoints":["2b5d3ac8-5a7d-4e8c-9c1b-000000000001"],"SourceVIP":"10.244.1.2","FrontendVIPs":["10.96.0.10"],"PortMappings":[{"Protocol":6,"InternalPort":8080,"ExternalPort":80,"DistributionType":2,"Flags":16}],"SchemaVersion":{"Major":2,"Minor":0},"Flags":1}"#;
        let document: LoadBalancer = serde_json::from_str(text).unwrap();
        assert_eq!(document.flags, LoadBalancerFlags::DSR);
        assert_eq!(serde_json::to_string(&document).unwrap(), text);
    }

    #[test]
    fn unknown_members_bits_and_values_are_kept() {
        let text = r#"{"PortMappings":[{"Protocol":200,"InternalPort":1,"ExternalPort":2,"DistributionType":9,"Flags":65}],"SchemaVersion":{"Major":2,"Minor":16},"Flags":128,"Health":{"Extra":{}},"New":[1,2]}"#;
        let document: LoadBalancer = serde_json::from_str(text).unwrap();
        assert_eq!(serde_json::to_string(&document).unwrap(), text);
        assert_eq!(format!("{:?}", document.port_mappings[0].flags), "ILB|64");
    }

    #[test]
    fn nulls_and_missing_members_are_empty() {
        let document: LoadBalancer =
            serde_json::from_str(r#"{"ID":"","FrontendVIPs":null,"HostComputeEndpoints":null,"SourceVIP":null}"#)
                .unwrap();
        assert_eq!(document, LoadBalancer::default());
    }
}
