//! The layer of source translation: whether the source address of a packet changes, and to which.

use std::net::IpAddr;

use hcn::Guid;

use crate::objects::{OutboundNat, PortIndex};
use crate::policy::Policy;
use crate::rules::Rule;
use crate::trace::SourceReason;
use crate::{DropReason, PortId};

/// The new source address of a packet to a backend, before it is known where the packet leaves.
pub(super) fn of_rule(
    policy: &Policy,
    rule: &Rule,
    ingress: PortIndex,
    family: IpAddr,
) -> Result<Option<(IpAddr, SourceReason)>, DropReason> {
    let is_overlay = policy.objects.is_overlay(rule.network);
    let reason = match rule.is_dsr {
        false => SourceReason::NoDsr,
        true if ingress == PortIndex::HOST && is_overlay => SourceReason::NodeInOverlay,
        true => return Ok(None),
    };
    let source_vip = rule.source_vip.filter(|address| address.is_ipv4() == family.is_ipv4());
    let address = match source_vip {
        Some(address) => Some(address),
        None if is_overlay => None,
        None => policy.node.management_address(family),
    };
    address.map(|address| Some((address, reason))).ok_or(DropReason::NoSourceVip)
}

/// The new source address of a packet that a pod sends to itself through a load balancer.
pub(super) fn of_loopback(
    policy: &Policy,
    ingress: PortIndex,
    destination: IpAddr,
) -> Result<(IpAddr, SourceReason), DropReason> {
    let mut loopbacks =
        policies(policy, ingress).filter(|nat| nat.is_for_destinations() && nat.applies_to(destination));
    let address = loopbacks.find_map(|nat| address(policy, nat, destination));
    address.map(|address| (address, SourceReason::Loopback)).ok_or(DropReason::Hairpin)
}

/// The new source address of a packet of a pod that leaves the node.
pub(super) fn of_outbound(policy: &Policy, ingress: PortIndex, destination: IpAddr) -> Option<(IpAddr, SourceReason)> {
    let mut applying = policies(policy, ingress).filter(|nat| nat.applies_to(destination));
    let address = applying.find_map(|nat| address(policy, nat, destination));
    address.map(|address| (address, SourceReason::OutboundNat))
}

fn policies(policy: &Policy, ingress: PortIndex) -> impl Iterator<Item = &OutboundNat> {
    let endpoint: Option<Guid> = match policy.objects.ports.id(ingress) {
        Some(PortId::Endpoint(id)) => Some(id),
        _ => None,
    };
    endpoint.and_then(|id| policy.objects.endpoint(id)).into_iter().flat_map(|endpoint| &endpoint.nat)
}

fn address(policy: &Policy, nat: &OutboundNat, family: IpAddr) -> Option<IpAddr> {
    match nat.virtual_ip {
        Some(address) => (address.is_ipv4() == family.is_ipv4()).then_some(address),
        None => policy.node.management_address(family),
    }
}
