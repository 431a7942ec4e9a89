//! The switch: changes in, packets through.

mod compare;
mod explain;
mod source_port;

use crate::assumptions::{Gap, ReplyConflict};
use crate::flows::{Direction, Flow, FlowIndex, Flows, Key, Progress};
use crate::layers::{self, Choice, Decision, Refusal};
use crate::objects::PortIndex;
use crate::packet::{self, Header};
use crate::policy::Policy;
use crate::trace::{FlowMatch, Step, Tracer};
use crate::{Assumptions, Change, Delivery, DropReason, Encapsulation, Instant, Node, PortId, Trace, Tuple, Verdict};

pub use explain::Explanation;
pub use source_port::SOURCE_PORTS;

/// The virtual switch of one node.
#[derive(Debug)]
pub struct Switch {
    policy: Policy,
    flows: Flows,
}

/// How a packet leaves.
type Exit = (PortIndex, Tuple, Option<Encapsulation>);

impl Switch {
    /// A switch without networks.
    pub fn new(node: Node, assumptions: Assumptions) -> Self {
        Self { policy: Policy::new(node, assumptions), flows: Flows::default() }
    }

    /// The assumptions that the switch was created with.
    pub fn assumptions(&self) -> &Assumptions {
        &self.policy.assumptions
    }

    /// Whether the switch has a port.
    pub fn has_port(&self, port: PortId) -> bool {
        self.policy.objects.ports.find(port).is_some()
    }

    /// The number of flows in the flow table.
    pub fn flow_count(&self) -> usize {
        self.flows.len()
    }

    /// Takes a change of HNS. Flows are compared with it when their next packet comes.
    pub fn apply(&mut self, change: Change) {
        self.policy.apply(change);
    }

    /// Forwards an IP packet that enters through a port. `now` must not decrease.
    pub fn process(&mut self, port: PortId, packet: &[u8], now: Instant) -> Verdict {
        self.forward(port, packet, now, &mut Tracer(None))
    }

    /// Like [`Self::process`], with each rule that decided.
    pub fn process_with_trace(&mut self, port: PortId, packet: &[u8], now: Instant) -> (Verdict, Trace) {
        let mut trace = Trace::default();
        let verdict = self.forward(port, packet, now, &mut Tracer(Some(&mut trace)));
        (verdict, trace)
    }

    /// Removes flows that have been idle for too long, to free their memory. Verdicts do not depend on it.
    pub fn expire(&mut self, now: Instant) {
        self.flows.expire(now);
    }

    fn forward(&mut self, port: PortId, packet: &[u8], now: Instant, tracer: &mut Tracer<'_>) -> Verdict {
        let Some(ingress) = self.policy.objects.ports.find(port) else {
            return dropped(DropReason::UnknownPort, tracer);
        };
        let Some(header) = packet::read(packet) else { return dropped(DropReason::Malformed, tracer) };
        tracer.record(|| Step::Entered(port, header.tuple));
        match self.exit(ingress, &header, now, tracer) {
            Ok(exit) => self.deliver(packet, exit, tracer),
            Err(Refusal::Drop(reason)) => dropped(reason, tracer),
            Err(Refusal::Gap) => match packet::reset(packet).filter(|_| self.policy.assumptions.gap == Gap::Reset) {
                Some(reset) => {
                    tracer.record(|| Step::Reset);
                    Verdict::Reply(reset)
                }
                None => dropped(DropReason::NoLoadBalancer, tracer),
            },
        }
    }

    fn deliver(&self, packet: &[u8], (egress, tuple, encapsulation): Exit, tracer: &mut Tracer<'_>) -> Verdict {
        let Some(port) = self.policy.objects.ports.id(egress) else {
            return dropped(DropReason::PortRemoved, tracer);
        };
        match packet::rewrite(packet, &tuple) {
            Some(packet) => {
                tracer.record(|| Step::Left(port, tuple, encapsulation));
                Verdict::Deliver(Delivery { port, packet, encapsulation })
            }
            None => dropped(DropReason::Malformed, tracer),
        }
    }

