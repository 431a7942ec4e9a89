//! Decides what to do about the load balancer of one frontend. A pure function.
//!
//! [`decide`] contains every rule; `balancer.rs` gathers its input and turns the decision into steps.

use hcn::Guid;
use hcn::schema::LoadBalancer;

use super::Reason;
use crate::identity::LoadBalancerContent;
use crate::observe::Owner;

/// The desired load balancer of a frontend, or why there is none at present.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum DesiredLoadBalancer {
    /// No Service claims the frontend.
    Unclaimed,
    /// All HNS networks of its backends are missing.
    NetworkMissing,
    /// The Service has no serving backend.
    NoBackends,
    /// There are serving backends, but none has an HNS endpoint.
    NoEndpoints {
        /// Whether an endpoint could not be created, and a retry is due later.
        failed: bool,
    },
    /// A load balancer with these backends.
    LoadBalancer { document: Box<LoadBalancer>, content: LoadBalancerContent },
}

/// A load balancer that HNS has on the frontend. HNS refuses a second one (0x803B0013), except where a load balancer has several
/// addresses or ports, or was created through the other API.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Candidate {
    pub id: Guid,
    pub owner: Owner,
    pub content: LoadBalancerContent,
    /// Whether its deletion failed and may have taken effect.
    pub perhaps_deleted: bool,
    /// Whether all its backends are in the network of the desired backends.
    pub in_network: bool,
    /// Whether `--take-over` is set, and it looks like a load balancer of kube-proxy.
    pub left_by_kube_proxy: bool,
}

/// Everything that the decision on a frontend depends on.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Inputs {
    pub desired: DesiredLoadBalancer,
    pub observed: Vec<Candidate>,
    /// Whether HNS can change the backends of a load balancer in place.
    pub can_modify: bool,
    /// Whether the frontend's load balancer was replaced less than a second ago.
    pub recently_replaced: bool,
    /// Whether the frontend's load balancer has to be replaced because it does not forward.
    pub not_forwarding: bool,
}

/// What to do about the load balancer of a frontend.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Decision {
    /// Change nothing except for deleting surplus load balancers. The frontend has the desired load balancer, or none is desired and there
    /// is none to delete.
    Keep { surplus: Vec<Guid> },
    /// Adopt a foreign load balancer that equals the desired one.
    Adopt { id: Guid, surplus: Vec<Guid> },
    /// Create it: the frontend is free.
    Create { document: Box<LoadBalancer>, content: LoadBalancerContent },
    /// Change its backends in place.
    Modify { id: Guid, document: Box<LoadBalancer>, content: LoadBalancerContent, surplus: Vec<Guid> },
    /// Delete all load balancers on the frontend, then create the desired one.
    Replace { old: Vec<Guid>, document: Box<LoadBalancer>, content: LoadBalancerContent, reason: Reason },
    /// Delete load balancers without a replacement.
    Delete { load_balancers: Vec<(Guid, Reason)> },
    /// Replace it later, because it was replaced less than a second ago.
    Postpone,
    /// Leave HNS as it is until something else has changed.
    Wait(WaitingFor),
}

impl Decision {
    /// Whether the endpoints of the desired backends are needed. Without desired backends it makes no difference.
    pub(super) fn needs_endpoints(&self) -> bool {
        match self {
            Decision::Keep { .. }
            | Decision::Adopt { .. }
            | Decision::Create { .. }
            | Decision::Modify { .. }
            | Decision::Replace { .. } => true,
            Decision::Delete { .. } | Decision::Postpone | Decision::Wait(_) => false,
        }
    }
}

/// What a frontend waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum WaitingFor {
    /// The HNS network of its backends.
    Network,
    /// The retry of an endpoint that could not be created.
    Endpoint,
}

