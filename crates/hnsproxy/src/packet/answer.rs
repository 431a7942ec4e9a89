//! What the model of the virtual switch says about the first packet of a flow, under one combination of assumptions.

use std::net::{IpAddr, SocketAddr};

use hcn::Guid;
use serde::{Deserialize, Serialize};
use vswitch::assumptions::RemovedEndpoint;
use vswitch::trace::{Route, Skip, Step};
use vswitch::{DropReason, Instant, PortId, Switch, Trace, Tuple};

use super::Objects;

/// What happens to a packet.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Answer {
    /// The rules about the frontend, in order, as text.
    pub rules: Vec<String>,
    /// The load balancer that matches.
    pub load_balancer: Option<Guid>,
    /// What happens to the packet if no load balancer matches, or if it has no backend.
    pub outcome: Option<Outcome>,
    /// The backends of the load balancer. Each has the same share of the new flows.
    pub backends: Vec<BackendAnswer>,
}

/// What happens to a packet for which a backend is selected.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BackendAnswer {
    pub endpoint: Guid,
    /// `None` if HNS has no endpoint with the id.
    pub address: Option<SocketAddr>,
    pub outcome: Outcome,
}

/// The end of a packet, with the rules that decided after the selection of the backend.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Outcome {
    /// In order, as text.
    pub rules: Vec<String>,
    #[serde(flatten)]
    pub end: End,
    /// What of it is assumed without an alternative, in the words of docs/packets.md.
    #[serde(skip)]
    pub assumed: Vec<&'static str>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "end", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum End {
    /// It leaves through a port of the switch.
    Leaves {
        port: String,
        source: IpAddr,
        is_source_translated: bool,
        destination: SocketAddr,
        /// Inside VXLAN to this address.
        provider_address: Option<IpAddr>,
    },
    /// The switch answers with a TCP reset.
    Reset,
    Dropped {
        reason: String,
    },
}

impl Answer {
    pub(super) fn of(switch: &Switch, objects: &Objects, tuple: &Tuple) -> Self {
        let (port, now) = (switch.port_of(tuple.source.ip()), Instant::default());
        let explanation = switch.explain(port, tuple, now);
        let load_balancer = explanation.trace.steps.iter().find_map(|step| match step {
            Step::Frontend(rule) => Some(rule.load_balancer),
            _ => None,
        });
        let backend = |backend: &vswitch::Backend| BackendAnswer {
            endpoint: backend.endpoint,
            address: Some(backend.address),
            outcome: outcome(&switch.explain_backend(port, tuple, backend.address, now), objects, tuple),
        };
        let mut backends: Vec<_> = explanation.backends.iter().map(backend).collect();
        // The objects are those of one moment, so the switch cannot know the addresses of an endpoint that was deleted before.
        if switch.assumptions().removed_endpoint == RemovedEndpoint::KeepsShare {
            backends.extend(load_balancer.into_iter().flat_map(|id| objects.missing_endpoints(id)).map(missing));
        }
        let is_rule = |step: &&Step| {
            matches!(step, Step::NoFrontend | Step::MissingLoadBalancer(_) | Step::Skipped(..) | Step::Frontend(_))
        };
        Self {
            rules: explanation.trace.steps.iter().filter(is_rule).map(ToString::to_string).collect(),
            load_balancer,
            outcome: backends.is_empty().then(|| outcome(&explanation.trace, objects, tuple)),
            backends,
        }
    }
}

fn missing(endpoint: Guid) -> BackendAnswer {
    let end = End::Dropped { reason: "HNS has no endpoint with the id".to_owned() };
    BackendAnswer { endpoint, address: None, outcome: Outcome { rules: Vec::new(), end, assumed: Vec::new() } }
}

fn outcome(trace: &Trace, objects: &Objects, tuple: &Tuple) -> Outcome {
    let rule = |step: &Step| match step {
        // The port is one of many that the switch may choose.
        Step::Source(reason, address) => Some(format!("source becomes {}: {reason}", address.ip())),
        Step::DestinationPreserved | Step::Route(_) => Some(step.to_string()),
        _ => None,
    };
    let end = match trace.steps.last() {
        Some(Step::Left(port, sent, encapsulation)) => End::Leaves {
            port: port_name(*port, objects),
            source: sent.source.ip(),
            is_source_translated: sent.source != tuple.source,
            destination: sent.destination,
            provider_address: encapsulation.map(|outer| outer.provider_address),
        },
        Some(Step::Reset) => End::Reset,
        Some(Step::Dropped(reason)) => End::Dropped { reason: reason.to_string() },
        // Each trace ends with one of the above.
        _ => End::Dropped { reason: "unknown".to_owned() },
    };
    let is_on_uplink = matches!(trace.steps.last(), Some(Step::Left(PortId::Uplink, ..)));
    let leaves_overlay = is_on_uplink
        && trace.steps.iter().any(|step| match step {
            Step::Route(Route::RemoteEndpoint(id)) => objects.is_own_provider(*id),
            _ => false,
        });
    let of_provider = "a remote endpoint whose provider address is its own address is reached without VXLAN";
    Outcome {
        rules: trace.steps.iter().filter_map(rule).collect(),
        end,
        assumed: trace.steps.iter().filter_map(assumed).chain(leaves_overlay.then_some(of_provider)).collect(),
    }
}

fn assumed(step: &Step) -> Option<&'static str> {
    Some(match step {
        Step::Route(Route::PhysicalNetwork) => "a packet to an unknown address leaves through the uplink",
        Step::Skipped(_, Skip::Internal) => "packets from outside of the node do not match an internal load balancer",
        Step::SourceKept => "an OutBoundNAT policy does not translate packets that stay on the node",
        Step::DestinationPreserved => "the port of the frontend is preserved with its address",
        Step::Dropped(DropReason::NoSourceVip) => "a packet without the source VIP that it needs is lost",
        _ => return None,
    })
}

pub(super) fn port_name(port: PortId, objects: &Objects) -> String {
    match port {
        PortId::Endpoint(id) => match objects.endpoint_name(id) {
            Some(name) => format!("endpoint {id} ({name})"),
            None => port.to_string(),
        },
        port => port.to_string(),
    }
}