    /// Decides how a packet leaves: by its flow, or by the layers.
    fn exit(
        &mut self,
        ingress: PortIndex,
        header: &Header,
        now: Instant,
        tracer: &mut Tracer<'_>,
    ) -> Result<Exit, Refusal> {
        let key = Key::new(ingress, &header.tuple);
        if let Some((index, direction)) = self.live_flow(&key, header, now, tracer) {
            tracer.record(|| {
                Step::Flow(if direction == Direction::Client { FlowMatch::Client } else { FlowMatch::Reply })
            });
            let index = self.compare(index, now, tracer).map_err(|refusal| refusal.for_direction(direction))?;
            if let Some(flow) = self.flows.get_mut(index)
                && *flow.key(direction) == key
            {
                flow.record(direction, header.flags, now);
                return Ok(flow.exit(direction));
            }
            // The flow has another backend now, and this is a reply of the old one.
        }
        self.first_packet(ingress, header, now, tracer)
    }

    /// The flow of a packet. A flow that has expired, or that the packet replaces, is removed.
    fn live_flow(
        &mut self,
        key: &Key,
        header: &Header,
        now: Instant,
        tracer: &mut Tracer<'_>,
    ) -> Option<(FlowIndex, Direction)> {
        let (index, direction) = self.flows.find(key)?;
        let flow = self.flows.get(index)?;
        if flow.is_expired(now) {
            self.flows.remove(index);
            return None;
        }
        // Nothing is known of the connection yet that should stay, even if this is the first packet again.
        if header.flags.opens() {
            tracer.record(|| Step::Reopened);
            self.flows.remove(index);
            return None;
        }
        Some((index, direction))
    }

    fn first_packet(
        &mut self,
        ingress: PortIndex,
        header: &Header,
        now: Instant,
        tracer: &mut Tracer<'_>,
    ) -> Result<Exit, Refusal> {
        let decision = layers::evaluate(&self.policy, ingress, &header.tuple, Choice::New, tracer)?;
        if !needs_flow(header, &decision) {
            tracer.record(|| Step::Flow(FlowMatch::Stateless));
            return Ok((decision.egress, header.tuple, decision.encapsulation));
        }
        tracer.record(|| Step::Flow(FlowMatch::New));
        let source = self.source(&header.tuple, &decision, None, now, tracer)?;
        let to = Tuple { source, destination: decision.destination, ..header.tuple };
        let generation = self.policy.objects.ports.generation(ingress).unwrap_or_default();
        let mut flow = Flow {
            client: Key::new(ingress, &header.tuple),
            server: Key::new(decision.egress, &to.reversed()),
            ingress,
            egress: decision.egress,
            encapsulation: decision.encapsulation,
            reply_encapsulation: decision.reply_encapsulation,
            balanced: decision.balanced,
            generation,
            last_packet: now,
            progress: Progress::default(),
        };
        flow.record(Direction::Client, header.flags, now);
        let exit = flow.exit(Direction::Client);
        self.add_flow(flow, now, tracer)?;
        Ok(exit)
    }

    /// Adds a flow, after the conflict with one that has its reply addresses is resolved.
    fn add_flow(&mut self, flow: Flow, now: Instant, tracer: &mut Tracer<'_>) -> Result<FlowIndex, Refusal> {
        if let Some((other, _)) = self.flows.find(&flow.server) {
            let is_live = self.flows.get(other).is_some_and(|flow| !flow.is_expired(now));
            if is_live {
                let assumed = self.policy.assumptions.reply_conflict;
                tracer.record(|| Step::Conflict(assumed.answer()));
                if assumed == ReplyConflict::OldestWins {
                    return Err(DropReason::ReplyConflict.into());
                }
            }
            self.flows.remove(other);
        }
        Ok(self.flows.add(flow))
    }
}

/// Whether later packets depend on a flow. Of TCP connections that are only forwarded, the beginning may be unknown: a flow would then take
/// the client for the server.
fn needs_flow(header: &Header, decision: &Decision) -> bool {
    let is_translated = decision.balanced.is_some() || decision.source.is_some();
    header.has_ports() && (is_translated || header.flags.opens() || !header.is_tcp())
}

fn dropped(reason: DropReason, tracer: &mut Tracer<'_>) -> Verdict {
    tracer.record(|| Step::Dropped(reason));
    Verdict::Drop(reason)
}
