//! Finds local endpoints that lack the policies that direct server return needs.

use std::net::IpAddr;

use hcn::schema::{Endpoint, Network, NetworkType, Policy};
use hcn_survey::EndpointFacts;
use ipnet::IpNet;
use proxy::identity;
use serde_json::Value;

/// The usual names of endpoints of the host, which have no policies: of flannel and the Windows guides, of Calico, and of OpenShift.
const HOST_ENDPOINTS: [&str; 4] = ["cbr0", "cbr0_ep", "Calico_ep", "VIPEndpoint"];

const OUTBOUND_NAT: &str = "OutBoundNAT";

/// The local endpoints of an L2Bridge network without an exception list: their traffic to addresses of the cluster is translated, so replies of
/// direct server return do not find back. Other networks need no exceptions.
pub(in crate::commands) fn endpoints_without(network: &Network, endpoints: &[Endpoint]) -> Vec<EndpointFacts> {
    if network.kind != NetworkType(NetworkType::L2_BRIDGE.to_owned()) {
        return Vec::new();
    }
    let lacks = |endpoint: &&Endpoint| !endpoint.policies.iter().any(has_exceptions);
    let facts = |endpoint| facts(endpoint, format!("{OUTBOUND_NAT} with exceptions"));
    pods(network, endpoints).filter(lacks).map(facts).collect()
}

/// The local endpoints of a network without the policy that translates the traffic of a pod to itself (`loopbackDSR` of the CNI plugins):
/// without it, a pod that is a backend of a Service with direct server return cannot reach itself through the Service.
pub(in crate::commands) fn endpoints_without_loopback(network: &Network, endpoints: &[Endpoint]) -> Vec<EndpointFacts> {
    let lacks = |endpoint: &&Endpoint| {
        let own: Vec<IpAddr> = endpoint.addresses().collect();
        !endpoint.policies.iter().any(|policy| has_destination(policy, &own))
    };
    let facts = |endpoint| facts(endpoint, format!("{OUTBOUND_NAT} for its own address"));
    pods(network, endpoints).filter(lacks).map(facts).collect()
}

/// The endpoints of pods in a network.
fn pods<'a>(network: &Network, endpoints: &'a [Endpoint]) -> impl Iterator<Item = &'a Endpoint> {
    let id = network.id;
    endpoints.iter().filter(move |endpoint| endpoint.host_compute_network == id && is_of_pod(endpoint))
}

/// Whether a local endpoint is that of a pod, and not of the host or of the source VIP.
pub(in crate::commands) fn is_of_pod(endpoint: &Endpoint) -> bool {
    let is_host = HOST_ENDPOINTS.iter().any(|name| endpoint.name.eq_ignore_ascii_case(name));
    !endpoint.is_remote() && !is_host && !endpoint.id.is_some_and(identity::is_ours)
}

fn facts(endpoint: &Endpoint, missing: String) -> EndpointFacts {
    EndpointFacts {
        id: endpoint.id.map(|id| id.to_string()).unwrap_or_default(),
        name: endpoint.name.clone(),
        address: endpoint.ip_configurations.first().map(|ip| ip.ip_address.clone()).unwrap_or_default(),
        missing: vec![missing],
    }
}

fn has_destination(policy: &Policy, addresses: &[IpAddr]) -> bool {
    let destinations = policy.settings.get("Destinations").and_then(Value::as_array).into_iter().flatten();
    let contains = |text: &str| {
        let prefix = text.parse().ok().or_else(|| Some(IpNet::from(text.parse::<IpAddr>().ok()?)));
        prefix.is_some_and(|prefix| addresses.iter().any(|address| prefix.contains(address)))
    };
    policy.is(OUTBOUND_NAT) && destinations.filter_map(Value::as_str).any(contains)
}

fn has_exceptions(policy: &Policy) -> bool {
    // Some CNI configurations have the v1 name inside the v2 policy.
    let list = ["Exceptions", "ExceptionList"].iter().find_map(|name| policy.settings.get(*name));
    policy.is(OUTBOUND_NAT) && list.and_then(Value::as_array).is_some_and(|exceptions| !exceptions.is_empty())
}

#[cfg(test)]
mod tests {
    use hcn::Guid;
    use hcn::schema::EndpointFlags;
    use serde_json::json;

    use super::*;

    #[test]
    fn only_pods_of_l2bridge_networks_need_exceptions() {
        let network =
            |kind: &str| Network { id: Some(Guid::from_u128(1)), kind: NetworkType(kind.into()), ..Network::default() };
        let endpoint = |name: &str, policies: Vec<Policy>| Endpoint {
            name: name.into(),
            host_compute_network: Some(Guid::from_u128(1)),
            policies,
            ..Endpoint::default()
        };
        let nat = |settings: Value| Policy { kind: "outboundnat".into(), settings, ..Policy::default() };
        let endpoints = [
            endpoint("without", vec![]),
            endpoint("empty", vec![nat(json!({"Exceptions": []}))]),
            endpoint("v1", vec![nat(json!({"ExceptionList": ["10.0.0.0/8"]}))]),
            endpoint("CBR0", vec![]),
            Endpoint { flags: EndpointFlags::REMOTE, ..endpoint("remote", vec![]) },
            Endpoint { host_compute_network: None, ..endpoint("elsewhere", vec![]) },
        ];
        let names = |kind: &str| -> Vec<_> {
            endpoints_without(&network(kind), &endpoints).into_iter().map(|one| one.name).collect()
        };
        assert_eq!(names("l2bridge"), ["without", "empty"]);
        assert_eq!(names("Overlay"), Vec::<String>::new());
    }
}
