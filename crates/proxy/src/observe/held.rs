//! What is remembered of an object that HNS holds: small, and enough to write a load balancer again.

use std::net::IpAddr;

use hcn::Guid;
use hcn::schema::{Endpoint, LoadBalancer, LoadBalancerFlags, PortMapping, PortMappingFlags, Protocol};
use smallvec::SmallVec;
use smol_str::SmolStr;

use crate::frontend::{Frontend, has_derived_mac};
use crate::identity::{self, Content, LoadBalancerContent};
use crate::settings::Capabilities;

/// Whose an object is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Owner {
    /// Made by us, or taken over because it is just what we want.
    Us,
    /// Made by others.
    Others,
}

/// An endpoint in HNS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldEndpoint {
    /// Its network.
    pub network: Guid,
    /// Its addresses.
    pub addresses: SmallVec<[IpAddr; 1]>,
    /// Whether it stands for an address on another node.
    pub remote: bool,
    /// Whether its MAC address is made from its address, as proxies do.
    pub derived_mac: bool,
    /// Its name, for endpoints of others.
    pub name: SmolStr,
    /// What it says.
    pub content: Content,
    /// Whose it is.
    pub owner: Owner,
}

impl HeldEndpoint {
    /// The record of a document.
    pub fn of(network: Guid, document: &Endpoint, owner: Owner) -> Self {
        Self {
            network,
            addresses: document.addresses().collect(),
            remote: document.is_remote(),
            derived_mac: has_derived_mac(document),
            name: document.name.as_str().into(),
            content: identity::endpoint_content(network, document),
            owner,
        }
    }
}

/// A load balancer in HNS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldLoadBalancer {
    /// Its frontends: one, unless others made it.
    pub frontends: SmallVec<[Frontend; 1]>,
    /// Its backends.
    pub endpoints: Box<[Guid]>,
    /// What it says.
    pub content: LoadBalancerContent,
    /// Whose it is.
    pub owner: Owner,
    form: Option<Form>,
}

/// What a load balancer with one frontend says beside its backends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Form {
    address: Option<IpAddr>,
    source_vip: Option<IpAddr>,
    flags: LoadBalancerFlags,
    mapping: PortMapping,
}

impl Form {
    /// That of a document; none, where there is more to it.
    fn of(document: &LoadBalancer) -> Option<Self> {
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
        Some(Self { address, source_vip, flags: document.flags, mapping: *mapping })
    }
}

impl HeldLoadBalancer {
    /// The record of a document.
    pub fn of(document: &LoadBalancer, capabilities: &Capabilities, owner: Owner) -> Self {
        Self { content: identity::load_balancer_content(document, capabilities), ..Self::listed(document, owner) }
    }

    /// The record of what the list of the first generation shows: not what it says as a whole, which that list can't tell.
    pub fn listed(document: &LoadBalancer, owner: Owner) -> Self {
        Self {
            frontends: Frontend::of(document).collect(),
            endpoints: document.endpoint_ids().collect(),
            content: LoadBalancerContent { whole: Content::UNKNOWN, shape: Content::UNKNOWN },
            owner,
            form: Form::of(document),
        }
    }

    /// Whether what the list of the first generation shows of it, which is another record here, is as it was written: frontends, backends
    /// and the port of these. That list can't say the rest.
    pub fn is_listed_as(&self, listed: &Self) -> bool {
        let sorted = |endpoints: &[Guid]| {
            let mut endpoints = endpoints.to_vec();
            endpoints.sort_unstable();
            endpoints
        };
        let port = |form: Option<Form>| form.map(|form| form.mapping.internal_port);
        self.frontends == listed.frontends
            && sorted(&self.endpoints) == sorted(&listed.endpoints)
            && port(self.form) == port(listed.form)
    }

    /// The document, to be written again; none, where more than what is remembered was in it, or what it says is not known.
    pub fn document(&self) -> Option<LoadBalancer> {
        let Form { address, source_vip, flags, mapping } =
            self.form.filter(|_| self.content.whole != Content::UNKNOWN)?;
        Some(LoadBalancer {
            host_compute_endpoints: self.endpoints.iter().map(Guid::to_string).collect(),
            source_vip: source_vip.map(|ip| ip.to_string()).unwrap_or_default(),
            frontend_vips: address.iter().map(IpAddr::to_string).collect(),
            port_mappings: vec![mapping],
            flags,
            ..LoadBalancer::default()
        })
    }

    /// The same with other backends; what it says is not known where it can't be written again.
    #[must_use]
    pub fn with_backends(&self, endpoints: Box<[Guid]>, capabilities: &Capabilities) -> Self {
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

    /// Whether it has the form of those that kube-proxy makes: one address at most, one port of TCP or UDP, and one of its five
    /// combinations of flags (winkernel 2.3). Nothing in it says for certain who made it.
    pub fn is_like_kube_proxys(&self) -> bool {
        let Some(form) = self.form else { return false };
        let external = PortMappingFlags::VIP_EXTERNAL_IP;
        let preserved = PortMappingFlags::USE_MUX | PortMappingFlags::PRESERVE_DIP;
        let node_port = PortMappingFlags::LOCAL_ROUTED_VIP | external;
        let flags = form.mapping.flags;
        let known = match form.address {
            None => flags == node_port,
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

    fn held(document: &LoadBalancer) -> HeldLoadBalancer {
        HeldLoadBalancer::of(document, &Capabilities::of(Version::new(15, 5), ApiVersion::V2), Owner::Others)
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
    fn a_load_balancer_can_be_written_again() {
        let document = node_port();
        assert_eq!(held(&document).document(), Some(document));
        let mut two = node_port();
        two.port_mappings.extend_from_within(..);
        assert_eq!(held(&two).document(), None);
    }

    #[test]
    fn with_other_backends_it_says_something_else() {
        let capabilities = Capabilities::of(Version::new(15, 5), ApiVersion::V2);
        let (one, mut two) = (node_port(), node_port());
        two.host_compute_endpoints.push(Guid::from_u128(8).to_string());
        let backends = held(&two).endpoints;
        assert_eq!(held(&one).with_backends(backends.clone(), &capabilities), held(&two));
        assert_eq!(held(&two).with_backends(backends.clone(), &capabilities), held(&two));
        let mut odd = node_port();
        odd.port_mappings.extend_from_within(..);
        let odd = held(&odd).with_backends(backends, &capabilities);
        assert_eq!(odd.content.whole, Content::UNKNOWN);
    }

    #[test]
    fn what_kube_proxy_never_makes_is_not_taken_for_its() {
        assert!(held(&node_port()).is_like_kube_proxys());
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
            assert!(!held(&document).is_like_kube_proxys(), "{document:?}");
        }
    }
}
