//! The layer of forwarding: the port through which a packet to an address leaves.

use std::net::IpAddr;

use hcn::Guid;

use crate::objects::{NetworkState, PortIndex};
use crate::policy::Policy;
use crate::trace::{Route, Step, Tracer};
use crate::{DropReason, Encapsulation};

/// The port of an address of this node: of a local endpoint, or of the node itself.
pub(super) fn local(
    policy: &Policy,
    destination: IpAddr,
    network: Option<Guid>,
    tracer: &mut Tracer<'_>,
) -> Option<PortIndex> {
    let endpoint = policy.objects.endpoint_with(destination, network).filter(|(_, state)| !state.is_remote);
    if let Some((id, _)) = endpoint {
        tracer.record(|| Step::Route(Route::LocalEndpoint(id)));
        return policy.objects.port_of(id);
    }
    if policy.node.addresses.contains(&destination) {
        tracer.record(|| Step::Route(Route::Node));
        return Some(PortIndex::HOST);
    }
    None
}

/// How a packet to an address of another node leaves: through the uplink, or in an overlay network inside VXLAN.
pub(super) fn outside(
    policy: &Policy,
    destination: IpAddr,
    network: Option<Guid>,
    tracer: &mut Tracer<'_>,
) -> Result<(PortIndex, Option<Encapsulation>), DropReason> {
    let endpoint = policy.objects.endpoint_with(destination, network).filter(|(_, state)| state.is_remote);
    if let Some((id, state)) = endpoint {
        tracer.record(|| Step::Route(Route::RemoteEndpoint(id)));
        let of_endpoint = state.network.and_then(|id| policy.objects.network(id));
        let Some(overlay) = of_endpoint.filter(|network| network.is_overlay) else {
            return Ok((PortIndex::UPLINK, None));
        };
        return match state.provider_address {
            Some(provider_address) => encapsulated(policy, destination, provider_address, overlay),
            None => remote_subnet(policy, destination, overlay, tracer),
        };
    }
    match network.and_then(|id| policy.objects.network(id)) {
        Some(overlay) if overlay.is_overlay => remote_subnet(policy, destination, overlay, tracer),
        Some(_) => Ok(physical_network(tracer)),
        // The node has a route to each overlay network.
        None => {
            let overlays = policy.objects.networks().filter(|network| network.is_overlay);
            let mut found = overlays.filter_map(|overlay| remote_subnet(policy, destination, overlay, tracer).ok());
            let found = found.next();
            Ok(found.unwrap_or_else(|| physical_network(tracer)))
        }
    }
}

/// The subnet with the longest prefix that has the address.
fn remote_subnet(
    policy: &Policy,
    destination: IpAddr,
    overlay: &NetworkState,
    tracer: &mut Tracer<'_>,
) -> Result<(PortIndex, Option<Encapsulation>), DropReason> {
    let subnets = overlay.remote_subnets.iter().filter(|subnet| subnet.destination_prefix.contains(&destination));
    let subnet = subnets.max_by_key(|subnet| subnet.destination_prefix.prefix_len());
    let subnet = subnet.ok_or(DropReason::NoProviderAddress)?;
    tracer.record(|| Step::Route(Route::RemoteSubnet(subnet.destination_prefix)));
    encapsulated(policy, destination, subnet.provider_address, overlay)
}

fn encapsulated(
    policy: &Policy,
    destination: IpAddr,
    provider_address: IpAddr,
    overlay: &NetworkState,
) -> Result<(PortIndex, Option<Encapsulation>), DropReason> {
    // The endpoint of a VIP has the address of this node, so that the VIP is answered. Without a load balancer nothing answers.
    if policy.node.addresses.contains(&provider_address) {
        return Err(DropReason::NotLocal);
    }
    // A backend with the address of its node is reached without VXLAN: it is not in the overlay network.
    if provider_address == destination {
        return Ok((PortIndex::UPLINK, None));
    }
    Ok((PortIndex::TUNNEL, Some(Encapsulation { provider_address, isolation_id: overlay.isolation_id })))
}

fn physical_network(tracer: &mut Tracer<'_>) -> (PortIndex, Option<Encapsulation>) {
    tracer.record(|| Step::Route(Route::PhysicalNetwork));
    (PortIndex::UPLINK, None)
}
