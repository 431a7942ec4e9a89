//! Addresses that more than one endpoint has.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use hcn::Guid;
use hcn::schema::Endpoint;

use super::super::check::{Check, Finding};
use super::super::facts::{Facts, HnsFacts, name};

pub(in super::super) const REMOTE_ON_LOCAL: Check = Check {
    id: "remote-on-local",
    title: "remote endpoints on local addresses",
    finds: "a failure for each remote endpoint with the address of a local endpoint of its network.",
    cause: "The address of a pod on another node was given to a pod on this node before the remote endpoint was removed ([kubernetes 138000](https://github.com/kubernetes/kubernetes/pull/138000)), or another proxy has left the endpoint. Traffic to the address leaves the node.",
    cure: "Let hnsproxy run: it removes its own remote endpoints that no Service needs, and those of kube-proxy with `--take-over`. Otherwise remove the remote endpoint (`Remove-HnsEndpoint`).",
    run: remote_on_local,
};

pub(in super::super) const DUPLICATE: Check = Check {
    id: "duplicate-addresses",
    title: "each endpoint has an address of its own",
    finds: "a failure for each address that two local or two remote endpoints of a network have.",
    cause: "The endpoint of a deleted pod is left, and its address was given to a new pod ([AKS 5653](https://github.com/Azure/AKS/issues/5653)), or two programs have created a remote endpoint for one address. The virtual switch sends packets to one of them.",
    cure: "Find the endpoint that no pod has (`Get-HnsEndpoint`, `crictl pods`), and remove it with `Remove-HnsEndpoint`. If that fails, drain and restart the node.",
    run: duplicates,
};

/// The endpoints of each address by network, local ones or remote ones.
fn by_address(hns: &HnsFacts, remote: bool) -> BTreeMap<(Option<Guid>, IpAddr), Vec<&Endpoint>> {
    let mut all = BTreeMap::new();
    for endpoint in hns.endpoints.iter().filter(|endpoint| endpoint.is_remote() == remote) {
        for address in endpoint.addresses().collect::<BTreeSet<_>>() {
            all.entry((endpoint.host_compute_network, address)).or_insert_with(Vec::new).push(endpoint);
        }
    }
    all
}

fn remote_on_local(facts: &Facts) -> Result<Finding, String> {
    let hns = facts.hns()?;
    let local = by_address(hns, false);
    let mut wrong = Vec::new();
    for ((network, address), endpoints) in by_address(hns, true) {
        let Some(pods) = local.get(&(network, address)) else { continue };
        let pods: Vec<_> = pods.iter().map(|pod| name(pod)).collect();
        for endpoint in endpoints {
            wrong.push(format!("remote {}: the address is also that of {}", name(endpoint), pods.join(", ")));
        }
    }
    let count = hns.endpoints.iter().filter(|endpoint| endpoint.is_remote()).count();
    let ok = format!("{count} remote endpoint{} without a local address", if count == 1 { "" } else { "s" });
    Ok(Finding::failure_unless_empty(wrong, ok))
}

fn duplicates(facts: &Facts) -> Result<Finding, String> {
    let hns = facts.hns()?;
    let all = by_address(hns, false).into_iter().chain(by_address(hns, true));
    let several = all.filter(|(_, endpoints)| endpoints.len() > 1);
    let lines = several.map(|((_, address), endpoints)| {
        let kind = if endpoints.iter().all(|one| one.is_remote()) { "remote" } else { "local" };
        let names: Vec<_> = endpoints.iter().map(|one| name(one)).collect();
        format!("{address}: {} {kind} endpoints: {}", endpoints.len(), names.join(", "))
    });
    let count = hns.endpoints.len();
    let ok = format!("{count} endpoint{} with different addresses", if count == 1 { "" } else { "s" });
    Ok(Finding::failure_unless_empty(lines.collect(), ok))
}

#[cfg(test)]
mod tests {
    use super::super::super::facts::testing::{self, endpoint, remote};
    use super::*;

    fn with(endpoints: Vec<Endpoint>) -> Facts {
        testing::hns(vec![], endpoints, vec![])
    }

    #[test]
    fn different_addresses_are_ok() {
        let facts = with(vec![endpoint(2, "10.244.1.7"), endpoint(3, "10.244.1.8"), remote(4, "10.244.2.7")]);
        assert!(matches!(remote_on_local(&facts), Ok(Finding::Ok(_))));
        assert!(matches!(duplicates(&facts), Ok(Finding::Ok(_))));
    }

    #[test]
    fn one_address_in_two_networks_is_ok() {
        let elsewhere = Endpoint { host_compute_network: Some(Guid::from_u128(9)), ..endpoint(3, "10.244.1.7") };
        assert!(matches!(duplicates(&with(vec![endpoint(2, "10.244.1.7"), elsewhere])), Ok(Finding::Ok(_))));
    }

    #[test]
    fn a_remote_endpoint_with_the_address_of_a_pod_is_a_failure() {
        let of_pod = with(vec![endpoint(2, "10.244.1.7"), remote(4, "10.244.1.7")]);
        let expected = "remote endpoint 10.244.1.7 (pod4, 00000000-0000-0000-0000-000000000004): the address is also that of \
                        endpoint 10.244.1.7 (pod2, 00000000-0000-0000-0000-000000000002)";
        assert_eq!(remote_on_local(&of_pod), Ok(Finding::Failure(vec![expected.to_owned()])));
    }

    #[test]
    fn two_local_or_two_remote_endpoints_with_one_address_are_a_failure() {
        for make in [endpoint, remote] {
            let facts = with(vec![make(2, "10.244.1.7"), make(3, "10.244.1.7")]);
            assert!(matches!(duplicates(&facts), Ok(Finding::Failure(lines)) if lines.len() == 1));
        }
    }
}
