//! The record of an object in HNS: small, because a node has thousands of objects, but sufficient to restore a load
//! balancer.

use std::net::IpAddr;

use hcn::Guid;
use hcn::schema::{
    DistributionType, Endpoint, LoadBalancer, LoadBalancerFlags, PortMapping, PortMappingFlags, Protocol,
};
use smallvec::SmallVec;
use smol_str::SmolStr;

use crate::frontend::Frontend;
use crate::identity::{self, Content, LoadBalancerContent};
use crate::mac::has_derived_mac;
use crate::settings::Capabilities;

/// Who manages an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Owner {
    /// Created or adopted by us.
    Us,
    /// Created by another program: the CNI, kube-proxy, an operator.
    Foreign,
}

/// An endpoint in HNS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObservedEndpoint {
    pub network: Guid,
    pub addresses: SmallVec<[IpAddr; 1]>,
    /// Whether it stands for an address on another node (flag `RemoteEndpoint`).
    pub remote: bool,
    /// Whether its MAC address is derived from its address, as kube-proxy does for remote endpoints.
    pub derived_mac: bool,
    /// The host's own endpoint is found by its name. Endpoints of ours have none.
    pub name: SmolStr,
    pub content: Content,
    pub owner: Owner,
}

impl ObservedEndpoint {
    /// `owner` is an argument, because it cannot be derived from the id: an adopted object has a foreign id.
    pub fn of(network: Guid, document: &Endpoint, owner: Owner) -> Self {
        Self::with_content(network, document, identity::endpoint_content(network, document), owner)
    }

    /// Like [`of`](Self::of), but takes the content of the document, because computing it is expensive.
    pub fn with_content(network: Guid, document: &Endpoint, content: Content, owner: Owner) -> Self {
        Self {
            network,
            addresses: document.addresses().collect(),
            remote: document.is_remote(),
            derived_mac: has_derived_mac(document),
            name: document.name.as_str().into(),
            content,
            owner,
        }
    }

    /// Whether hnsproxy has created it for a source VIP: its other endpoints are remote.
    pub fn is_of_source_vip(&self) -> bool {
        !self.remote && self.owner == Owner::Us
    }
}

/// A load balancer in HNS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObservedLoadBalancer {
    /// One, except in foreign load balancers with several addresses or port mappings.
    pub frontends: SmallVec<[Frontend; 1]>,
    /// The endpoints of its backends, in the order of its document.
    pub endpoints: Box<[Guid]>,
    pub content: LoadBalancerContent,
    pub owner: Owner,
    /// `None` if the document does not fit into a [`Form`].
    form: Option<Form>,
}

/// The members of a load balancer with one frontend, without its backends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Form {
    address: Option<IpAddr>,
    source_vip: Option<IpAddr>,
    flags: LoadBalancerFlags,
    mapping: Mapping,
}

/// A port mapping without its unknown members.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Mapping {
    protocol: Protocol,
    internal_port: u16,
    external_port: u16,
    distribution_type: DistributionType,
    flags: PortMappingFlags,
}

impl From<&PortMapping> for Mapping {
    fn from(mapping: &PortMapping) -> Self {
        let PortMapping { protocol, internal_port, external_port, distribution_type, flags, .. } = *mapping;
        Self { protocol, internal_port, external_port, distribution_type, flags }
    }
}

impl From<Mapping> for PortMapping {
    fn from(mapping: Mapping) -> Self {
        let Mapping { protocol, internal_port, external_port, distribution_type, flags } = mapping;
        Self { protocol, internal_port, external_port, distribution_type, flags, ..Self::default() }
    }
}

impl Form {
    /// `None` where the document has several port mappings or addresses, an invalid address, or a member that cannot be read.
    fn of(document: &LoadBalancer) -> Option<Self> {
        // Load balancers of ours have this form. A foreign one with more is replaced, but cannot be restored if HNS
        // refuses the new one.
        if identity::unreadable_load_balancer_content(document).next().is_some() {
            return None;
        }
        let [mapping] = document.port_mappings.as_slice() else { return None };
        let address = match document.frontend_vips.as_slice() {
            [] => None,
            [address] => Some(address.parse().ok()?),
            _ => return None,
        };
        let source_vip = match document.source_vip.as_str() {
            "" => None,
            text => Some(text.parse().ok()?),
        };
        Some(Self { address, source_vip, flags: document.flags, mapping: mapping.into() })
    }
}

impl ObservedLoadBalancer {
    /// The record of a document that was read or written through the API in use.
    pub fn of(document: &LoadBalancer, capabilities: &Capabilities, owner: Owner) -> Self {
        Self::with_content(document, identity::load_balancer_content(document, capabilities), owner)
    }

    /// The record of a document of the v1 list. That list lacks affinity and most flags, so the content as a whole stays unknown.
    pub fn of_v1_list(document: &LoadBalancer, owner: Owner) -> Self {
        Self::with_content(document, LoadBalancerContent::UNKNOWN, owner)
    }

