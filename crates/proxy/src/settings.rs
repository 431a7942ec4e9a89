//! What programming depends on besides the cluster: the settings of the operator, facts of the host, and features of HNS.

use std::net::IpAddr;

use hcn::schema::{LoadBalancerFlags, PortMappingFlags};
use hcn::{ApiVersion, Features, Version};
use smol_str::SmolStr;

use crate::model::Family;
use crate::source_vip::SourceVip;

/// The settings of the operator. Names and defaults are those of the winkernel flags of kube-proxy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The node name, spelled as `nodeName` in EndpointSlices.
    pub node_name: SmolStr,
    /// `--network-name`: the names of the HNS networks of the pods, or patterns with `*`, each of which means one network. An address outside all their subnets belongs to the first
    /// network.
    pub network_names: Vec<String>,
    /// `--source-vip`: the source address of translated traffic; overlay networks only.
    pub source_vip: Option<SourceVip>,
    /// `--enable-dsr`: direct server return (DSR) for cluster IPs.
    pub enable_dsr: bool,
    /// `--root-hnsendpoint-name`: the host's own endpoint, the backend of health check load balancers.
    pub root_endpoint_name: String,
    /// `--forward-healthcheck-vip`: a health check load balancer for each ingress address.
    pub forward_health_check_vip: bool,
    /// The port of `/healthz`, for health check load balancers of Services without `healthCheckNodePort`.
    pub healthz_port: Option<u16>,
    /// The port of `/metrics`, which no health check node port can have.
    pub metrics_port: Option<u16>,
    /// The feature gate `AllowServiceExternalIPs`.
    pub external_ips: bool,
    /// `--take-over`: remove unused load balancers and remote endpoints that look like those of kube-proxy.
    pub take_over: bool,
    /// `--node-ip-as-source-vip`: the node IP as source VIP where an empty one can be wrong, see
    /// [`empty_source_vip_can_be_wrong`](Capabilities::empty_source_vip_can_be_wrong).
    pub node_ip_as_source_vip: bool,
    /// `--cleanup`: own objects are only removed, so an overlay network needs no source VIP, node IP or MAC address.
    pub cleanup: bool,
}

impl Settings {
    /// The source VIP, if it is an address and not the name of an endpoint.
    pub fn source_vip_address(&self) -> Option<IpAddr> {
        self.source_vip.as_ref().and_then(SourceVip::address)
    }
}

/// Facts of the host.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Host {
    /// The family of the first one is the primary family of the node.
    pub node_ips: Vec<IpAddr>,
    /// The MAC address of the adapter that has the node's address; needed on overlay networks.
    pub mac: Option<String>,
}

impl Host {
    pub fn node_ip(&self, family: Family) -> Option<IpAddr> {
        self.node_ips.iter().copied().find(|ip| Family::of(*ip) == family)
    }

    pub fn primary_family(&self) -> Family {
        self.node_ips.first().map_or(Family::V4, |ip| Family::of(*ip))
    }
}

/// What this version of HNS can do through the API in use (HNS v1 or HCN v2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Capabilities {
    /// Direct server return.
    pub dsr: bool,
    pub affinity: bool,
    /// Dual stack.
    pub ipv6: bool,
    /// Modifying a load balancer in place. Set to false when HNS reports success but changes nothing (kubernetes issue
    /// 131466).
    pub modify: bool,
    /// Whether this version of HNS can modify load balancers in place. Another program may then do it, so that an id does not show the backends.
    /// Stays true when [`modify`](Self::modify) becomes false: one failed modification does not prove that no other one takes effect.
    pub may_be_modified: bool,
    /// Whether the HNS v1 list of endpoints is trusted. Set to false when it contradicts the HCN (v2) API; then no audit detects what
    /// other programs modify in place.
    pub v1_endpoint_list: bool,
    /// As [`v1_endpoint_list`](Self::v1_endpoint_list), for load balancers.
    pub v1_load_balancer_list: bool,
    /// Whether HNS can translate traffic of a load balancer without source VIP to the address of the load balancer itself, in networks other
    /// than overlay: newer updates of HNS 9.x do (kubernetes/community#8890).
    pub empty_source_vip_can_be_wrong: bool,
    /// The load balancer flags that the API can express.
    pub flags: LoadBalancerFlags,
    /// The port mapping flags that the API can express.
    pub mapping_flags: PortMappingFlags,
}

impl Capabilities {
    pub fn of(version: Version, api_version: ApiVersion) -> Self {
        let features = Features::of(version);
        let empty_source_vip_can_be_wrong = version.major == 9;
        match api_version {
            ApiVersion::V2 => Self {
                dsr: features.dsr,
                affinity: features.session_affinity,
                ipv6: features.ipv6_dual_stack,
                modify: features.modify_load_balancer,
                may_be_modified: features.modify_load_balancer,
                v1_endpoint_list: true,
                v1_load_balancer_list: true,
                empty_source_vip_can_be_wrong,
                // Unknown bits may be set by HNS itself. They must not count as a difference.
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
                may_be_modified: false,
                // The HNS v1 API has no other lists.
                v1_endpoint_list: true,
                v1_load_balancer_list: true,
                empty_source_vip_can_be_wrong,
                flags: LoadBalancerFlags::DSR,
                mapping_flags: PortMappingFlags::ILB,
            },
        }
    }
}

/// The properties of this node that the topology rules use.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Node {
    pub name: SmolStr,
    /// The label `topology.kubernetes.io/zone`.
    pub zone: Option<SmolStr>,
}
