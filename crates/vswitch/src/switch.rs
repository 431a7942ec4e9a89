//! The switch: changes in, packets through.

use std::net::IpAddr;

use hcn::Guid;
use hcn::schema::Endpoint;
use rustc_hash::FxHashMap;

use crate::trace::Step;
use crate::{Assumptions, Change, Delivery, DropReason, Instant, Node, PortId, Trace, Verdict, packet};

/// The virtual switch of one node.
#[derive(Debug)]
pub struct Switch {
    node: Node,
    assumptions: Assumptions,
    endpoints: FxHashMap<Guid, Endpoint>,
    locals: FxHashMap<IpAddr, Guid>,
}

impl Switch {
    /// A switch without networks.
    pub fn new(node: Node, assumptions: Assumptions) -> Self {
        Self { node, assumptions, endpoints: FxHashMap::default(), locals: FxHashMap::default() }
    }

    /// The assumptions that the switch was created with.
    pub fn assumptions(&self) -> &Assumptions {
        &self.assumptions
    }

    /// Whether the switch has a port.
    pub fn has_port(&self, port: PortId) -> bool {
        match port {
            PortId::Host | PortId::Uplink | PortId::Tunnel => true,
            PortId::Endpoint(id) => self.endpoints.get(&id).is_some_and(|endpoint| !endpoint.is_remote()),
        }
    }

    /// Takes a change of HNS. Flows are compared with it when their next packet comes.
    pub fn apply(&mut self, change: Change) {
        if let Change::Endpoint(id, document) = change {
            if let Some(old) = self.endpoints.remove(&id) {
                old.addresses().for_each(|address| {
                    self.locals.remove(&address);
                });
            }
            if let Some(endpoint) = document {
                if !endpoint.is_remote() {
                    endpoint.addresses().for_each(|address| {
                        self.locals.insert(address, id);
                    });
                }
                self.endpoints.insert(id, *endpoint);
            }
        }
    }

    /// Forwards an IP packet that enters through a port. `now` must not decrease.
    pub fn process(&mut self, port: PortId, packet: &[u8], now: Instant) -> Verdict {
        self.forward(port, packet, now, &mut Trace::default())
    }

    /// Like [`Self::process`], with each rule that decided.
    pub fn process_with_trace(&mut self, port: PortId, packet: &[u8], now: Instant) -> (Verdict, Trace) {
        let mut trace = Trace::default();
        let verdict = self.forward(port, packet, now, &mut trace);
        (verdict, trace)
    }

    fn forward(&mut self, port: PortId, packet: &[u8], _now: Instant, trace: &mut Trace) -> Verdict {
        if !self.has_port(port) {
            return Verdict::Drop(DropReason::UnknownPort);
        }
        let Some(header) = packet::read(packet) else { return Verdict::Drop(DropReason::Malformed) };
        trace.steps.push(Step::Entered(port, header.tuple));
        let destination = header.tuple.destination.ip();
        let to = match self.locals.get(&destination) {
            Some(&id) => PortId::Endpoint(id),
            None if self.node.addresses.contains(&destination) => PortId::Host,
            None if matches!(port, PortId::Uplink | PortId::Tunnel) => return Verdict::Drop(DropReason::NotLocal),
            None => PortId::Uplink,
        };
        Verdict::Deliver(Delivery { port: to, packet: packet.to_vec(), encapsulation: None })
    }

    /// Removes flows that have been idle for too long. Packets of such flows are treated as those of new flows even before.
    pub fn expire(&mut self, _now: Instant) {}
}
