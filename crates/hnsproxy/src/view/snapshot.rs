//! The state of HNS in a form in which two hosts can be compared: addresses instead of ids, all in order.

use std::collections::BTreeMap;
use std::net::IpAddr;

use hcn::schema::{Endpoint, LoadBalancer, LoadBalancerFlags, Policy};
use hcn::{Client, Error, Guid, Hcn};
use serde::Serialize;

use crate::hns::objects;

#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Snapshot {
    /// Which HNS this is, and the settings with which it is programmed.
    pub description: String,
    /// The endpoints, by their first address as text.
    pub endpoints: Vec<EndpointState>,
    /// The load balancers: IPv4 first, then by address as text, port and protocol.
    pub load_balancers: Vec<LoadBalancerState>,
}

#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct EndpointState {
    pub addresses: Vec<String>,
    /// Whether it is a remote endpoint: for an address on another node.
    pub remote: bool,
    /// As HNS spells it.
    pub mac: String,
    /// Only the policies that a Service proxy sets.
    pub policies: Vec<Policy>,
}

/// The state of one port mapping of a load balancer.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LoadBalancerState {
    /// Empty for all addresses of the node.
    pub vips: Vec<String>,
    /// The IP protocol number.
    pub protocol: u32,
    pub external_port: u16,
    pub internal_port: u16,
    /// How a backend is chosen.
    pub distribution_type: u32,
    /// Flags of the port.
    pub port_mapping_flags: u32,
    /// Flags of the load balancer.
    pub flags: u32,
    /// The source address of translated traffic.
    #[serde(rename = "sourceVIP")]
    pub source_vip: String,
    /// The addresses of the backends, those of the load balancer's family where a backend has both.
    pub backends: Vec<String>,
}

/// Reads all networks. Objects that are deleted before they are read are left out.
///
/// # Errors
/// If HNS cannot be read.
pub fn read(hcn: &dyn Hcn, client: &Client, description: String) -> Result<Snapshot, Error> {
    let endpoints: BTreeMap<_, _> = objects::endpoints(hcn, client)?.into_iter().collect();
    let documents = objects::load_balancers(client)?;
    let mut load_balancers: Vec<_> = documents.iter().flat_map(|(_, document)| states(document, &endpoints)).collect();
    load_balancers.sort_by_cached_key(|state| {
        let ipv6 = state.flags & LoadBalancerFlags::IPV6.0 != 0;
        (ipv6, state.vips.clone(), state.external_port, state.protocol)
    });
    let mut endpoints: Vec<_> = endpoints.values().map(endpoint_state).collect();
    endpoints.sort_by(|a, b| a.addresses.cmp(&b.addresses));
    Ok(Snapshot { description, endpoints, load_balancers })
}

fn endpoint_state(endpoint: &Endpoint) -> EndpointState {
    EndpointState {
        addresses: endpoint.ip_configurations.iter().map(|ip| ip.ip_address.clone()).collect(),
        remote: endpoint.is_remote(),
        mac: endpoint.mac_address.clone(),
        policies: endpoint.policies.iter().filter(|policy| policy.is(Policy::PROVIDER_ADDRESS)).cloned().collect(),
    }
}

fn states(document: &LoadBalancer, endpoints: &BTreeMap<Guid, Endpoint>) -> Vec<LoadBalancerState> {
    let ipv6 = document.flags.contains(LoadBalancerFlags::IPV6);
    let mut backends: Vec<String> = Vec::new();
    for reference in &document.host_compute_endpoints {
        match reference.parse().ok().and_then(|id: Guid| endpoints.get(&id)) {
            Some(endpoint) => backends.extend(addresses(endpoint, ipv6)),
            None => backends.push(format!("endpoint {reference} (not found)")),
        }
    }
    backends.sort();
    let state = |mapping: &hcn::schema::PortMapping| LoadBalancerState {
        vips: document.frontend_vips.clone(),
        protocol: mapping.protocol.0,
        external_port: mapping.external_port,
        internal_port: mapping.internal_port,
        distribution_type: mapping.distribution_type.0,
        port_mapping_flags: mapping.flags.0,
        flags: document.flags.0,
        source_vip: document.source_vip.clone(),
        backends: backends.clone(),
    };
    document.port_mappings.iter().map(state).collect()
}

/// The addresses of the family, or all if there is none: the endpoint of the host, behind an IPv6 health check port, may have only IPv4.
fn addresses(endpoint: &Endpoint, ipv6: bool) -> Vec<String> {
    let all: Vec<IpAddr> = endpoint.addresses().collect();
    let of_family: Vec<_> = all.iter().filter(|address| address.is_ipv6() == ipv6).collect();
    let chosen = if of_family.is_empty() { all.iter().collect() } else { of_family };
    chosen.into_iter().map(ToString::to_string).collect()
}