/// Decides on a frontend.
pub(super) fn decide(inputs: Inputs) -> Decision {
    let Inputs { desired, observed, can_modify, recently_replaced, not_forwarding } = inputs;
    let (document, content) = match desired {
        DesiredLoadBalancer::Unclaimed => return decide_unclaimed(&observed),
        // A network that cannot be found is not a deleted network: the CNI may be creating it again. kube-proxy deletes every
        // load balancer when one lookup fails (kubernetes issues 110849, 139519), and so turns a short error into an outage.
        DesiredLoadBalancer::NetworkMissing => return Decision::Wait(WaitingFor::Network),
        // A load balancer needs a backend. The Service owns the frontend, so a foreign load balancer there is deleted too: it would send
        // the Service's clients to backends that are not the Service's.
        DesiredLoadBalancer::NoBackends => {
            return delete(observed.iter().map(|candidate| (candidate.id, Reason::NoBackends)));
        }
        // Backends exist, and the retry of their endpoints is due soon. Until then, a load balancer with old backends
        // is better than none.
        DesiredLoadBalancer::NoEndpoints { failed: true } => return Decision::Wait(WaitingFor::Endpoint),
        // The CNI has not created the endpoints of this node's pods yet, which can take a long time. Our load balancer
        // has only backends that no longer serve, and HNS keeps sending them connections (kubernetes issue 112836). The
        // backends of a foreign one may serve, so it stays until there is something to put in its place.
        DesiredLoadBalancer::NoEndpoints { failed: false } => {
            let ours = observed.iter().filter(|candidate| candidate.owner == Owner::Us);
            return delete(ours.map(|candidate| (candidate.id, Reason::NoBackends)));
        }
        DesiredLoadBalancer::LoadBalancer { document, content } => (document, content),
    };
    let all_but = |kept: Guid| observed.iter().map(|candidate| candidate.id).filter(|id| *id != kept).collect();

    // The content is equal, so a foreign load balancer does the same as ours would. Adopting it needs no call and keeps
    // its connections; a replacement would drop them. If several are equal, one is kept. One that may be deleted already
    // is created again in any case.
    // A load balancer that does not forward is replaced even if it is equal: a replacement makes HNS program the virtual switch again.
    let known = || observed.iter().filter(|candidate| !candidate.perhaps_deleted);
    let kept = || known().filter(|_| !not_forwarding);
    if let Some(equal) = kept().find(|candidate| candidate.content.whole == content.whole) {
        let surplus = all_but(equal.id);
        return match equal.owner {
            Owner::Us => Decision::Keep { surplus },
            Owner::Foreign => Decision::Adopt { id: equal.id, surplus },
        };
    }

    // Only a change of backends is known to take effect in place, and only from HNS 15.5 on: 15.4 reports success and
    // changes nothing (kubernetes issue 131466). It is not known whether a modification can move a load
    // balancer to another network.
    let same_shape = known().find(|candidate| candidate.content.shape == content.shape);
    if let Some(candidate) = same_shape.filter(|candidate| can_modify && candidate.in_network && !not_forwarding) {
        return Decision::Modify { id: candidate.id, document, content, surplus: all_but(candidate.id) };
    }
    // A free frontend has no connections to cut, so a recent replacement does not delay it.
    if observed.is_empty() {
        return Decision::Create { document, content };
    }
    // Each replacement cuts the connections of the frontend. While backends change quickly, as in a rolling update, one
    // replacement per second is enough for all pending changes.
    if recently_replaced {
        return Decision::Postpone;
    }
    // The reason is only reported, and does not affect the plan. The first reason that applies is used: no load balancer is known to exist,
    // it does not forward, only its backends differ, a foreign load balancer has the frontend, or it differs in another way.
    let reason = if known().next().is_none() {
        Reason::Missing
    } else if not_forwarding {
        Reason::NotForwarding
    } else if same_shape.is_some() {
        Reason::BackendsDiffer
    } else if observed.iter().any(|candidate| candidate.owner == Owner::Foreign) {
        Reason::HeldByForeign
    } else {
        Reason::ContentDiffers
    };
    let old = observed.iter().map(|candidate| candidate.id).collect();
    Decision::Replace { old, document, content, reason }
}

/// Decides on a frontend that no Service claims. Foreign load balancers belong to other programs that share HNS, and stay. kube-proxy does
/// not clean up when it exits, so `--take-over` removes what looks like its load balancers.
fn decide_unclaimed(observed: &[Candidate]) -> Decision {
    delete(observed.iter().filter_map(|candidate| match candidate.owner {
        Owner::Us => Some((candidate.id, Reason::NotDesired)),
        Owner::Foreign if candidate.left_by_kube_proxy => Some((candidate.id, Reason::LeftByKubeProxy)),
        Owner::Foreign => None,
    }))
}

