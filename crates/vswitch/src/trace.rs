//! The trace of a packet: each rule that decided, in order.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use hcn::Guid;
use hcn::schema::Protocol;
use ipnet::IpNet;

use crate::{DropReason, Encapsulation, PortId, Tuple};

/// The rules that decided what happens to a packet, in order.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Trace {
    /// The decisions.
    pub steps: Vec<Step>,
}

/// The part of the switch that made a decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Layer {
    /// Where packets enter and leave.
    Port,
    /// What is known of the flow of the packet.
    FlowTable,
    /// The rules of load balancers.
    LoadBalancing,
    /// The translation of the source address.
    SourceTranslation,
    /// The choice of the port through which the packet leaves.
    Forwarding,
}

/// One decision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// The packet entered through a port.
    Entered(PortId, Tuple),
    /// The packet belongs to a flow, as one of the client or as a reply.
    Flow(FlowMatch),
    /// The flow was compared with rules that changed since its last packet. A reason names the assumption.
    Compared(Comparison),
    /// The packet opens a connection, so a flow with the same addresses was forgotten.
    Reopened,
    /// Two flows have the same reply addresses. The assumption says which one stays.
    Conflict(&'static str),
    /// No load balancer has the destination as a frontend.
    NoFrontend,
    /// The destination had a load balancer that is missing. The assumption says what happens.
    MissingLoadBalancer(&'static str),
    /// A load balancer has the destination, but its rule does not apply to the port.
    Skipped(Guid, Skip),
    /// The rule of a load balancer matches.
    Frontend(MatchedRule),
    /// A backend was selected by an assumed method, out of a number of backends.
    Backend(SelectedBackend),
    /// The destination address stays that of the frontend.
    DestinationPreserved,
    /// The source is translated.
    Source(SourceReason, SocketAddr),
    /// An `OutBoundNAT` policy applies to the destination, but the packet stays on the node.
    SourceKept,
    /// Why the packet leaves through its port.
    Route(Route),
    /// The packet left, with the addresses that it has now.
    Left(PortId, Tuple, Option<Encapsulation>),
    /// The switch answered with a TCP reset.
    Reset,
    /// The packet was dropped.
    Dropped(DropReason),
}

/// How a packet matches a flow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FlowMatch {
    /// It is the first packet of a flow.
    New,
    /// It is a packet of the client.
    Client,
    /// It is a reply.
    Reply,
    /// It belongs to no flow, and no flow is needed to forward it.
    Stateless,
}

/// What became of a flow whose rules changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Comparison {
    /// Its rule is the same.
    Unchanged,
    /// Its load balancer was modified or created again. The assumption says what becomes of the flow.
    Assumed(&'static str),
}

/// Why a rule with the destination of a packet does not apply to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Skip {
    /// The load balancer is internal, and the packet comes from outside.
    Internal,
    /// The port belongs to another network.
    OtherNetwork,
}

/// The rule of a load balancer that matches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct MatchedRule {
    /// The load balancer.
    pub load_balancer: Guid,
    /// The protocol.
    pub protocol: Protocol,
    /// The VIP; the unspecified address if the load balancer has none, and so every address of the node.
    pub vip: IpAddr,
    /// The external port.
    pub port: u16,
    /// Whether the load balancer has direct server return.
    pub is_dsr: bool,
}

/// A backend that a load balancer selected, or kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SelectedBackend {
    /// The endpoint; `None` if the flow stays on a backend that its load balancer no longer has.
    pub endpoint: Option<Guid>,
    /// The address and the internal port.
    pub address: SocketAddr,
    /// The number of backends to choose from.
    pub of: usize,
    /// How it was selected: the answer of an assumption.
    pub by: &'static str,
}

/// Why a source address is translated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SourceReason {
    /// The load balancer has no direct server return.
    NoDsr,
    /// The client is the node, and the backend is in an overlay network.
    NodeInOverlay,
    /// The backend is the client, and its endpoint has an `OutBoundNAT` policy for its own address (loopback DSR).
    Loopback,
    /// The endpoint has an `OutBoundNAT` policy that applies to the destination.
    OutboundNat,
}

/// Why a packet leaves through its port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Route {
    /// A local endpoint has the address.
    LocalEndpoint(Guid),
    /// The address is one of the node.
    Node,
    /// A remote endpoint has the address.
    RemoteEndpoint(Guid),
    /// A remote subnet of an overlay network has the address.
    RemoteSubnet(IpNet),
    /// Nothing in HNS has the address, so the physical network gets the packet.
    PhysicalNetwork,
}

