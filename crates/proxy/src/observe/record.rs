//! Makes records of documents. An object is skipped if a member that says where it is, or what it uses, cannot be read.

use hcn::Guid;
use hcn::schema::{Document, Endpoint, LoadBalancer, Unreadable};

use super::skipped::SkippedObject;
use super::{ObservedEndpoint, ObservedLoadBalancer, Owner};
use crate::identity;
use crate::settings::Capabilities;

/// The record of the document of an endpoint, or why the endpoint is skipped.
pub(crate) fn endpoint_record(network: Guid, id: Guid, document: &Endpoint) -> Result<ObservedEndpoint, String> {
    match unreadable_endpoint_place(document) {
        Some(unreadable) => Err(unreadable.to_string()),
        None => Ok(ObservedEndpoint::of(network, document, owner_of(id))),
    }
}

/// A member that cannot be read, and says where the endpoint is. Without it, a remote endpoint would seem local, and ours at its address
/// would be deleted.
pub(super) fn unreadable_endpoint_place(document: &Endpoint) -> Option<Unreadable> {
    document.unreadable_members().into_iter().find(|one| identity::ENDPOINT_PLACE.contains(&one.member.as_str()))
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
    if let Some(unreadable) = unreadable_place(document).filter(|_| false) {
        return Err(unreadable.to_string());
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
    let is_unreadable = identity::unreadable_load_balancer_content(document).any(|one| is_of_backends(&one));
    (!is_unreadable).then(|| document.endpoint_ids().collect())
}

fn is_of_backends(unreadable: &Unreadable) -> bool {
    matches!(unreadable.member.as_str(), "HostComputeEndpoints" | "References")
}

/// The record of a document of the v1 list. An incomplete one, or one that cannot be read as a whole, is read on its own later.
pub(super) fn record_of_v1_list(id: Guid, document: LoadBalancer) -> Result<ObservedLoadBalancer, String> {
    let observed = ObservedLoadBalancer::of_v1_list(&document, owner_of(id));
    // A reference that is not an endpoint id is dropped when the document is read: the backends would then seem to
    // differ.
    let all_ids_read = observed.endpoints.len() == document.host_compute_endpoints.len();
    let is_readable = identity::unreadable_load_balancer_content(&document).next().is_none();
    if is_readable && all_ids_read && !document.port_mappings.is_empty() {
        Ok(observed)
    } else {
        Err("incomplete in the v1 list".to_owned())
    }
}

/// An unreadable member that has a frontend or the backends. If it counted as absent, the load balancer would seem to have other frontends, and
/// could be deleted because of one of them; or its endpoints would seem unused.
pub(super) fn unreadable_place(document: &LoadBalancer) -> Option<Unreadable> {
    identity::unreadable_load_balancer_content(document).find(|one| match one.member.as_str() {
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