fn delete(load_balancers: impl Iterator<Item = (Guid, Reason)>) -> Decision {
    let load_balancers: Vec<_> = load_balancers.collect();
    if load_balancers.is_empty() { Decision::Keep { surplus: Vec::new() } } else { Decision::Delete { load_balancers } }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity;
    use crate::settings::Capabilities;

    const FIRST: Guid = Guid::from_u128(1);
    const SECOND: Guid = Guid::from_u128(2);

    fn document(port: u16, backends: u128) -> LoadBalancer {
        LoadBalancer {
            host_compute_endpoints: (0..backends).map(|id| Guid::from_u128(id).to_string()).collect(),
            port_mappings: vec![hcn::schema::PortMapping { internal_port: port, ..Default::default() }],
            ..LoadBalancer::default()
        }
    }

    fn content(document: &LoadBalancer) -> LoadBalancerContent {
        let capabilities = Capabilities::of(hcn::Version::new(15, 5), hcn::ApiVersion::V2);
        identity::load_balancer_content(document, &capabilities)
    }

    fn desired_document() -> (Box<LoadBalancer>, LoadBalancerContent) {
        let document = document(80, 2);
        let content = content(&document);
        (Box::new(document), content)
    }

    fn load_balancer() -> DesiredLoadBalancer {
        let (document, content) = desired_document();
        DesiredLoadBalancer::LoadBalancer { document, content }
    }

    /// What HNS has, compared to what is desired.
    fn observed(id: Guid, owner: Owner, document: &LoadBalancer) -> Candidate {
        let content = content(document);
        Candidate { id, owner, content, perhaps_deleted: false, in_network: true, left_by_kube_proxy: false }
    }

    fn equal(id: Guid, owner: Owner) -> Candidate {
        observed(id, owner, &document(80, 2))
    }

    fn other_backends(id: Guid, owner: Owner) -> Candidate {
        observed(id, owner, &document(80, 1))
    }

    fn other_port(id: Guid, owner: Owner) -> Candidate {
        observed(id, owner, &document(81, 2))
    }

    fn inputs(desired: DesiredLoadBalancer, observed: &[Candidate]) -> Inputs {
        Inputs {
            desired,
            observed: observed.to_vec(),
            can_modify: true,
            recently_replaced: false,
            not_forwarding: false,
        }
    }

    fn deletes(load_balancers: &[(Guid, Reason)]) -> Decision {
        Decision::Delete { load_balancers: load_balancers.to_vec() }
    }

    #[test]
    fn each_situation_has_its_decision() {
        use DesiredLoadBalancer::{NetworkMissing, NoBackends, NoEndpoints, Unclaimed};
        let (ours, foreign) = (Owner::Us, Owner::Foreign);
        let (document, content) = desired_document();
        let nothing = || Decision::Keep { surplus: vec![] };
        let create = || Decision::Create { document: document.clone(), content };
        let modify = |id, surplus: &[Guid]| Decision::Modify {
            id,
            document: document.clone(),
            content,
            surplus: surplus.into(),
        };
        let replace = |old: &[Guid], reason| {
            let old = old.to_vec();
            Decision::Replace { old, document: document.clone(), content, reason }
        };
        let without_modify = |observed: &[Candidate]| Inputs { can_modify: false, ..inputs(load_balancer(), observed) };
        let recently = |inputs: Inputs| Inputs { recently_replaced: true, ..inputs };
        let not_forwarding = |inputs: Inputs| Inputs { not_forwarding: true, ..inputs };
        let left = Candidate { left_by_kube_proxy: true, ..equal(SECOND, foreign) };
        let uncertain = Candidate { perhaps_deleted: true, ..equal(FIRST, ours) };
        let elsewhere = Candidate { in_network: false, ..other_backends(FIRST, ours) };
        let both = [equal(FIRST, ours), equal(SECOND, foreign)];
        let table = [
            ("unclaimed, free", inputs(Unclaimed, &[]), nothing()),
            ("unclaimed, foreign", inputs(Unclaimed, &[equal(FIRST, foreign)]), nothing()),
            ("unclaimed, ours", inputs(Unclaimed, &both), deletes(&[(FIRST, Reason::NotDesired)])),
            ("unclaimed, kube-proxy's", inputs(Unclaimed, &[left]), deletes(&[(SECOND, Reason::LeftByKubeProxy)])),
            ("network missing", inputs(NetworkMissing, &both), Decision::Wait(WaitingFor::Network)),
            ("no backends, free", inputs(NoBackends, &[]), nothing()),
            (
                "no backends",
                inputs(NoBackends, &both),
                deletes(&[(FIRST, Reason::NoBackends), (SECOND, Reason::NoBackends)]),
            ),
            ("endpoints failed", inputs(NoEndpoints { failed: true }, &both), Decision::Wait(WaitingFor::Endpoint)),
            ("no endpoints", inputs(NoEndpoints { failed: false }, &both), deletes(&[(FIRST, Reason::NoBackends)])),
            ("no endpoints, foreign", inputs(NoEndpoints { failed: false }, &both[1..]), nothing()),
            ("equal", inputs(load_balancer(), &both[..1]), nothing()),
            ("equal, recently replaced", recently(without_modify(&both[..1])), nothing()),
            (
                "equal, does not forward",
                not_forwarding(inputs(load_balancer(), &both[..1])),
                replace(&[FIRST], Reason::NotForwarding),
            ),
            (
                "equal, does not forward, recently replaced",
                not_forwarding(recently(inputs(load_balancer(), &both[..1]))),
                Decision::Postpone,
            ),
            (
                "other backends, does not forward",
                not_forwarding(inputs(load_balancer(), &[other_backends(FIRST, ours)])),
                replace(&[FIRST], Reason::NotForwarding),
            ),
            ("free, does not forward", not_forwarding(inputs(load_balancer(), &[])), create()),
            (
                "equal, and another",
                inputs(load_balancer(), &[other_port(SECOND, foreign), equal(FIRST, ours)]),
                Decision::Keep { surplus: vec![SECOND] },
            ),
            (
                "equal, foreign",
                inputs(load_balancer(), &[equal(FIRST, foreign), other_backends(SECOND, ours)]),
                Decision::Adopt { id: FIRST, surplus: vec![SECOND] },
            ),
            ("equal, perhaps deleted", inputs(load_balancer(), &[uncertain]), replace(&[FIRST], Reason::Missing)),
            ("free", inputs(load_balancer(), &[]), create()),
            ("free, recently replaced", recently(inputs(load_balancer(), &[])), create()),
            ("other backends", inputs(load_balancer(), &[other_backends(FIRST, ours)]), modify(FIRST, &[])),
            ("other backends, foreign", inputs(load_balancer(), &[other_backends(FIRST, foreign)]), modify(FIRST, &[])),
            (
                "other backends, recently replaced",
                recently(inputs(load_balancer(), &[other_backends(FIRST, ours)])),
                modify(FIRST, &[]),
            ),
            (
                "other backends, and another",
                inputs(load_balancer(), &[other_port(SECOND, foreign), other_backends(FIRST, ours)]),
                modify(FIRST, &[SECOND]),
            ),
            (
                "other backends in another network",
                inputs(load_balancer(), &[elsewhere]),
                replace(&[FIRST], Reason::BackendsDiffer),
            ),
            (
                "other backends, without modify",
                without_modify(&[other_backends(FIRST, ours)]),
                replace(&[FIRST], Reason::BackendsDiffer),
            ),
            (
                "other port",
                inputs(load_balancer(), &[other_port(FIRST, ours)]),
                replace(&[FIRST], Reason::ContentDiffers),
            ),
            (
                "other port, foreign",
                inputs(load_balancer(), &[other_port(FIRST, ours), other_port(SECOND, foreign)]),
                replace(&[FIRST, SECOND], Reason::HeldByForeign),
            ),
            (
                "other port, recently replaced",
                recently(inputs(load_balancer(), &[other_port(FIRST, ours)])),
                Decision::Postpone,
            ),
        ];
        for (situation, inputs, expected) in table {
            assert_eq!(decide(inputs), expected, "{situation}");
        }
    }
}
