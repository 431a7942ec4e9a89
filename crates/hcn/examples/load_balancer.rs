//! Creates a remote endpoint and a load balancer for it, reads the load balancer back, and deletes both:
//! `load_balancer NETWORK BACKEND FRONTEND`.
//!
//! NETWORK is the name of an L2Bridge network, BACKEND an address in it that no pod has, FRONTEND an address that no Service has.
//!
//! Exit code 1 if a call fails. Objects that were created before are deleted.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program for a terminal")]

mod system;

use std::process::ExitCode;
use std::sync::Arc;

use hcn::schema::{Endpoint, EndpointFlags, IpConfiguration, LoadBalancer, PortMapping, Protocol};
use hcn::{ApiVersion, Client, Guid, Hcn};

/// The ids of the objects, so that what an interrupted run leaves can be found.
const ENDPOINT: Guid = Guid::from_u128(0x7e0c_9d52_6a1f_4f0e_9d0b_1f2f_3c4d_0001);
const LOAD_BALANCER: Guid = Guid::from_u128(0x7e0c_9d52_6a1f_4f0e_9d0b_1f2f_3c4d_0002);

fn run(hns: Arc<dyn Hcn>) -> Result<(), String> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [network, backend, frontend] = arguments.as_slice() else {
        return Err("usage: load_balancer NETWORK BACKEND FRONTEND".into());
    };
    let client = Client::new(hns, ApiVersion::V2);
    let network = client
        .network_id(network)
        .map_err(|error| error.to_string())?
        .ok_or_else(|| format!("network {network} not found"))?;
    let endpoint = Endpoint {
        name: "example".into(),
        host_compute_network: Some(network),
        ip_configurations: vec![IpConfiguration { ip_address: backend.clone(), ..IpConfiguration::default() }],
        // HNS resolves the address of a remote endpoint by it. The first byte is that of a locally administered address.
        mac_address: "02-15-5D-00-00-01".into(),
        flags: EndpointFlags::REMOTE,
        ..Endpoint::default()
    };
    // Some builds choose an id of their own.
    let endpoint = client.create_endpoint(network, ENDPOINT, &endpoint).map_err(|error| error.to_string())?;
    let result = with_load_balancer(&client, endpoint, frontend);
    match (result, client.delete_endpoint(endpoint)) {
        (result, Ok(())) => result,
        (Ok(()), Err(error)) => Err(format!("endpoint {endpoint} is left: {error}")),
        (Err(first), Err(error)) => Err(format!("{first}; endpoint {endpoint} is left: {error}")),
    }
}

fn with_load_balancer(client: &Client, endpoint: Guid, frontend: &str) -> Result<(), String> {
    let mapping =
        PortMapping { protocol: Protocol::TCP, external_port: 80, internal_port: 8080, ..PortMapping::default() };
    let load_balancer = LoadBalancer {
        host_compute_endpoints: vec![endpoint.to_string()],
        frontend_vips: vec![frontend.to_owned()],
        port_mappings: vec![mapping],
        ..LoadBalancer::default()
    };
    let id = client.create_load_balancer(LOAD_BALANCER, &load_balancer).map_err(|error| error.to_string())?;
    let read = client.load_balancer(id).map_err(|error| error.to_string());
    client.delete_load_balancer(id).map_err(|error| format!("load balancer {id} is left: {error}"))?;
    let read = read?;
    println!("created and deleted a load balancer with {} backend", read.endpoint_ids().count());
    Ok(())
}

fn main() -> ExitCode {
    system::with_hns(run)
}
