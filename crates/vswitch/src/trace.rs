//! The trace of a packet: each rule that decided, in order.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use hcn::Guid;

use crate::{DropReason, Encapsulation, PortId, Tuple};

/// The rules that decided what happens to a packet, in order.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Trace {
    /// The decisions.
    pub steps: Vec<Step>,
}

/// One decision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// The packet entered.
    Entered(PortId, Tuple),
    /// The packet left through a port.
    Left(PortId, Option<Encapsulation>),
    /// The packet was dropped.
    Dropped(DropReason),
    /// A local endpoint has the destination address.
    LocalEndpoint(Guid, IpAddr),
    /// A load balancer selected a backend.
    Backend(Guid, SocketAddr),
}

impl fmt::Display for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.steps.iter().try_for_each(|step| writeln!(f, "{step:?}"))
    }
}
