//! Load balancers with endpoints that do not exist.

use hcn::Guid;
use hcn::schema::LoadBalancer;

use super::super::check::{Check, Finding};
use super::super::facts::Facts;

pub(in super::super) const CHECK: Check = Check {
    id: "stale-references",
    title: "load balancers refer to endpoints that exist",
    finds: "a failure for each load balancer with an endpoint that HNS does not have.",
    cause: "The endpoint was deleted while a load balancer had it, by another program, or with its network. Connections that are sent to that backend are lost.",
    cure: "Start hnsproxy: it finds such load balancers in an audit and repairs those of Services. If it runs, see `waiting_for` of `/readyz`. Remove those of no Service with `Remove-HnsPolicyList`.",
    run,
};

fn run(facts: &Facts) -> Result<Finding, String> {
    let hns = facts.hns()?;
    let missing = |balancer: &LoadBalancer| {
        let is_missing = |id: &&String| id.parse::<Guid>().is_ok_and(|id| !hns.endpoint_ids.contains(&id));
        balancer.host_compute_endpoints.iter().filter(is_missing).cloned().collect::<Vec<_>>()
    };
    let lines = hns.load_balancers.iter().filter_map(|balancer| {
        let missing = missing(balancer);
        (!missing.is_empty()).then(|| format!("{}: missing endpoint {}", frontend(balancer), missing.join(", ")))
    });
    let count = hns.load_balancers.len();
    let ok = format!("{count} load balancer{} without a missing endpoint", if count == 1 { "" } else { "s" });
    Ok(Finding::failure_unless_empty(lines.collect(), ok))
}

/// `load balancer 10.96.0.10:53 (ID)`
pub(super) fn frontend(balancer: &LoadBalancer) -> String {
    let addresses =
        if balancer.frontend_vips.is_empty() { "all addresses".to_owned() } else { balancer.frontend_vips.join(", ") };
    let ports = balancer.port_mappings.iter().map(|port| format!("{}/{}", port.external_port, port.protocol));
    let id = balancer.id.map(|id| id.to_string()).unwrap_or_default();
    format!("load balancer {addresses} port {} ({id})", ports.collect::<Vec<_>>().join(", "))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::super::facts::testing;
    use super::*;

    fn with(endpoint: u128) -> Result<Finding, String> {
        let balancer = testing::load_balancer(json!({
            "ID": Guid::from_u128(5), "HostComputeEndpoints": [Guid::from_u128(endpoint)], "FrontendVIPs": ["10.96.0.10"],
            "PortMappings": [{"Protocol": 17, "InternalPort": 53, "ExternalPort": 53}]
        }));
        run(&testing::hns(vec![], vec![testing::endpoint(2, "10.244.1.7")], vec![balancer]))
    }

    #[test]
    fn endpoints_that_exist_are_ok() {
        assert_eq!(with(2), Ok(Finding::Ok("1 load balancer without a missing endpoint".into())));
    }

    #[test]
    fn a_missing_endpoint_is_a_failure() {
        let expected = "load balancer 10.96.0.10 port 53/UDP (00000000-0000-0000-0000-000000000005): missing endpoint \
                        00000000-0000-0000-0000-000000000003";
        assert_eq!(with(3), Ok(Finding::Failure(vec![expected.to_owned()])));
    }
}
