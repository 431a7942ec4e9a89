//! Explains what would happen to a packet by the objects of HNS, with the model of the virtual switch. Where the model assumes something, it is
//! asked again with each other answer.

mod answer;
mod objects;
mod observed;
mod question;

use std::borrow::Cow;
use std::net::{IpAddr, SocketAddr};

use hcn::schema::{DistributionType, PortMapping, PortMappingFlags};
use serde::{Deserialize, Serialize};
use vswitch::{Assumptions, Node, PortId, SOURCE_PORTS, Switch, Tuple};

pub use answer::{Answer, BackendAnswer, End, Outcome};
pub use objects::Objects;
pub use observed::Observation;
pub use question::{Question, To, client};

/// What every output says first.
pub const MODEL: &str = "a model of VFP, not VFP; docs/packets.md has its evidence and its assumptions";

#[derive(Debug, thiserror::Error)]
pub enum PacketError {
    #[error("invalid --from {client}: {frontend} of --to has the other IP family; set two addresses of one family")]
    Families { client: IpAddr, frontend: SocketAddr },
    #[error("missing addresses of this node: set --node-ip")]
    NoNodeAddress,
    #[error("network {name} not found (known: {})", known.join(", "))]
    NetworkNotFound { name: String, known: Vec<String> },
}

/// The answer, as it is printed and as a running hnsproxy serves it.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PacketExplanation {
    pub model: Cow<'static, str>,
    /// Which HNS this is.
    pub description: String,
    pub protocol: String,
    pub frontend: SocketAddr,
    pub client: Client,
    /// The answer under the default assumptions.
    #[serde(flatten)]
    pub answer: Answer,
    /// The share of the new flows that each backend gets; `None` without a backend.
    pub share: Option<Share>,
    /// If no load balancer matches: the other frontends with the address.
    pub other_frontends: Vec<String>,
    /// What else is assumed, in sentences.
    pub assumed: Vec<Cow<'static, str>>,
    /// What the objects do not show, in sentences.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub not_known: Vec<Cow<'static, str>>,
    /// The assumptions that change the answer.
    pub variations: Vec<Variation>,
}

/// The client, and how the model classifies it.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Client {
    pub address: IpAddr,
    pub kind: ClientKind,
    /// The port of the switch through which its packets enter.
    pub port: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ClientKind {
    LocalPod,
    Node,
    Outside,
}

/// The share of a backend, as the number of backends of which it is one: the range over the assumptions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Share {
    pub one_of_at_least: usize,
    pub one_of_at_most: usize,
}

/// An alternative of an assumption, and the answer with it.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Variation {
    pub question: Cow<'static, str>,
    pub alternative: Cow<'static, str>,
    pub evidence: String,
    /// What happens then.
    pub then: Answer,
}

/// Explains a packet by the objects of a node.
pub fn explain(question: &Question, objects: &Objects, node: &Node, description: String) -> PacketExplanation {
    // The port of the client only has an effect on the hash, and all backends are shown.
    let source = SocketAddr::new(question.client, *SOURCE_PORTS.start());
    let tuple = Tuple { protocol: question.protocol, source, destination: question.frontend };
    let switch = |assumptions| {
        let mut switch = Switch::new(node.clone(), assumptions);
        objects.changes().for_each(|change| switch.apply(change));
        switch
    };
    let default = switch(Assumptions::default());
    let port = default.port_of(question.client);
    let answer = Answer::of(&default, objects, &tuple);
    let mapping = answer.load_balancer.and_then(|id| objects.mapping(id, question));
    let others = Assumptions::alternatives().into_iter().filter(|alternative| !alternative.is_default);
    let variations = Assumptions::variations().into_iter().skip(1).zip(others).filter_map(|(assumptions, other)| {
        let then = Answer::of(&switch(assumptions), objects, &tuple);
        let (question, alternative) = (other.question.into(), other.answer.into());
        let evidence = other.evidence.to_string();
        (then != answer).then_some(Variation { question, alternative, evidence, then })
    });
    let variations: Vec<_> = variations.collect();
    PacketExplanation {
        model: MODEL.into(),
        description,
        protocol: question.protocol.to_string(),
        frontend: question.frontend,
        client: Client { address: question.client, kind: kind(port), port: answer::port_name(port, objects) },
        share: share(std::iter::once(&answer).chain(variations.iter().map(|variation| &variation.then))),
        assumed: assumed(&answer, kind(port), mapping, objects.count_load_balancers(question, node) > 1)
            .into_iter()
            .map(Cow::Borrowed)
            .collect(),
        not_known: Vec::new(),
        other_frontends: match answer.load_balancer {
            Some(_) => Vec::new(),
            None => objects.other_frontends(question, node),
        },
        answer,
        variations,
    }
}

fn kind(port: PortId) -> ClientKind {
    match port {
        PortId::Endpoint(_) => ClientKind::LocalPod,
        PortId::Host => ClientKind::Node,
        PortId::Uplink | PortId::Tunnel => ClientKind::Outside,
    }
}

fn share<'a>(answers: impl Iterator<Item = &'a Answer>) -> Option<Share> {
    let counts: Vec<_> = answers.map(|answer| answer.backends.len()).filter(|count| *count > 0).collect();
    Some(Share { one_of_at_least: *counts.iter().min()?, one_of_at_most: *counts.iter().max()? })
}

/// What the answer assumes and no variation shows. The statements are those of docs/packets.md.
fn assumed(
    answer: &Answer,
    client: ClientKind,
    mapping: Option<&PortMapping>,
    has_several_load_balancers: bool,
) -> Vec<&'static str> {
    let mut assumed = Vec::new();
    let outcomes = answer.outcome.iter().chain(answer.backends.iter().map(|backend| &backend.outcome));
    for statement in outcomes.flat_map(|outcome| &outcome.assumed) {
        if !assumed.contains(statement) {
            assumed.push(*statement);
        }
    }
    if answer.load_balancer.is_some() && client == ClientKind::Outside {
        assumed.push("packets from outside match the rules of the host port");
    }
    if answer.load_balancer.is_some() && has_several_load_balancers {
        assumed.push(
            "of several load balancers with the frontend, one with a VIP takes precedence, and then the older one; HNS does not say which is older",
        );
    }
    const IGNORED: [PortMappingFlags; 2] = [PortMappingFlags::LOCAL_ROUTED_VIP, PortMappingFlags::USE_MUX];
    if mapping.is_some_and(|mapping| IGNORED.iter().any(|flag| mapping.flags.contains(*flag))) {
        assumed.push("the flags LocalRoutedVip and UseMux of a port mapping have no effect");
    }
    let distribution = mapping.map(|mapping| mapping.distribution_type).unwrap_or_default();
    if answer.backends.len() > 1 {
        assumed.push(match distribution {
            DistributionType::SOURCE_IP => {
                "the hash of client and frontend address selects the backend, so all flows of a client have the same one; which one is not known"
            }
            DistributionType::SOURCE_IP_PROTOCOL => {
                "the hash of client and frontend address and protocol selects the backend, so all flows of a client have the same one; which one is not known"
            }
            _ => "the hash of addresses, ports and protocol selects the backend of each flow; which one is not known",
        });
    }
    if answer.backends.len() > 1 && !distribution.is_default() {
        assumed.push(
            "session affinity has no timeout, and the backend of a client can change when the list of backends does",
        );
    }
    if answer.load_balancer.is_none() {
        assumed.push("a load balancer of this frontend that was deleted before is not known: its packets may be dropped or reset");
    }
    assumed
}