impl Step {
    /// The layer that decided.
    pub fn layer(&self) -> Layer {
        match self {
            Self::Entered(..) | Self::Left(..) | Self::Reset | Self::Dropped(_) => Layer::Port,
            Self::Flow(_) | Self::Compared(_) | Self::Reopened | Self::Conflict(_) => Layer::FlowTable,
            Self::NoFrontend
            | Self::MissingLoadBalancer(_)
            | Self::Skipped(..)
            | Self::Frontend(_)
            | Self::Backend(_)
            | Self::DestinationPreserved => Layer::LoadBalancing,
            Self::Source(..) | Self::SourceKept => Layer::SourceTranslation,
            Self::Route(_) => Layer::Forwarding,
        }
    }
}

impl fmt::Display for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Port => "port",
            Self::FlowTable => "flow table",
            Self::LoadBalancing => "load balancing",
            Self::SourceTranslation => "source translation",
            Self::Forwarding => "forwarding",
        })
    }
}

impl fmt::Display for SourceReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoDsr => "no direct server return",
            Self::NodeInOverlay => "the client is the node, in an overlay network",
            Self::Loopback => "the backend is the client, loopback policy",
            Self::OutboundNat => "OutBoundNAT policy",
        })
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Entered(port, tuple) => write!(f, "{tuple} enters from {port}"),
            Self::Flow(FlowMatch::New) => f.write_str("new flow"),
            Self::Flow(FlowMatch::Client) => f.write_str("known flow, packet of the client"),
            Self::Flow(FlowMatch::Reply) => f.write_str("known flow, reply"),
            Self::Flow(FlowMatch::Stateless) => f.write_str("no flow, and none is needed"),
            Self::Compared(Comparison::Unchanged) => f.write_str("rules changed, not that of the flow"),
            Self::Compared(Comparison::Assumed(answer)) => write!(f, "rule of the flow changed; assumed: {answer}"),
            Self::Reopened => f.write_str("the packet opens a connection: the old flow is forgotten"),
            Self::Conflict(answer) => write!(f, "another flow has the same reply addresses; assumed: {answer}"),
            Self::NoFrontend => f.write_str("no load balancer has the destination"),
            Self::MissingLoadBalancer(answer) => write!(f, "the load balancer is missing; assumed: {answer}"),
            Self::Skipped(id, Skip::Internal) => {
                write!(f, "load balancer {id} is internal, and the packet comes from outside")
            }
            Self::Skipped(id, Skip::OtherNetwork) => write!(f, "load balancer {id} belongs to another network"),
            Self::Frontend(rule) => {
                let MatchedRule { load_balancer, protocol, vip, port, is_dsr } = rule;
                let dsr = if *is_dsr { ", direct server return" } else { "" };
                let frontend = SocketAddr::new(*vip, *port);
                write!(f, "load balancer {load_balancer}, {protocol} {frontend}{dsr}")
            }
            Self::Backend(SelectedBackend { endpoint, address, of, by }) => {
                write!(f, "backend {address}")?;
                if let Some(endpoint) = endpoint {
                    write!(f, " (endpoint {endpoint})")?;
                }
                write!(f, ", one of {of}; assumed: {by}")
            }
            Self::DestinationPreserved => f.write_str("the destination is preserved"),
            Self::Source(reason, address) => write!(f, "source becomes {address}: {reason}"),
            Self::SourceKept => f.write_str("the source stays: OutBoundNAT policy, but the packet stays on the node"),
            Self::Route(Route::LocalEndpoint(id)) => write!(f, "to local endpoint {id}"),
            Self::Route(Route::Node) => f.write_str("to the node"),
            Self::Route(Route::RemoteEndpoint(id)) => write!(f, "to remote endpoint {id}"),
            Self::Route(Route::RemoteSubnet(prefix)) => write!(f, "to remote subnet {prefix}"),
            Self::Route(Route::PhysicalNetwork) => f.write_str("to the physical network"),
            Self::Left(port, tuple, encapsulation) => {
                write!(f, "{tuple} leaves through {port}")?;
                encapsulation.map_or(Ok(()), |outer| {
                    write!(f, ", provider address {}, VSID {}", outer.provider_address, outer.isolation_id)
                })
            }
            Self::Reset => f.write_str("answered with a TCP reset"),
            Self::Dropped(reason) => write!(f, "dropped: {reason}"),
        }
    }
}

impl fmt::Display for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.steps.iter().try_for_each(|step| writeln!(f, "{:<18} {step}", step.layer()))
    }
}

/// Where steps are recorded, if anywhere: a packet without a trace should not cost its strings.
#[derive(Debug)]
pub(crate) struct Tracer<'a>(pub(crate) Option<&'a mut Trace>);

impl Tracer<'_> {
    pub(crate) fn record(&mut self, step: impl FnOnce() -> Step) {
        if let Some(trace) = &mut self.0 {
            trace.steps.push(step());
        }
    }
}
