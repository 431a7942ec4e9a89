//! Indexes for the lookups of each write, whose cost therefore does not depend on the number of objects.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;

use hcn::schema::{Endpoint, LoadBalancer, LoadBalancerFlags, Policy, Protocol};
use hcn::{Guid, Kind};
use serde_json::Value;

use super::facts::{Facts, parse_mac};
use super::members::read;

/// The unique key of a load balancer: IPv6 bit, address, protocol and port. Without an address, all addresses of the host.
pub(super) type FrontendKey = (bool, Option<IpAddr>, Protocol, u16);

/// The unique key of a port mapping of an endpoint: protocol, external port and address.
pub(super) type MappingKey = (u64, u64, Option<IpAddr>);

#[derive(Debug, Clone, Default)]
pub(super) struct Index {
    pub(super) frontends: HashMap<FrontendKey, Guid>,
    /// The endpoints with an address in a network, and whether they are remote.
    pub(super) addresses: HashMap<(Guid, IpAddr), Vec<(Guid, bool)>>,
    pub(super) mappings: HashMap<MappingKey, Guid>,
    pub(super) macs: HashSet<(Guid, u64)>,
    pub(super) networks: HashMap<Guid, Facts>,
}

impl Index {
    pub(super) fn add(&mut self, kind: Kind, id: Guid, document: &Value) {
        match kind {
            Kind::LoadBalancer => {
                for key in frontend_keys(&read(document)).into_iter().flatten() {
                    self.frontends.entry(key).or_insert(id);
                }
            }
            Kind::Endpoint => {
                let endpoint: Endpoint = read(document);
                let network = endpoint.host_compute_network.unwrap_or_default();
                for address in endpoint.addresses() {
                    self.addresses.entry((network, address)).or_default().push((id, endpoint.is_remote()));
                }
                for key in endpoint.policies.iter().filter_map(mapping_key) {
                    self.mappings.entry(key).or_insert(id);
                }
                self.macs.extend(parse_mac(&endpoint.mac_address).map(|mac| (network, mac)));
            }
            Kind::Network => drop(self.networks.insert(id, Facts::of(&read(document)))),
            Kind::Namespace | Kind::Route => {}
        }
    }

    pub(super) fn remove(&mut self, kind: Kind, id: Guid, document: &Value) {
        match kind {
            Kind::LoadBalancer => {
                for key in frontend_keys(&read(document)).into_iter().flatten() {
                    if self.frontends.get(&key) == Some(&id) {
                        self.frontends.remove(&key);
                    }
                }
            }
            Kind::Endpoint => self.remove_endpoint(id, &read(document)),
            Kind::Network => drop(self.networks.remove(&id)),
            Kind::Namespace | Kind::Route => {}
        }
    }

    fn remove_endpoint(&mut self, id: Guid, endpoint: &Endpoint) {
        let network = endpoint.host_compute_network.unwrap_or_default();
        for address in endpoint.addresses() {
            if let Some(holders) = self.addresses.get_mut(&(network, address)) {
                holders.retain(|(holder, _)| *holder != id);
                if holders.is_empty() {
                    self.addresses.remove(&(network, address));
                }
            }
            if let Some(facts) = self.networks.get_mut(&network) {
                facts.freed(address);
            }
        }
        for key in endpoint.policies.iter().filter_map(mapping_key) {
            if self.mappings.get(&key) == Some(&id) {
                self.mappings.remove(&key);
            }
        }
        if let Some(mac) = parse_mac(&endpoint.mac_address) {
            self.macs.remove(&(network, mac));
            if let Some(facts) = self.networks.get_mut(&network) {
                facts.macs_are_taken = false;
            }
        }
    }
}

/// The key of a policy that is a port mapping.
pub(super) fn mapping_key(policy: &Policy) -> Option<MappingKey> {
    let number = |member: &str| policy.settings.get(member).and_then(Value::as_u64).unwrap_or_default();
    let vip = policy.settings.get("VIP").and_then(Value::as_str).and_then(|vip| vip.parse().ok());
    policy.is("PortMapping").then(|| (number("Protocol"), number("ExternalPort"), vip))
}

/// The keys of a load balancer. Invalid addresses have none.
pub(super) fn frontend_keys(balancer: &LoadBalancer) -> Vec<Option<FrontendKey>> {
    let six = balancer.flags.contains(LoadBalancerFlags::IPV6);
    let vips: Vec<Option<Option<IpAddr>>> = if balancer.frontend_vips.is_empty() {
        vec![Some(None)]
    } else {
        balancer.frontend_vips.iter().map(|vip| vip.parse().ok().map(Some)).collect()
    };
    let mappings = balancer.port_mappings.iter();
    mappings.flat_map(|m| vips.iter().map(move |vip| vip.map(|vip| (six, vip, m.protocol, m.external_port)))).collect()
}
