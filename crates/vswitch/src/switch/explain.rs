//! What would happen to the first packet of a flow, without a packet.

use std::net::{IpAddr, SocketAddr};

use super::Switch;
use crate::assumptions::Gap;
use crate::layers::{self, Choice, Refusal};
use crate::objects::PortIndex;
use crate::rules::{Backend, Frontend};
use crate::trace::{Step, Tracer};
use crate::{DropReason, Instant, PortId, Trace, Tuple};

/// What would happen to the first packet of a flow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explanation {
    /// Each rule that decides, in order. The last step is [`Step::Left`], [`Step::Reset`] or [`Step::Dropped`].
    pub trace: Trace,
    /// The backends of the load balancer that matches; empty if none does. The trace has the one that is selected.
    pub backends: Vec<Backend>,
}

impl Switch {
    /// The port through which packets with a source address enter.
    pub fn port_of(&self, source: IpAddr) -> PortId {
        let objects = &self.policy.objects;
        match objects.endpoint_with(source, None) {
            Some((id, state)) if !state.is_remote => {
                let port = objects.port_of(id).and_then(|port| objects.ports.id(port));
                port.unwrap_or(PortId::Endpoint(id))
            }
            _ if self.policy.node.addresses.contains(&source) => PortId::Host,
            Some((_, state)) if objects.is_overlay(state.network) => PortId::Tunnel,
            // A pod of another node may have no remote endpoint: only backends need one.
            None if objects.has_remote_subnet(source) => PortId::Tunnel,
            _ => PortId::Uplink,
        }
    }

    /// What would happen to the first packet of a flow with these addresses. Flows with the same addresses are ignored.
    pub fn explain(&self, port: PortId, tuple: &Tuple, now: Instant) -> Explanation {
        let trace = self.trace(port, tuple, Choice::New, now);
        let backends = self.backends(&trace);
        Explanation { trace, backends }
    }

    /// As [`Self::explain`], for a flow for which the load balancer selects this backend, one of [`Explanation::backends`].
    pub fn explain_backend(&self, port: PortId, tuple: &Tuple, backend: SocketAddr, now: Instant) -> Trace {
        self.trace(port, tuple, Choice::Given(backend), now)
    }

    fn trace(&self, port: PortId, tuple: &Tuple, choice: Choice<'_>, now: Instant) -> Trace {
        let mut trace = Trace::default();
        let mut tracer = Tracer(Some(&mut trace));
        tracer.record(|| Step::Entered(port, *tuple));
        let end = match self.policy.objects.ports.find(port) {
            Some(ingress) => self.end(ingress, tuple, choice, now, &mut tracer),
            None => Step::Dropped(DropReason::UnknownPort),
        };
        tracer.record(|| end);
        trace
    }

    fn end(
        &self,
        ingress: PortIndex,
        tuple: &Tuple,
        choice: Choice<'_>,
        now: Instant,
        tracer: &mut Tracer<'_>,
    ) -> Step {
        let decided = layers::evaluate(&self.policy, ingress, tuple, choice, tracer).and_then(|decision| {
            let source = self.source(tuple, &decision, None, now, tracer)?;
            let port = self.policy.objects.ports.id(decision.egress).ok_or(DropReason::PortRemoved)?;
            let sent = Tuple { source, destination: decision.destination, ..*tuple };
            Ok(Step::Left(port, sent, decision.encapsulation))
        });
        match decided {
            Ok(left) => left,
            Err(Refusal::Gap) if self.policy.assumptions.gap == Gap::Reset => Step::Reset,
            Err(Refusal::Gap) => Step::Dropped(DropReason::NoLoadBalancer),
            Err(Refusal::Drop(reason)) => Step::Dropped(reason),
        }
    }

    fn backends(&self, trace: &Trace) -> Vec<Backend> {
        let mut rules = trace.steps.iter().filter_map(|step| match step {
            Step::Frontend(rule) => Some(rule),
            _ => None,
        });
        let Some(matched) = rules.next() else { return Vec::new() };
        let frontend = Frontend { protocol: matched.protocol, address: matched.vip, port: matched.port };
        let of_frontend = self.policy.rules.of(&frontend).unwrap_or_default();
        let rule = of_frontend.iter().find(|(rule, _)| rule.load_balancer == matched.load_balancer);
        rule.map(|(rule, _)| rule.backends.clone()).unwrap_or_default()
    }
}
