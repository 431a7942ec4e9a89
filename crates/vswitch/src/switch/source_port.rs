//! The source of translated packets: an address with a port that no other flow to the same backend has.

use std::net::SocketAddr;
use std::ops::RangeInclusive;

use super::Switch;
use crate::flows::{Flow, Key};
use crate::hash::Hash;
use crate::layers::Decision;
use crate::trace::{Step, Tracer};
use crate::{DropReason, Instant, Tuple};

/// The ports of translated sources: the dynamic ports of Windows. HNS reserves the ones it uses, so connections of the node itself should have
/// other ports.
pub const SOURCE_PORTS: RangeInclusive<u16> = 49152..=65535;

impl Switch {
    /// The source of the packets of a flow after translation. A flow keeps its port as long as nothing else of it changes.
    pub(super) fn source(
        &self,
        tuple: &Tuple,
        decision: &Decision,
        before: Option<&Flow>,
        now: Instant,
        tracer: &mut Tracer<'_>,
    ) -> Result<SocketAddr, DropReason> {
        let Some((address, reason)) = decision.source else { return Ok(tuple.source) };
        let key = |source| {
            let to = Tuple { source, destination: decision.destination, ..*tuple };
            Key::new(decision.egress, &to.reversed())
        };
        let kept = before
            .map(|flow| flow.server.tuple().destination)
            .filter(|source| source.ip() == address && before.is_some_and(|flow| flow.server == key(*source)));
        let is_free = |source: &SocketAddr| {
            let other = self.flows.find(&key(*source)).and_then(|(index, _)| self.flows.get(index));
            other.is_none_or(|flow| flow.is_expired(now))
        };
        let source = kept.or_else(|| candidates(tuple).map(|port| SocketAddr::new(address, port)).find(is_free));
        let source = source.ok_or(DropReason::NoSourcePort)?;
        tracer.record(|| Step::Source(reason, source));
        Ok(source)
    }
}

/// All source ports, from one that depends on the flow, so that the first one is usually free.
fn candidates(tuple: &Tuple) -> impl Iterator<Item = u16> {
    let (first, count) = (*SOURCE_PORTS.start(), SOURCE_PORTS.len() as u64);
    let start = Hash::new().socket(tuple.source).socket(tuple.destination).finish() % count;
    (0..count).map(move |step| first + ((start + step) % count) as u16)
}
