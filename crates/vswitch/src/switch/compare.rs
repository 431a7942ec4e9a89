//! The comparison of a flow with rules that changed since its last packet.

use super::Switch;
use crate::flows::{Flow, FlowIndex, Key};
use crate::layers::{self, Choice, Refusal};
use crate::trace::Tracer;
use crate::{DropReason, Instant, Tuple};

impl Switch {
    /// Brings a flow up to date with the rules of its port. A flow whose packets are refused stays: its load balancer may come back.
    pub(super) fn compare(
        &mut self,
        index: FlowIndex,
        now: Instant,
        tracer: &mut Tracer<'_>,
    ) -> Result<FlowIndex, Refusal> {
        let flow = self.flows.get(index).ok_or(DropReason::PortRemoved)?;
        let Some(generation) = self.policy.objects.ports.generation(flow.ingress) else {
            self.flows.remove(index);
            return Err(DropReason::PortRemoved.into());
        };
        if flow.generation == generation {
            return Ok(index);
        }
        let tuple = flow.client.tuple();
        let decision = layers::evaluate(&self.policy, flow.ingress, &tuple, Choice::Before(flow), tracer)?;
        let source = self.source(&tuple, &decision, Some(flow), now, tracer)?;
        let to = Tuple { source, destination: decision.destination, ..tuple };
        let compared = Flow {
            server: Key::new(decision.egress, &to.reversed()),
            egress: decision.egress,
            encapsulation: decision.encapsulation,
            reply_encapsulation: decision.reply_encapsulation,
            balanced: decision.balanced,
            generation,
            ..flow.clone()
        };
        match self.flows.get_mut(index) {
            Some(flow) if flow.server == compared.server => {
                *flow = compared;
                Ok(index)
            }
            // The keys differ, so the table must find it by the new ones.
            _ => {
                self.flows.remove(index);
                self.add_flow(compared, now, tracer)
            }
        }
    }
}
