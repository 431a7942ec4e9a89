//! `HostComputeEndpoint`.

use std::net::IpAddr;

use super::document::document;
use super::enumeration::flags;
use super::{Policy, SchemaVersion};
use crate::Guid;

document! {
    /// A port of a virtual network: of a pod, of the host, or for an address on another node (remote endpoint).
    pub struct Endpoint {
        /// The id. `None` lets HNS choose one.
        "ID" => id: Option<Guid>,
        /// The name, which need not be unique. HNS names an unnamed endpoint `Ethernet`.
        "Name" => name: String,
        /// The id of the network.
        "HostComputeNetwork" => host_compute_network: Option<Guid>,
        /// The policies, for example the provider address.
        "Policies" => policies: Vec<Policy>,
        /// The IP addresses.
        "IpConfigurations" => ip_configurations: Vec<IpConfiguration>,
        /// The MAC address, with any separator and in any case: HNS returns it as it was sent.
        "MacAddress" => mac_address: String,
        /// Whether the endpoint is remote, and other flags.
        "Flags" => flags: EndpointFlags,
        /// The schema version of the document.
        "SchemaVersion" (always) => schema_version: SchemaVersion,
    }
}

impl Endpoint {
    /// The valid addresses, in order.
    pub fn addresses(&self) -> impl Iterator<Item = IpAddr> + '_ {
        self.ip_configurations.iter().filter_map(|ip| ip.ip_address.parse().ok())
    }

    /// Whether the endpoint is remote: it has an address on another node.
    pub fn is_remote(&self) -> bool {
        self.flags.contains(EndpointFlags::REMOTE)
    }

    /// The address of the node of a remote endpoint, in overlay networks.
    pub fn provider_address(&self) -> Option<IpAddr> {
        self.policies.iter().find_map(Policy::as_provider_address)
    }
}

document! {
    /// An IP address of an endpoint.
    pub struct IpConfiguration {
        /// The address as text, which may be invalid.
        "IpAddress" (always) => ip_address: String,
        /// The prefix length. HNS takes it from the subnet if it is missing.
        "PrefixLength" => prefix_length: u8,
    }
}

flags! {
    /// Flags of an endpoint.
    EndpointFlags {
        /// The endpoint is on another node.
        REMOTE = 1: "RemoteEndpoint";
        /// Traffic to other endpoints of the network is blocked.
        DISABLE_INTER_COMPUTE_COMMUNICATION = 2: "DisableInterComputeCommunication";
        /// Traffic is mirrored.
        ENABLE_MIRRORING = 4: "EnableMirroring";
        /// The interface has a low metric.
        ENABLE_LOW_INTERFACE_METRIC = 8: "EnableLowInterfaceMetric";
        /// The order of DNS servers is changed.
        OVERRIDE_DNS_SERVER_ORDER = 16: "OverrideDNSServerOrder";
        /// The address comes from DHCP.
        ENABLE_DHCP = 32: "EnableDhcp";
    }
}
