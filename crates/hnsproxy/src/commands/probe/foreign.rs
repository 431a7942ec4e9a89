//! Names the program that probably created a load balancer that is not of hnsproxy.

use std::collections::{BTreeMap, BTreeSet};

use hcn::schema::{Endpoint, LoadBalancer, Network, PortMappingFlags};
use hcn::{ApiVersion, Guid, Version};
use hcn_survey::ForeignFacts;
use proxy::identity::is_ours;
use proxy::observe::{ObservedLoadBalancer, Owner};
use proxy::settings::Capabilities;

use super::scratch;

/// The load balancers that neither hnsproxy nor a probe has created.
pub(in crate::commands) fn among(
    networks: &[Network],
    endpoints: &[Endpoint],
    load_balancers: &[LoadBalancer],
    version: Version,
    api: ApiVersion,
) -> Vec<ForeignFacts> {
    let by_id: BTreeMap<Guid, Guid> =
        endpoints.iter().filter_map(|endpoint| Some((endpoint.id?, endpoint.host_compute_network?))).collect();
    let foreign_endpoints =
        endpoints.iter().filter(|one| !scratch::is_endpoint(one)).filter_map(|one| one.id).collect();
    let network_of = |endpoint: Guid| {
        let id = by_id.get(&endpoint)?;
        networks.iter().find(|network| network.id == Some(*id))
    };
    not_ours(load_balancers, version, api, &foreign_endpoints, network_of)
}

/// `foreign_endpoints` are not of a probe; `network_of` finds the network of an endpoint.
fn not_ours<'a>(
    all: &[LoadBalancer],
    version: Version,
    api: ApiVersion,
    foreign_endpoints: &BTreeSet<Guid>,
    network_of: impl Fn(Guid) -> Option<&'a Network>,
) -> Vec<ForeignFacts> {
    let capabilities = Capabilities::of(version, api);
    let is_foreign = |balancer: &&LoadBalancer| {
        balancer.id.is_some_and(|id| !is_ours(id)) && !scratch::is_load_balancer(balancer, foreign_endpoints)
    };
    let facts = |balancer: &LoadBalancer| {
        let observed = ObservedLoadBalancer::of(balancer, &capabilities, Owner::Foreign);
        let network = balancer.endpoint_ids().find_map(&network_of);
        ForeignFacts {
            id: balancer.id.map(|id| id.to_string()).unwrap_or_default(),
            frontends: observed.frontends.iter().map(ToString::to_string).collect(),
            likely_creator: creator(balancer, observed.resembles_kube_proxy(&capabilities), network).to_owned(),
        }
    };
    all.iter().filter(is_foreign).map(facts).collect()
}

fn creator(balancer: &LoadBalancer, resembles_kube_proxy: bool, network: Option<&Network>) -> &'static str {
    // kube-proxy never sets it, and the overlay networks of docker always do.
    if balancer.port_mappings.iter().any(|mapping| mapping.flags.contains(PortMappingFlags::ILB)) {
        return "docker";
    }
    if resembles_kube_proxy {
        return "kube-proxy";
    }
    let of_calico = network.is_some_and(|network| network.name.to_ascii_lowercase().starts_with("calico"));
    if of_calico { "Calico" } else { "unknown" }
}

#[cfg(test)]
mod tests {
    use hcn::schema::{PortMapping, Protocol};

    use super::*;

    #[test]
    fn the_creator_follows_from_flags_and_network() {
        let calico = Network { name: "Calico".into(), ..Network::default() };
        let made = |id: u128, flags: PortMappingFlags, vips: usize| LoadBalancer {
            id: Some(Guid::from_u128(id)),
            host_compute_endpoints: vec![Guid::from_u128(7).to_string()],
            frontend_vips: (1..=vips).map(|n| format!("10.96.0.{n}")).collect(),
            port_mappings: vec![PortMapping {
                protocol: Protocol::TCP,
                internal_port: 8080,
                external_port: 80,
                flags,
                ..PortMapping::default()
            }],
            ..LoadBalancer::default()
        };
        let all =
            [made(1, PortMappingFlags::NONE, 1), made(2, PortMappingFlags::ILB, 1), made(3, PortMappingFlags::NONE, 2)];
        let creators = |network: Option<&'static str>| -> Vec<String> {
            let found =
                not_ours(&all, Version::new(15, 5), ApiVersion::V2, &BTreeSet::new(), |_| network.map(|_| &calico));
            found.into_iter().map(|one| one.likely_creator).collect()
        };
        assert_eq!(creators(None), ["kube-proxy", "docker", "unknown"]);
        assert_eq!(creators(Some("Calico")), ["kube-proxy", "docker", "Calico"]);
    }
}
