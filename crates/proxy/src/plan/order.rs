//! The order of Services in a plan: first those that other Services depend on, then those whose clients are affected.

use std::net::IpAddr;

use hcn::Guid;

use super::{Action, Reason, Step};
use crate::desire::Desired;
use crate::frontend::{EndpointPurpose, Frontend};
use crate::model::ServiceName;
use crate::observe::Observed;

/// The position of a Service in a plan.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Rank(Urgency, Option<ServiceName>);

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Urgency {
    /// DNS, the API server, and the source VIP, which overlay load balancers need.
    Infrastructure,
    /// Connections fail now: a load balancer has a backend that is gone.
    BackendsLost,
    /// Clients are affected: a frontend has no load balancer, or lacks backends.
    Backends,
    Rest,
    /// Objects that no Service uses: no client is affected by them.
    Unused,
    /// Failed before: a permanent failure must not delay the rest.
    Retry,
}

impl Rank {
    /// The rank of the steps of a Service, or of the steps that belong to no Service.
    ///
    /// `lost` is whether a load balancer of the Service [has lost a backend](has_lost_backend).
    pub(super) fn of(service: Option<ServiceName>, steps: &[Step], failed: bool, lost: bool) -> Self {
        let source_vip =
            |step: &Step| matches!(step.action, Action::CreateEndpoint { purpose: EndpointPurpose::SourceVip, .. });
        let is_affected = |step: &Step| {
            matches!(step.reason, Reason::Missing | Reason::BackendsDiffer | Reason::NoBackends | Reason::HeldByForeign)
        };
        let urgency = match &service {
            // Even if it is infrastructure: a frontend that HNS refuses must not delay the others at every run.
            _ if failed => Urgency::Retry,
            None if steps.iter().any(source_vip) => Urgency::Infrastructure,
            None => Urgency::Unused,
            Some(service) if is_infrastructure(service) => Urgency::Infrastructure,
            Some(_) if lost => Urgency::BackendsLost,
            Some(_) if steps.iter().any(is_affected) => Urgency::Backends,
            Some(_) => Urgency::Rest,
        };
        Self(urgency, service)
    }
}

/// Whether other Services depend on a Service. Pods that cannot resolve names fail even if everything else works.
pub(crate) fn is_infrastructure(service: &ServiceName) -> bool {
    service.is_api_server() || service.is_dns()
}

/// Whether a load balancer on a frontend refers to an endpoint that is gone, or to one that is no longer a backend. `root` is the name of the host's own
/// endpoint, which stands for backends with other addresses.
pub(crate) fn has_lost_backend(frontend: Frontend, desired: &Desired, observed: &Observed, root: &str) -> bool {
    // A frontend that no Service claims has no clients to lose.
    let Some(desired) = desired.frontend(frontend) else { return false };
    let is_backend = |address: &IpAddr| desired.spec.targets.iter().any(|target| target.address() == Some(*address));
    let is_lost = |id: &Guid| match observed.endpoint(*id) {
        Some(endpoint) => endpoint.name != root && !endpoint.addresses.iter().any(is_backend),
        None => true,
    };
    observed.on(frontend).any(|(_, load_balancer)| load_balancer.endpoints.iter().any(is_lost))
}

#[cfg(test)]
mod tests {
    use hcn::schema::Endpoint;

    use super::*;
    use crate::dirty::Subject;
    use crate::identity::Content;

    fn step(reason: Reason) -> Step {
        let address = [10, 0, 0, 1].into();
        let action = Action::DeleteEndpoint { id: hcn::Guid::nil(), address };
        assert_eq!(action.subject(), Subject::Address(address));
        Step { action, service: None, reason }
    }

    #[test]
    fn the_source_vip_is_infrastructure_and_other_endpoints_are_not() {
        let create = |purpose| {
            let (network, id, address) = (Guid::nil(), Guid::nil(), [10, 0, 0, 1].into());
            let (document, content) = (Endpoint::default(), Content::UNKNOWN);
            let action = Action::CreateEndpoint { network, id, address, purpose, document, content };
            Rank::of(
                None,
                &[step(Reason::NotDesired), Step { action, service: None, reason: Reason::Missing }],
                false,
                false,
            )
        };
        assert_eq!(create(EndpointPurpose::SourceVip), Rank(Urgency::Infrastructure, None));
        assert_eq!(create(EndpointPurpose::Backend), Rank(Urgency::Unused, None));
    }

    #[test]
    fn dns_comes_first_and_retries_last() {
        let service = |name: &str| name.split_once('/').map(|(namespace, name)| ServiceName::new(namespace, name));
        let rank = |name: &str, reason, failed| Rank::of(service(name), &[step(reason)], failed, false);
        let mut ranks = [
            Rank::of(service("z/lost"), &[step(Reason::BackendsDiffer)], false, true),
            rank("a/tried", Reason::Missing, true),
            rank("", Reason::NotDesired, false),
            rank("a/edited", Reason::ContentDiffers, false),
            rank("z/down", Reason::Missing, false),
            rank("b/scaled", Reason::BackendsDiffer, false),
            rank("kube-system/kube-dns", Reason::Missing, false),
            rank("default/kubernetes", Reason::ContentDiffers, false),
        ];
        ranks.sort();
        let names: Vec<_> = ranks.iter().map(|Rank(_, service)| service.as_ref().map_or("", |s| &s.name)).collect();
        assert_eq!(names, ["kubernetes", "kube-dns", "lost", "scaled", "down", "edited", "", "tried"]);
    }
}
