//! Prints the networks of HNS with their endpoints, and the load balancers.
//!
//! Exit code 1 if HNS is unavailable.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program for a terminal")]

mod system;

use std::process::ExitCode;
use std::sync::Arc;

use hcn::schema::{Endpoint, LoadBalancer};
use hcn::{ApiVersion, Client, Error, Hcn};

fn print(hns: Arc<dyn Hcn>) -> Result<(), Error> {
    let client = Client::new(hns, ApiVersion::V2);
    for listed in client.networks_from_v1_list()? {
        // A document that cannot be read is an error of its own, and the others are still listed.
        match listed.document {
            Some(Ok(network)) => println!("network {} {} {}", listed.id, network.name, network.kind.0),
            Some(Err(error)) => eprintln!("network {}: {error}", listed.id),
            None => println!("network {}", listed.id),
        }
        // Each document is dropped once its line is printed: a node can have thousands of endpoints.
        client.endpoints(listed.id, |endpoint| {
            let addresses = |endpoint: Endpoint| endpoint.addresses().map(|ip| ip.to_string()).collect::<Vec<_>>();
            let addresses = endpoint.document.and_then(Result::ok).map(addresses).unwrap_or_default();
            println!("  endpoint {} {}", endpoint.id, addresses.join(" "));
            None::<()>
        })?;
    }
    client.load_balancers(|listed| {
        let describe = |load_balancer: LoadBalancer| {
            let vips: Vec<String> = load_balancer.vips().map(|vip| vip.to_string()).collect();
            let ports = load_balancer.port_mappings.iter().map(|mapping| mapping.external_port.to_string());
            format!(
                "{} port {}: {} backends",
                vips.join(" "),
                ports.collect::<Vec<_>>().join(" "),
                load_balancer.endpoint_ids().count()
            )
        };
        let description = listed.document.and_then(Result::ok).map(describe).unwrap_or_default();
        println!("load balancer {} {description}", listed.id);
        None::<()>
    })?;
    Ok(())
}

fn main() -> ExitCode {
    system::with_hns(print)
}
