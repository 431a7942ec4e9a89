//! The layer of load balancing: the rule of a frontend, and the backend of a flow.

use std::net::SocketAddr;

use crate::assumptions::{ExternalFlag, Modification, NodePortAddresses, Recreation, RemovedBackend, Selection};
use crate::flows::Balanced;
use crate::hash;
use crate::objects::PortIndex;
use crate::policy::Policy;
use crate::rules::{Backend, Frontend, Revision, Rule};
use crate::trace::{Comparison, MatchedRule, SelectedBackend, Skip, Step, Tracer};
use crate::{DropReason, Tuple};

use super::{Choice, Refusal};

/// What the rules say about a destination.
pub(super) enum Lookup<'a> {
    Rule(&'a Rule, Revision),
    /// The destination had a load balancer that is missing.
    Missing,
    None,
}

/// The rule that a packet matches. A load balancer with a VIP comes before one without.
pub(super) fn lookup<'a>(policy: &'a Policy, ingress: PortIndex, tuple: &Tuple, tracer: &mut Tracer<'_>) -> Lookup<'a> {
    let destination = tuple.destination;
    let of_vip = Frontend { protocol: tuple.protocol, address: destination.ip(), port: destination.port() };
    let of_node = is_node_port_address(policy, &of_vip).then(|| of_vip.of_node());
    let mut is_missing = false;
    for frontend in [Some(of_vip), of_node].into_iter().flatten() {
        let rules = policy.rules.of(&frontend);
        is_missing |= rules.is_some_and(|rules| rules.is_empty() || !policy.has_rules());
        for (rule, revision) in rules.unwrap_or_default().iter().filter(|_| policy.has_rules()) {
            match skip(policy, rule, ingress) {
                Some(skip) => tracer.record(|| Step::Skipped(rule.load_balancer, skip)),
                None => {
                    tracer.record(|| Step::Frontend(matched(rule)));
                    return Lookup::Rule(rule, *revision);
                }
            }
        }
    }
    if is_missing {
        tracer.record(|| Step::MissingLoadBalancer(policy.assumptions.gap.answer()));
        return Lookup::Missing;
    }
    tracer.record(|| Step::NoFrontend);
    Lookup::None
}

fn is_node_port_address(policy: &Policy, frontend: &Frontend) -> bool {
    match policy.assumptions.node_port {
        NodePortAddresses::All => policy.node.addresses.contains(&frontend.address),
        NodePortAddresses::Management => policy.node.management_address(frontend.address) == Some(frontend.address),
    }
}

fn skip(policy: &Policy, rule: &Rule, ingress: PortIndex) -> Option<Skip> {
    if rule.is_internal && ingress.is_outside() {
        return Some(Skip::Internal);
    }
    // Rules with direct server return are on the ports of their network. Other rules are on the host port, which packets of pods pass.
    let network = policy.objects.ports.network(ingress);
    let is_of_other = rule.is_dsr && network.is_some() && rule.network.is_some() && network != rule.network;
    is_of_other.then_some(Skip::OtherNetwork)
}

fn matched(rule: &Rule) -> MatchedRule {
    MatchedRule {
        load_balancer: rule.load_balancer,
        protocol: rule.frontend.protocol,
        vip: rule.frontend.address,
        port: rule.frontend.port,
        is_dsr: rule.is_dsr,
    }
}

/// The backend of a flow: that of before, if there is one and the assumptions let the flow stay on it; otherwise the given one, or one that the
/// hash selects.
pub(super) fn backend(
    policy: &Policy,
    rule: &Rule,
    revision: Revision,
    tuple: &Tuple,
    choice: Choice<'_>,
    tracer: &mut Tracer<'_>,
) -> Result<SocketAddr, Refusal> {
    let before = match choice {
        Choice::Before(flow) => flow.balanced.as_ref(),
        Choice::New | Choice::Given(_) => None,
    };
    let stays = match before {
        Some(before) => continues(policy, rule, revision, before, tracer)?,
        None => false,
    };
    let (address, by) = match before.filter(|_| stays) {
        Some(before) => (SocketAddr::from(before.backend), "the flow stays"),
        None => {
            let selection = policy.assumptions.selection;
            let selected = match choice {
                Choice::Given(address) => rule.backends.iter().find(|backend| backend.address == address),
                Choice::New | Choice::Before(_) => select(selection, rule, tuple),
            };
            (selected.ok_or(Refusal::Drop(DropReason::NoBackend))?.address, selection.answer())
        }
    };
    tracer.record(|| {
        let endpoint = rule.backends.iter().find(|backend| backend.address == address).map(|backend| backend.endpoint);
        Step::Backend(SelectedBackend { endpoint, address, of: rule.backends.len(), by })
    });
    Ok(address)
}

/// Whether a flow stays on its backend.
fn continues(
    policy: &Policy,
    rule: &Rule,
    revision: Revision,
    before: &Balanced,
    tracer: &mut Tracer<'_>,
) -> Result<bool, Refusal> {
    let assumptions = &policy.assumptions;
    let is_same = before.load_balancer == rule.load_balancer && before.revision.created == revision.created;
    if is_same && before.revision.modified == revision.modified {
        tracer.record(|| Step::Compared(Comparison::Unchanged));
        return Ok(true);
    }
    let address = SocketAddr::from(before.backend);
    let is_listed = rule.backends.iter().any(|backend| backend.address == address);
    let (stays, answer) = if !is_listed {
        let removed = assumptions.removed_backend;
        (removed == RemovedBackend::Stays, removed.answer())
    } else if rule.has_external_flag && assumptions.external_flag == ExternalFlag::Keeps {
        (true, assumptions.external_flag.answer())
    } else if is_same {
        (assumptions.modification == Modification::Stays, assumptions.modification.answer())
    } else {
        (assumptions.recreation == Recreation::Stays, assumptions.recreation.answer())
    };
    tracer.record(|| Step::Compared(Comparison::Assumed(answer)));
    if !is_listed && assumptions.removed_backend == RemovedBackend::Drops {
        return Err(Refusal::Drop(DropReason::BackendRemoved));
    }
    Ok(stays)
}

fn select<'a>(selection: Selection, rule: &'a Rule, tuple: &Tuple) -> Option<&'a Backend> {
    let hash = hash::of_flow(rule.distribution, tuple);
    match selection {
        Selection::Modulo => {
            let number = hash.finish().checked_rem(rule.backends.len() as u64)?;
            rule.backends.get(number as usize)
        }
        Selection::Rendezvous => rule.backends.iter().max_by_key(|backend| hash.socket(backend.address).finish()),
    }
}
