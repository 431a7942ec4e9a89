//! Load balancers that lack the source VIP they need.

use hcn::schema::{LoadBalancer, LoadBalancerFlags, Network};
use proxy::settings::Capabilities;

use super::super::check::{Check, Finding};
use super::super::facts::Facts;
use super::references::frontend;

pub(in super::super) const CHECK: Check = Check {
    id: "source-vip",
    title: "load balancers without direct server return have a source VIP",
    finds: "a failure for each load balancer of an overlay network without source VIP and without direct server return; a warning for each one of another network on HNS 9.x.",
    cause: "Overlay networks translate the source address to the source VIP, and lose connections without one. Elsewhere HNS chooses an address, and newer updates of Server 2019 can choose that of the load balancer: a pod then cannot reach itself, or a pod of the same node, through a Service ([kubernetes/community 8890](https://github.com/kubernetes/community/pull/8890)).",
    cure: "In an overlay network, set `--source-vip=auto` or the address that the CNI has reserved. On HNS 9.x and L2Bridge, set `--node-ip-as-source-vip` or `--enable-dsr=true`.",
    run,
};

fn run(facts: &Facts) -> Result<Finding, String> {
    let hns = facts.hns()?;
    let lacks =
        |balancer: &&LoadBalancer| balancer.source_vip.is_empty() && !balancer.flags.contains(LoadBalancerFlags::DSR);
    let network_of = |balancer: &LoadBalancer| -> Option<&Network> {
        balancer.endpoint_ids().find_map(|endpoint| hns.network_of(endpoint))
    };
    let (mut overlay, mut others) = (Vec::new(), Vec::new());
    for balancer in hns.load_balancers.iter().filter(lacks) {
        let Some(network) = network_of(balancer) else { continue };
        let lines = if network.kind.is_overlay() { &mut overlay } else { &mut others };
        lines.push(format!("{}: no source VIP, in network {}", frontend(balancer), network.name));
    }
    if !overlay.is_empty() {
        return Ok(Finding::Failure(overlay));
    }
    if !Capabilities::of(hns.version, hns.api).empty_source_vip_can_be_wrong {
        return Ok(Finding::Ok("no load balancer needs another source VIP".to_owned()));
    }
    Ok(Finding::warning_unless_empty(others, "no load balancer needs another source VIP"))
}

#[cfg(test)]
mod tests {
    use hcn::{Guid, Version};
    use serde_json::{Value, json};

    use super::super::super::facts::testing;
    use super::*;

    fn with(version: Version, network: &str, members: Value) -> Result<Finding, String> {
        let mut document = json!({
            "ID": Guid::from_u128(5), "HostComputeEndpoints": [Guid::from_u128(2)], "FrontendVIPs": ["10.96.0.10"]
        });
        document.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
        let facts = testing::hns(
            vec![testing::network(network, json!({}))],
            vec![testing::endpoint(2, "10.244.1.7")],
            vec![testing::load_balancer(document)],
        );
        run(&testing::with_version(facts, version))
    }

    const SERVER_2019: Version = Version::new(9, 5);

    #[test]
    fn a_source_vip_or_direct_server_return_is_ok() {
        for members in [json!({"SourceVIP": "10.244.1.2"}), json!({"Flags": 1})] {
            for network in ["Overlay", "L2Bridge"] {
                assert!(matches!(with(SERVER_2019, network, members.clone()), Ok(Finding::Ok(_))), "{members}");
            }
        }
        assert!(matches!(with(Version::new(15, 5), "L2Bridge", json!({})), Ok(Finding::Ok(_))));
    }

    #[test]
    fn an_overlay_load_balancer_without_source_vip_is_a_failure() {
        assert!(matches!(with(Version::new(15, 5), "Overlay", json!({})), Ok(Finding::Failure(_))));
    }

    #[test]
    fn on_server_2019_a_load_balancer_without_source_vip_is_a_warning() {
        assert!(matches!(with(SERVER_2019, "L2Bridge", json!({})), Ok(Finding::Warning(_))));
    }
}
