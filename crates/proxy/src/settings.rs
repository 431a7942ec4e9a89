//! What the operator sets, what the host knows of itself, and what HNS can do.

use std::net::IpAddr;

use hcn::schema::{LoadBalancerFlags, PortMappingFlags};
use hcn::{ApiVersion, Features, Version};
use smol_str::SmolStr;

use crate::model::Family;

/// What the operator sets. Names and defaults are those of kube-proxy's winkernel flags.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The name of this node, as slices spell it.
    pub node_name: SmolStr,
    /// `--network-name`: the HNS networks that the pods are in. What is in none of their subnets belongs to the first.
    pub network_names: Vec<String>,
    /// `--source-vip`: the source address of translated traffic; overlay only.
    pub source_vip: Option<IpAddr>,
    /// `--enable-dsr`: direct server return for cluster addresses.
    pub enable_dsr: bool,
    /// `--root-hnsendpoint-name`: the host's own endpoint, backend of health load balancers.
    pub root_endpoint_name: String,
    /// `--forward-healthcheck-vip`: a health load balancer for each address of a load balancer.
    pub forward_health_check_vip: bool,
    /// The port of `/healthz`, target of health load balancers without a port of their own.
    pub healthz_port: Option<u16>,
    /// Whether external IPs of Services are served: the gate `AllowServiceExternalIPs`.
    pub external_ips: bool,
    /// `--take-over`: load balancers and remote endpoints that look like those of kube-proxy, and that no Service wants, are removed.
    pub take_over: bool,
}

/// What the host knows of itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Host {
    /// The node's addresses; the family of the first is the primary one.
    pub node_ips: Vec<IpAddr>,
    /// The MAC address of the adapter that has the node's address; needed on overlay networks.
    pub mac: Option<String>,
}

impl Host {
    /// The node's address of a family.
    pub fn node_ip(&self, family: Family) -> Option<IpAddr> {
        self.node_ips.iter().copied().find(|ip| Family::of(*ip) == family)
    }

    /// The family of the node's first address.
    pub fn primary_family(&self) -> Family {
        self.node_ips.first().map_or(Family::V4, |ip| Family::of(*ip))
    }
}

/// What this HNS, through this generation of its interface, can be asked to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Capabilities {
    /// Direct server return.
    pub dsr: bool,
    /// Session affinity.
    pub affinity: bool,
    /// IPv6 beside IPv4.
    pub ipv6: bool,
    /// Changing a load balancer in place. Switched off when a change is seen not to take.
    pub modify: bool,
    /// The load balancer flags that the generation can say.
    pub flags: LoadBalancerFlags,
    /// The port mapping flags that the generation can say.
    pub mapping_flags: PortMappingFlags,
}

impl Capabilities {
    /// Those of a version and a generation.
    pub fn of(version: Version, api_version: ApiVersion) -> Self {
        let features = Features::of(version);
        match api_version {
            ApiVersion::V2 => Self {
                dsr: features.dsr,
                affinity: features.session_affinity,
                ipv6: features.ipv6_dual_stack,
                modify: features.modify_load_balancer,
                // Bits that we do not know may be HNS's own: they are no difference.
                flags: LoadBalancerFlags::DSR | LoadBalancerFlags::IPV6,
                mapping_flags: PortMappingFlags::ILB
                    | PortMappingFlags::LOCAL_ROUTED_VIP
                    | PortMappingFlags::USE_MUX
                    | PortMappingFlags::PRESERVE_DIP
                    | PortMappingFlags::VIP_EXTERNAL_IP,
            },
            ApiVersion::V1 => Self {
                dsr: features.dsr,
                affinity: false,
                ipv6: false,
                modify: false,
                flags: LoadBalancerFlags::DSR,
                mapping_flags: PortMappingFlags::ILB,
            },
        }
    }
}

/// This node, as topology rules see it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Node {
    /// Its name.
    pub name: SmolStr,
    /// Its label `topology.kubernetes.io/zone`.
    pub zone: Option<SmolStr>,
}
