//! What a Service asks for and does not get, whatever its backends: features that HNS does not support, and forbidden addresses.

use super::context::Context;
use crate::address_class::AddressClass;
use crate::condition::Condition;
use crate::model::{Family, Service};

/// The default of `sessionAffinityConfig.clientIP.timeoutSeconds`, in seconds. The API server fills it in, so there is
/// no condition about it.
const DEFAULT_AFFINITY_TIMEOUT: u32 = 10_800;

/// The conditions of a Service as a whole.
pub(crate) fn unsupported(service: &Service, context: &Context<'_>) -> Vec<Condition> {
    let capabilities = context.capabilities;
    let external = Family::ALL.iter().any(|family| service.is_external(*family));
    let restricted = |family: &Family| {
        service.restricts_sources(*family) && service.ingress_ips.iter().any(|ip| Family::of(*ip) == *family)
    };
    let timeout = service.affinity_timeout.filter(|seconds| *seconds != DEFAULT_AFFINITY_TIMEOUT);
    let mut conditions = Vec::new();
    let external_ips = if context.settings.external_ips { service.external_ips.as_slice() } else { &[] };
    for address in service.cluster_ips.iter().chain(external_ips).chain(&service.ingress_ips).copied() {
        // A load balancer there would take traffic of the node itself, or of all hosts of a link.
        conditions.extend(AddressClass::forbidden(address).map(|class| Condition::AddressForbidden { address, class }));
    }
    match (service.client_ip_affinity, capabilities.affinity, timeout) {
        (true, false, _) => conditions.push(Condition::AffinityUnsupported),
        // HNS hashes the source address and has no member for a timeout.
        (true, true, Some(seconds)) => conditions.push(Condition::AffinityTimeoutIgnored { seconds }),
        _ => {}
    }
    // As in kube-proxy, source ranges apply to load balancer IPs only.
    if Family::ALL.iter().any(restricted) {
        conditions.push(Condition::SourceRangesIgnored);
    }
    // Without an external frontend the policy has no effect, so nothing is lost.
    if service.external_local && external && !capabilities.dsr {
        conditions.push(Condition::LocalPolicyUnsupported);
    }
    if service.preserve_destination && external && !capabilities.dsr {
        conditions.push(Condition::PreserveDestinationUnsupported);
    }
    conditions
}
