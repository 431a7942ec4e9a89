//! Makes records of documents. An object is skipped if a member that says where it is, or what it uses, cannot be read.

use hcn::Guid;
use hcn::schema::{Endpoint, LoadBalancer, Unreadable};

use super::skipped::SkippedObject;
use super::{ObservedEndpoint, ObservedLoadBalancer, Owner};
use crate::identity;
use crate::settings::Capabilities;

/// The record of the document of an endpoint, or why the endpoint is skipped.
pub(crate) fn endpoint_record(network: Guid, id: Guid, document: &Endpoint) -> Result<ObservedEndpoint, String> {
    match unclear_endpoint_place(document) {
        Some(unclear) => Err(unclear.to_string()),
        None => Ok(ObservedEndpoint::of(network, document, owner_of(id))),
    }
}

/// A member that cannot be read, and says where the endpoint is. Without it, a remote endpoint would seem local, and ours at its address
/// would be deleted.
pub(super) fn unclear_endpoint_place(document: &Endpoint) -> Option<Unreadable> {
    identity::unclear_endpoint(document).find(|one| {
        let v2 = ["Flags", "IpConfigurations", "IpConfigurations.IpAddress"];
        let v1 = ["IsRemoteEndpoint", "IPAddress", "IPv6Address"];
        v2.contains(&one.member.as_str()) || v1.contains(&one.member.as_str())
    })
}

/// The record of a whole document. HNS sometimes lists load balancers without port mappings while it creates them
/// (kubernetes issue 141488).
pub(super) fn record_of(
    id: Guid,
    document: &LoadBalancer,
    capabilities: &Capabilities,
) -> Result<ObservedLoadBalancer, String> {
    if document.port_mappings.is_empty() {
        return Err("missing port mapping".to_owned());
    }
    if let Some(unclear) = unclear_place(document) {
        return Err(unclear.to_string());
    }
    Ok(ObservedLoadBalancer::of(document, capabilities, owner_of(id)))
}

/// A load balancer that is skipped: what remains known of it.
pub(super) fn skipped(reason: String, document: Option<&LoadBalancer>) -> SkippedObject {
    let backends = document.and_then(readable_backends).map(Vec::into_boxed_slice);
    SkippedObject::new(format!("load balancer: {reason}"), backends)
}

/// The endpoints of the backends; `None` if they cannot be read.
pub(crate) fn readable_backends(document: &LoadBalancer) -> Option<Vec<Guid>> {
    let is_unclear = identity::unclear_load_balancer(document).any(|one| is_of_backends(&one));
    (!is_unclear).then(|| document.endpoint_ids().collect())
}

fn is_of_backends(unclear: &Unreadable) -> bool {
    matches!(unclear.member.as_str(), "HostComputeEndpoints" | "References")
}

/// The record of a document of the v1 list. An incomplete one, or one that cannot be read as a whole, is read on its own later.
pub(super) fn record_of_v1_list(id: Guid, document: LoadBalancer) -> Result<ObservedLoadBalancer, String> {
    let observed = ObservedLoadBalancer::of_v1_list(&document, owner_of(id));
    // A reference that is not an endpoint id is dropped when the document is read: the backends would then seem to
    // differ.
    let all_ids_read = observed.endpoints.len() == document.host_compute_endpoints.len();
    let is_clear = identity::unclear_load_balancer(&document).next().is_none();
    if is_clear && all_ids_read && !document.port_mappings.is_empty() {
        Ok(observed)
    } else {
        Err("incomplete in the v1 list".to_owned())
    }
}

/// An unreadable member that has a frontend or the backends. If it counted as absent, the load balancer would seem to have other frontends, and
/// could be deleted because of one of them; or its endpoints would seem unused.
pub(super) fn unclear_place(document: &LoadBalancer) -> Option<Unreadable> {
    identity::unclear_load_balancer(document).find(|one| match one.member.as_str() {
        "FrontendVIPs" | "PortMappings.VIPs" | "PortMappings.Protocol" | "PortMappings.ExternalPort" => true,
        _ if is_of_backends(one) => true,
        // They decide the address family of a frontend without an address.
        "Flags" => document.frontend_vips.is_empty(),
        _ => false,
    })
}

/// The owner of a new object, derived from its id.
pub(crate) fn owner_of(id: Guid) -> Owner {
    if identity::is_ours(id) { Owner::Us } else { Owner::Foreign }
}
