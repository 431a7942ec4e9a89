//! What a running hnsproxy has observed in HNS, as objects that a packet depends on.

use std::net::IpAddr;

use hcn::Guid;
use hcn::schema::{Endpoint, EndpointFlags, IpConfiguration, Network, NetworkType, Policy};
use proxy::network::NamedNetwork;
use proxy::observe::{Observed, ObservedEndpoint};
use proxy::{Frontend, Networks};
use serde_json::json;
use vswitch::Node;

use super::{Objects, PacketExplanation, Question, explain};

const NOT_KEPT: &str = "OutBoundNAT policies of endpoints, and objects of other networks: hnsproxy does not keep them";

/// The observed state at one moment, without whole documents.
#[derive(Debug)]
pub struct Observation {
    pub networks: Networks,
    pub observed: Observed,
    pub node: Node,
}

impl Observation {
    pub fn explain(&self, question: &Question) -> PacketExplanation {
        let description = "HNS as it was observed last".to_owned();
        let left_out = self.left_out(question).into_iter().map(|id| {
            format!("load balancer {id} of this frontend: hnsproxy does not know all of its members, so it is left out")
                .into()
        });
        PacketExplanation {
            not_known: std::iter::once(NOT_KEPT.into()).chain(left_out).collect(),
            ..explain(question, &self.objects(), &self.node, description)
        }
    }

    /// In the order of their ids: the observed state has none.
    fn objects(&self) -> Objects {
        let document = |named: &NamedNetwork| {
            let network = named.network.as_ref().filter(|_| named.present)?;
            Some((network.id, network_document(&named.name, network)))
        };
        let endpoints =
            self.observed.endpoints().map(|(id, endpoint)| (id, endpoint_document(&self.networks, endpoint)));
        let load_balancers = self.observed.load_balancers().filter_map(|(id, one)| Some((id, one.document()?)));
        let (mut endpoints, mut load_balancers): (Vec<_>, Vec<_>) = (endpoints.collect(), load_balancers.collect());
        endpoints.sort_unstable_by_key(|(id, _)| *id);
        load_balancers.sort_unstable_by_key(|(id, _)| *id);
        Objects::new(self.networks.iter().filter_map(document).collect(), endpoints, load_balancers)
    }

    /// The load balancers on the frontend whose documents are not known, sorted.
    fn left_out(&self, question: &Question) -> Vec<Guid> {
        let is_asked = |frontend: &Frontend| {
            frontend.address.is_none_or(|address| address == question.frontend.ip())
                && frontend.port == question.frontend.port()
                && frontend.protocol == question.protocol
        };
        let unknown = self.observed.load_balancers().filter(|(_, one)| one.document().is_none());
        let mut ids: Vec<_> = unknown.filter(|(_, one)| one.frontends.iter().any(is_asked)).map(|(id, _)| id).collect();
        ids.sort_unstable();
        ids
    }
}

fn network_document(name: &str, network: &proxy::Network) -> Network {
    let kind = if network.overlay { NetworkType::OVERLAY } else { NetworkType::L2_BRIDGE };
    let routes = network.remote_subnets.iter().map(|route| Policy {
        kind: Policy::REMOTE_SUBNET_ROUTE.into(),
        settings: json!({
            "DestinationPrefix": route.destination_prefix.to_string(), "IsolationId": route.isolation_id,
            "ProviderAddress": route.provider_address.to_string(),
            "DistributedRouterMacAddress": route.distributed_router_mac_address,
        }),
        ..Policy::default()
    });
    Network {
        id: Some(network.id),
        name: name.to_owned(),
        kind: NetworkType(kind.to_owned()),
        policies: routes.collect(),
        ..Network::default()
    }
}

fn endpoint_document(networks: &Networks, endpoint: &ObservedEndpoint) -> Endpoint {
    let network = networks.iter().filter_map(|named| named.network.as_ref()).find(|one| one.id == endpoint.network);
    // hnsproxy and kube-proxy give a remote endpoint of an overlay network the address of its node.
    let provider = network
        .filter(|network| network.overlay && endpoint.remote)
        .and_then(|network| endpoint.addresses.iter().find_map(|address| network.provider_address(*address)));
    let configuration =
        |address: &IpAddr| IpConfiguration { ip_address: address.to_string(), ..IpConfiguration::default() };
    Endpoint {
        name: endpoint.name.to_string(),
        host_compute_network: Some(endpoint.network),
        ip_configurations: endpoint.addresses.iter().map(configuration).collect(),
        policies: provider.map(Policy::provider_address).into_iter().collect(),
        flags: if endpoint.remote { EndpointFlags::REMOTE } else { EndpointFlags::default() },
        ..Endpoint::default()
    }
}
