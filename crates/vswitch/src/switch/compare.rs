//! The comparison of a flow with rules that changed since its last packet.

use super::Switch;
use crate::flows::{FlowIndex, Key};
use crate::layers::{self, Refusal};
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
        let (ingress, tuple, progress) = (flow.ingress, flow.client.tuple(), flow.progress);
        let decision = layers::evaluate(&self.policy, ingress, &tuple, Some(flow), tracer)?;
        let source = self.source(&tuple, &decision, Some(flow), now, tracer)?;
        let to = Tuple { source, destination: decision.destination, ..tuple };
        if flow.server != Key::new(decision.egress, &to.reversed()) {
            self.flows.remove(index);
            return self.add_flow(ingress, &tuple, &decision, progress, now, tracer);
        }
        if let Some(flow) = self.flows.get_mut(index) {
            flow.egress = decision.egress;
            flow.encapsulation = decision.encapsulation;
            flow.reply_encapsulation = decision.reply_encapsulation;
            flow.balanced = decision.balanced;
            flow.generation = generation;
        }
        Ok(index)
    }
}
