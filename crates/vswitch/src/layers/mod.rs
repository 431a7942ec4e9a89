//! The layers that the first packet of a flow passes: load balancing, source translation, forwarding. They decide, and change nothing.

mod forwarding;
mod load_balancing;
mod source;

use std::net::{IpAddr, SocketAddr};

use hcn::Guid;

use crate::flows::{Balanced, Direction, Flow};
use crate::objects::PortIndex;
use crate::policy::Policy;
use crate::rules::{Revision, Rule};
use crate::trace::{SourceReason, Step, Tracer};
use crate::{DropReason, Encapsulation, Tuple};

use load_balancing::Lookup;

/// What happens to the packets of a flow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Decision {
    pub(crate) egress: PortIndex,
    pub(crate) encapsulation: Option<Encapsulation>,
    /// The encapsulation of replies.
    pub(crate) reply_encapsulation: Option<Encapsulation>,
    pub(crate) destination: SocketAddr,
    /// The new source address. Its port is still to be chosen.
    pub(crate) source: Option<(IpAddr, SourceReason)>,
    pub(crate) balanced: Option<Balanced>,
}

/// How a flow gets the backend of a load balancer.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Choice<'a> {
    /// The flow is new: the hash selects one.
    New,
    /// The flow has been decided on before: it stays on its backend as far as the assumptions say.
    Before(&'a Flow),
    /// It is a flow for which the hash selects this backend.
    Given(SocketAddr),
}

/// Why packets of a flow do not pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    Drop(DropReason),
    /// The load balancer is missing: [`Gap`](crate::assumptions::Gap) says what happens.
    Gap,
}

impl Refusal {
    /// Only clients get an answer.
    pub(crate) fn for_direction(self, direction: Direction) -> Self {
        match (self, direction) {
            (Self::Gap, Direction::Server) => Self::Drop(DropReason::NoLoadBalancer),
            (refusal, _) => refusal,
        }
    }
}

impl From<DropReason> for Refusal {
    fn from(reason: DropReason) -> Self {
        Self::Drop(reason)
    }
}

/// Passes the layers with a packet of the client of a flow.
pub(crate) fn evaluate(
    policy: &Policy,
    ingress: PortIndex,
    tuple: &Tuple,
    choice: Choice<'_>,
    tracer: &mut Tracer<'_>,
) -> Result<Decision, Refusal> {
    let network = policy.objects.ports.network(ingress);
    let mut decision = match load_balancing::lookup(policy, ingress, tuple, tracer) {
        Lookup::Rule(rule, revision) => balance(policy, ingress, tuple, (rule, revision), choice, tracer)?,
        Lookup::Missing => return Err(Refusal::Gap),
        Lookup::None => {
            let way = way(policy, ingress, tuple.destination.ip(), network, tracer);
            let (egress, encapsulation, source) = way.map_err(|reason| match reason {
                // Only a load balancer forwards packets from outside to other nodes.
                _ if ingress.is_outside() => DropReason::NotLocal,
                reason => reason,
            })?;
            if ingress.is_outside() && egress.is_outside() {
                return Err(DropReason::NotLocal.into());
            }
            let destination = tuple.destination;
            Decision { egress, encapsulation, reply_encapsulation: None, destination, source, balanced: None }
        }
    };
    if ingress == PortIndex::TUNNEL {
        let way = forwarding::outside(policy, tuple.source.ip(), None, &mut Tracer(None));
        decision.reply_encapsulation = way.ok().and_then(|(_, encapsulation)| encapsulation);
    }
    Ok(decision)
}

fn balance(
    policy: &Policy,
    ingress: PortIndex,
    tuple: &Tuple,
    (rule, revision): (&Rule, Revision),
    choice: Choice<'_>,
    tracer: &mut Tracer<'_>,
) -> Result<Decision, Refusal> {
    let backend = load_balancing::backend(policy, rule, revision, tuple, choice, tracer)?;
    if rule.preserves_destination {
        tracer.record(|| Step::DestinationPreserved);
    }
    let of_rule = source::of_rule(policy, rule, ingress, backend.ip())?;
    // The host port translates packets without direct server return, so the policies of the pod see no packet that leaves.
    let passed = if of_rule.is_some() { PortIndex::HOST } else { ingress };
    let (egress, encapsulation, of_pod) = way(policy, passed, backend.ip(), rule.network, tracer)?;
    let source = match of_rule.or(of_pod) {
        None if egress == ingress && !egress.is_outside() && egress != PortIndex::HOST => {
            Some(source::of_loopback(policy, ingress, backend.ip())?)
        }
        source => source,
    };
    Ok(Decision {
        egress,
        encapsulation,
        reply_encapsulation: None,
        destination: if rule.preserves_destination { tuple.destination } else { backend },
        source,
        balanced: Some(Balanced {
            load_balancer: rule.load_balancer,
            revision,
            backend: (backend.ip(), backend.port()),
        }),
    })
}

type Way = (PortIndex, Option<Encapsulation>, Option<(IpAddr, SourceReason)>);

/// How a packet to an address leaves, with the source that the policies of its port give it.
fn way(
    policy: &Policy,
    ingress: PortIndex,
    destination: IpAddr,
    network: Option<Guid>,
    tracer: &mut Tracer<'_>,
) -> Result<Way, DropReason> {
    if let Some(port) = forwarding::local(policy, destination, network, tracer) {
        // A packet of a pod to itself has a policy for that.
        if port != ingress && source::of_outbound(policy, ingress, destination).is_some() {
            tracer.record(|| Step::SourceKept);
        }
        return Ok((port, None, None));
    }
    // A translated packet leaves with an address of the node, so no overlay network carries it.
    if let Some(source) = source::of_outbound(policy, ingress, destination) {
        return Ok((PortIndex::UPLINK, None, Some(source)));
    }
    let (egress, encapsulation) = forwarding::outside(policy, destination, network, tracer)?;
    Ok((egress, encapsulation, None))
}