    /// Creates the record of a document. Takes the content of the document, because computing it is expensive.
    pub fn with_content(document: &LoadBalancer, content: LoadBalancerContent, owner: Owner) -> Self {
        Self {
            frontends: Frontend::of(document).collect(),
            endpoints: document.endpoint_ids().collect(),
            content,
            owner,
            form: Form::of(document),
        }
    }

    /// The source VIP, if it is known.
    pub fn source_vip(&self) -> Option<IpAddr> {
        self.form?.source_vip
    }

    /// Whether it is known to have no direct server return.
    pub fn is_without_dsr(&self) -> bool {
        self.form.is_some_and(|form| !form.flags.contains(LoadBalancerFlags::DSR))
    }

    /// Whether this record and `listed`, a record of the v1 list, agree in what the v1 list has: frontends, backends
    /// and backend port.
    pub fn matches_v1_list(&self, listed: &Self) -> bool {
        let port = |form: Option<Form>| form.map(|form| form.mapping.internal_port);
        // Affinity, source VIP and most flags are not compared: the v1 list lacks some, and HNS builds differ in the
        // rest. It also lacks the flag that tells the family of a node port.
        let frontend = |one: &Frontend| (one.address, one.protocol, one.port);
        self.frontends.iter().map(frontend).eq(listed.frontends.iter().map(frontend))
            && self.has_backends_of(listed)
            && port(self.form) == port(listed.form)
    }

    /// Whether both have the same frontends and backends.
    pub(super) fn has_place_of(&self, other: &Self) -> bool {
        self.frontends == other.frontends && self.has_backends_of(other)
    }

    fn has_backends_of(&self, other: &Self) -> bool {
        // HNS may list the backends in another order.
        let sorted = |endpoints: &[Guid]| {
            let mut endpoints = endpoints.to_vec();
            endpoints.sort_unstable();
            endpoints
        };
        sorted(&self.endpoints) == sorted(&other.endpoints)
    }

    /// The document, for a restore or an explanation. `None` if the record is incomplete, or its content is not known.
    pub fn document(&self) -> Option<LoadBalancer> {
        let Form { address, source_vip, flags, mapping } =
            self.form.filter(|_| self.content.whole != Content::UNKNOWN)?;
        Some(LoadBalancer {
            host_compute_endpoints: self.endpoints.iter().map(Guid::to_string).collect(),
            source_vip: source_vip.map(|ip| ip.to_string()).unwrap_or_default(),
            frontend_vips: address.iter().map(IpAddr::to_string).collect(),
            port_mappings: vec![mapping.into()],
            flags,
            ..LoadBalancer::default()
        })
    }

    /// The same load balancer with other backends. Its content is unknown if the document cannot be computed.
    #[must_use]
    pub fn with_backends(&self, endpoints: Box<[Guid]>, capabilities: &Capabilities) -> Self {
        // The usual case: hashing the document again would find the same content.
        if self.endpoints == endpoints {
            return self.clone();
        }
        let mut other = Self { endpoints, ..self.clone() };
        match other.document() {
            Some(document) => Self::of(&document, capabilities, self.owner),
            None => {
                other.content.whole = Content::UNKNOWN;
                other
            }
        }
    }

    /// Whether it looks like a load balancer that kube-proxy 1.20 or later creates: at most one address, one TCP or UDP port, and one of its
    /// combinations of flags (`pkg/proxy/winkernel/proxier.go`, `syncProxyRules`). kube-proxy sets no owner in HNS documents, so only its
    /// content can identify it.
    pub fn resembles_kube_proxy(&self, capabilities: &Capabilities) -> bool {
        // kube-proxy creates one port mapping and at most one address for each load balancer.
        let Some(form) = self.form else { return false };
        let external = PortMappingFlags::VIP_EXTERNAL_IP;
        let preserved = PortMappingFlags::USE_MUX | PortMappingFlags::PRESERVE_DIP;
        let node_port = PortMappingFlags::LOCAL_ROUTED_VIP;
        let flags = form.mapping.flags;
        let known = match form.address {
            // kube-proxy's only load balancer without an address is that of a node port. VIP_EXTERNAL_IP is in versions since 1.24.10,
            // 1.25.6 and 1.26.1 (kubernetes 113742). Through the HNS v1 API, kube-proxy could set no flag at all.
            None => [node_port, node_port | external, node_port.masked(capabilities.mapping_flags)].contains(&flags),
            Some(_) => [PortMappingFlags::NONE, external, preserved, external | preserved].contains(&flags),
        };
        known
            && [Protocol::TCP, Protocol::UDP].contains(&form.mapping.protocol)
            && form.flags.masked(LoadBalancerFlags::DSR | LoadBalancerFlags::IPV6) == form.flags
    }
}

#[cfg(test)]
mod tests {
    use hcn::{ApiVersion, Version};

    use super::*;

    fn observed(document: &LoadBalancer) -> ObservedLoadBalancer {
        ObservedLoadBalancer::of(document, &Capabilities::of(Version::new(15, 5), ApiVersion::V2), Owner::Foreign)
    }

