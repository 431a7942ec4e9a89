//! What HNS holds, in a form that two hosts can be compared by: addresses instead of ids, all in order.

use std::collections::BTreeMap;
use std::net::IpAddr;

use hcn::call::Method;
use hcn::schema::{Endpoint, LoadBalancer, LoadBalancerFlags, Policy, Query};
use hcn::{ApiVersion, Call, Client, Error, Guid, Hcn, Kind, Reply};
use serde::Serialize;
use serde_json::Value;

/// What HNS holds.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Snapshot {
    /// Which HNS this is, and what programmed it.
    pub note: String,
    /// The endpoints, by their first address as text.
    pub endpoints: Vec<EndpointState>,
    /// The load balancers: IPv4 first, then by address as text, port and protocol.
    pub load_balancers: Vec<LoadBalancerState>,
}

/// An endpoint.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct EndpointState {
    /// Its addresses.
    pub addresses: Vec<String>,
    /// Whether it stands for an address on another node.
    pub remote: bool,
    /// Its MAC address, as HNS spells it.
    pub mac: String,
    /// The policies that make a difference to a Service proxy.
    pub policies: Vec<Policy>,
}

/// A load balancer, or one port of it.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LoadBalancerState {
    /// The addresses; none: those of the node.
    pub vips: Vec<String>,
    /// The protocol's number.
    pub protocol: u32,
    /// The port of the frontend.
    pub external_port: u16,
    /// The port of the backends.
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

/// Reads what HNS holds in all its networks.
///
/// # Errors
/// Where HNS can't be asked. Objects that are gone by the time they are read are left out.
pub fn read(hcn: &dyn Hcn, client: &Client, note: String) -> Result<Snapshot, Error> {
    let mut endpoints = BTreeMap::new();
    for id in endpoint_ids(hcn, client.api_version())? {
        if let Some(endpoint) = present(client.endpoint(id))? {
            endpoints.insert(id, endpoint);
        }
    }
    let mut load_balancers = Vec::new();
    for listed in client.load_balancers(Some)? {
        let document = match listed.document {
            Some(document) => document.ok(),
            None => present(client.load_balancer(listed.id))?,
        };
        load_balancers.extend(document.iter().flat_map(|document| states(document, &endpoints)));
    }
    load_balancers.sort_by_cached_key(|state| {
        let ipv6 = state.flags & LoadBalancerFlags::IPV6.0 != 0;
        (ipv6, state.vips.clone(), state.external_port, state.protocol)
    });
    let mut endpoints: Vec<_> = endpoints.values().map(endpoint_state).collect();
    endpoints.sort_by(|a, b| a.addresses.cmp(&b.addresses));
    Ok(Snapshot { note, endpoints, load_balancers })
}

fn present<T>(result: Result<T, Error>) -> Result<Option<T>, Error> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.class() == hcn::Class::Absent => Ok(None),
        Err(error) => Err(error),
    }
}

/// The ids of all endpoints, whatever their network.
fn endpoint_ids(hcn: &dyn Hcn, api_version: ApiVersion) -> Result<Vec<Guid>, Error> {
    let call = match api_version {
        ApiVersion::V2 => Call::Enumerate { kind: Kind::Endpoint, query: Query::all().to_json() },
        ApiVersion::V1 => Call::Hns { method: Method::Get, path: "/endpoints/".into(), body: String::new() },
    };
    let unreadable = |reason: String| Error::Document { function: call.function(), reason };
    let document: Value = match hcn.call(&call)? {
        Reply::Document(text) => serde_json::from_str(&text).map_err(|error| unreadable(error.to_string()))?,
        other => return Err(unreadable(format!("unexpected kind of answer: {other:?}"))),
    };
    // v2 lists ids; v1 lists whole documents in an envelope.
    let list = document.as_array().or_else(|| document.get("Output")?.as_array());
    let id = |object: &Value| object.as_str().or_else(|| object.get("ID")?.as_str())?.parse().ok();
    Ok(list.into_iter().flatten().filter_map(id).collect())
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
            None => backends.push(format!("endpoint {reference}, which is not there")),
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

/// The addresses of a family; all where there is none of it, as on the host's own endpoint behind an IPv6 health port.
fn addresses(endpoint: &Endpoint, ipv6: bool) -> Vec<String> {
    let all: Vec<IpAddr> = endpoint.addresses().collect();
    let of_family: Vec<_> = all.iter().filter(|address| address.is_ipv6() == ipv6).collect();
    let chosen = if of_family.is_empty() { all.iter().collect() } else { of_family };
    chosen.into_iter().map(ToString::to_string).collect()
}
