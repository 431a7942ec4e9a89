//! The features of a Service that HNS does not support, whatever its backends.

use super::context::Context;
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
