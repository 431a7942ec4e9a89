//! Whether the networks were created while the adapter of the node had its address.

use std::net::IpAddr;

use hcn::schema::Network;
use proxy::network_pattern::{ANY, matches};

use super::super::check::{Check, Finding};
use super::super::facts::Facts;

pub(in super::super) const CHECK: Check = Check {
    id: "management-address",
    title: "management addresses of the networks",
    finds: "a failure if the management address of a network for pods is link-local (169.254.0.0/16).",
    cause: "The network was created before DHCP had given the adapter an address, or the lease is lost. The node is not reachable at such an address, and CNIs derive routes from it.",
    cure: "Check the address of the adapter (`ipconfig /all`). Restart the node, or delete the network and let the CNI create it again.",
    run,
};

fn run(facts: &Facts) -> Result<Finding, String> {
    let hns = facts.hns()?;
    let of_pods = hns.networks.iter().filter(|network| matches(ANY, network));
    let addresses: Vec<_> = of_pods.filter_map(|network| Some((network, address(network)?))).collect();
    if addresses.is_empty() {
        return Err("HNS shows no management address of a network for pods".to_owned());
    }
    let wrong = addresses.iter().filter(|(_, address)| is_link_local(*address));
    let wrong = wrong.map(|(network, address)| format!("network {}: {address} is link-local", network.name));
    let ok: Vec<_> = addresses.iter().map(|(network, address)| format!("{} {address}", network.name)).collect();
    Ok(Finding::failure_unless_empty(wrong.collect(), ok.join(", ")))
}

fn is_link_local(address: IpAddr) -> bool {
    matches!(address, IpAddr::V4(address) if address.is_link_local())
}

/// Only the HNS v1 API shows it.
fn address(network: &Network) -> Option<IpAddr> {
    network.other.get("ManagementIP")?.as_str()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::super::facts::testing;
    use super::*;

    fn with(address: &str) -> Result<Finding, String> {
        run(&testing::hns(vec![testing::network("L2Bridge", json!({ "ManagementIP": address }))], vec![], vec![]))
    }

    #[test]
    fn an_address_of_the_node_is_ok() {
        assert_eq!(with("10.1.0.50"), Ok(Finding::Ok("cbr0 10.1.0.50".into())));
        assert!(with("").is_err());
    }

    #[test]
    fn a_link_local_address_is_a_failure() {
        let expected = vec!["network cbr0: 169.254.3.4 is link-local".to_owned()];
        assert_eq!(with("169.254.3.4"), Ok(Finding::Failure(expected)));
    }
}