    fn node_port() -> LoadBalancer {
        LoadBalancer {
            host_compute_endpoints: vec![Guid::from_u128(7).to_string()],
            source_vip: "10.244.1.250".into(),
            port_mappings: vec![PortMapping {
                protocol: Protocol::TCP,
                internal_port: 8080,
                external_port: 30080,
                flags: PortMappingFlags::LOCAL_ROUTED_VIP | PortMappingFlags::VIP_EXTERNAL_IP,
                ..PortMapping::default()
            }],
            flags: LoadBalancerFlags::DSR,
            ..LoadBalancer::default()
        }
    }

    #[test]
    fn the_document_of_a_load_balancer_can_be_restored() {
        let document = node_port();
        assert_eq!(observed(&document).document(), Some(document));
        let mut two = node_port();
        two.port_mappings.extend_from_within(..);
        assert_eq!(observed(&two).document(), None);
    }

    #[test]
    fn a_load_balancer_with_other_backends_has_other_content() {
        let capabilities = Capabilities::of(Version::new(15, 5), ApiVersion::V2);
        let (one, mut two) = (node_port(), node_port());
        two.host_compute_endpoints.push(Guid::from_u128(8).to_string());
        let backends = observed(&two).endpoints;
        assert_eq!(observed(&one).with_backends(backends.clone(), &capabilities), observed(&two));
        assert_eq!(observed(&two).with_backends(backends.clone(), &capabilities), observed(&two));
        let mut odd = node_port();
        odd.port_mappings.extend_from_within(..);
        let odd = observed(&odd).with_backends(backends, &capabilities);
        assert_eq!(odd.content.whole, Content::UNKNOWN);
    }

    /// The load balancers of released versions of kube-proxy, from `syncProxyRules` and from `hnsV1.go` and `hnsV2.go`: kind, whether it has
    /// an address, mapping flags, and load balancer flags without IPv6, which each of them can have.
    const OF_KUBE_PROXY: [(&str, bool, u32, &[u32]); 10] = [
        ("cluster IP", true, 0, &[0, 1]),
        ("node port before 1.24.10, 1.25.6, 1.26.1", false, 2, &[0, 1]),
        ("node port", false, 2 + 16, &[0, 1]),
        ("external IP before 1.24.10, 1.25.6, 1.26.1", true, 0, &[0, 1]),
        ("external IP", true, 16, &[0, 1]),
        ("ingress IP before 1.24.10, 1.25.6, 1.26.1", true, 0, &[0, 1]),
        ("ingress IP with preserve-destination before 1.24.10, 1.25.6, 1.26.1", true, 4 + 8, &[1]),
        ("ingress IP with preserve-destination", true, 16 + 4 + 8, &[1]),
        ("health check", true, 0, &[0]),
        ("health check with preserve-destination", true, 4 + 8, &[0]),
    ];

    #[test]
    fn the_load_balancers_of_all_versions_of_kube_proxy_are_recognized() {
        let capabilities = Capabilities::of(Version::new(15, 5), ApiVersion::V2);
        for (kind, has_address, mapping_flags, flags) in OF_KUBE_PROXY {
            for flags in flags.iter().flat_map(|flags| [*flags, flags + 2]) {
                let mut document = node_port();
                document.frontend_vips.extend(has_address.then(|| "10.0.0.1".to_owned()));
                document.port_mappings[0].flags = PortMappingFlags(mapping_flags);
                document.flags = LoadBalancerFlags(flags);
                assert!(observed(&document).resembles_kube_proxy(&capabilities), "{kind}, flags {flags}");
            }
        }
    }

    #[test]
    fn a_node_port_without_flags_is_that_of_a_kube_proxy_only_in_the_v1_api() {
        let mut document = node_port();
        document.port_mappings[0].flags = PortMappingFlags::NONE;
        for (version, api_version, expected) in
            [(Version::new(9, 1), ApiVersion::V1, true), (Version::new(9, 5), ApiVersion::V2, false)]
        {
            let capabilities = Capabilities::of(version, api_version);
            let observed = ObservedLoadBalancer::of(&document, &capabilities, Owner::Foreign);
            assert_eq!(observed.resembles_kube_proxy(&capabilities), expected, "{api_version:?}");
        }
    }

    #[test]
    fn other_load_balancers_do_not_resemble_those_of_kube_proxy() {
        let capabilities = Capabilities::of(Version::new(15, 5), ApiVersion::V2);
        assert!(observed(&node_port()).resembles_kube_proxy(&capabilities));
        let changes: [&dyn Fn(&mut LoadBalancer); 5] = [
            &|d| d.port_mappings[0].flags = PortMappingFlags::ILB,
            &|d| d.port_mappings[0].flags = PortMappingFlags::NONE,
            &|d| d.port_mappings[0].protocol = Protocol::SCTP,
            &|d| d.frontend_vips = vec!["10.0.0.1".into(), "10.0.0.2".into()],
            &|d| d.flags = LoadBalancerFlags(64),
        ];
        for change in changes {
            let mut document = node_port();
            change(&mut document);
            assert!(!observed(&document).resembles_kube_proxy(&capabilities), "{document:?}");
        }
    }
}
