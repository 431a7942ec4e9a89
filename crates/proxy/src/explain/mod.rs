//! Why a Service's frontends are as they are: each backend with the reason why it is in or out, what is wanted of HNS, what HNS holds,
//! and what would be done.
//!
//! An [`Explanation`] is a value that can be sent as JSON and read again. Its cost is that of the Service, whatever the cluster's size.

mod explainer;

use std::net::IpAddr;

use hcn::Guid;
use hcn::schema::LoadBalancer;
use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

use crate::condition::Problem;
use crate::desire::select::{Hints, Verdict};
use crate::frontend::FrontendKind;
use crate::model::ServiceName;

pub(crate) use explainer::Explainer;

/// Everything about one Service.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Explanation {
    /// The Service.
    pub service: ServiceName,
    /// How far what is said of HNS can be relied on.
    pub hns: HnsView,
    /// What is not as the Service asks.
    pub notices: Vec<ExplainedNotice>,
    /// Its frontends: by port, then by kind.
    pub frontends: Vec<ExplainedFrontend>,
    /// What would be done, in order.
    pub steps: Vec<String>,
}

/// How far what is known of HNS can be relied on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum HnsView {
    /// As it was at the last look.
    Known,
    /// HNS can't be asked at present: as it was before.
    Unavailable,
    /// HNS was not looked at yet: nothing can be said of frontends.
    NotLookedAt,
}

/// Something that is not as the Service asks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ExplainedNotice {
    /// Its kind, as in Events and metrics.
    pub reason: String,
    /// In words.
    pub text: String,
}

impl From<&Problem> for ExplainedNotice {
    fn from(problem: &Problem) -> Self {
        Self { reason: problem.reason().to_owned(), text: problem.to_string() }
    }
}

/// One frontend.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ExplainedFrontend {
    /// The frontend.
    pub frontend: String,
    /// What it is to the Service.
    pub kind: FrontendKind,
    /// The Service's port.
    pub port_name: SmolStr,
    /// Whether its traffic stays on this node.
    pub local_only: bool,
    /// Which topology hints hold for it.
    pub hints: Hints,
    /// The Service that has the frontend, where it is another one.
    pub held_by: Option<ServiceName>,
    /// Its backends, with the reason why each is in or out.
    pub backends: Vec<ExplainedBackend>,
    /// The load balancer that HNS should hold, with its id: none where no backend serves, or another Service has the frontend.
    pub wanted: Option<ExplainedLoadBalancer>,
    /// The load balancers that HNS holds there.
    pub held: Vec<ExplainedLoadBalancer>,
    /// Whether HNS holds what it should: nothing would be done for this frontend.
    pub confirmed: bool,
    /// Whether something is to be done for it, and not yet: it failed a moment ago, or was replaced a moment ago.
    pub waits: bool,
}

/// A load balancer, wanted or held.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ExplainedLoadBalancer {
    /// Its id.
    pub id: Guid,
    /// Whether it is, or would be, of our making.
    pub ours: bool,
    /// The addresses of its backends; an endpoint that is not known by its id.
    pub backends: Vec<String>,
    /// The document; of those that are held only ids are kept.
    pub document: Option<LoadBalancer>,
}

/// A backend of a frontend.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ExplainedBackend {
    /// Its address.
    pub address: IpAddr,
    /// Its port.
    pub port: u16,
    /// The node it runs on, where that is said.
    pub node: Option<SmolStr>,
    /// Whether that is this node.
    pub local: bool,
    /// Why it is in or out.
    pub state: BackendState,
    /// The endpoint that stands for it, once there is one.
    pub endpoint: Option<Guid>,
}

/// Why a backend is in or out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum BackendState {
    /// In: ready.
    Ready,
    /// In: on its way out, but it still answers and no other is ready.
    TerminatingFallback,
    /// In: ready, and its endpoint is about to be created.
    EndpointToCome,
    /// In: it uses the host's network, and the host's own endpoint stands for it.
    ByHostEndpoint,
    /// Out: not ready.
    NotReady,
    /// Out: on its way out, and others are ready.
    Terminating,
    /// Out: its hints name other zones.
    OtherZone,
    /// Out: its hints name other nodes.
    OtherNode,
    /// Out: it runs on another node, and a traffic policy is Local.
    NotLocal,
    /// Out: it has another port than most, and a load balancer has one port.
    OtherPort,
    /// Out: it is in another HNS network than most, and a load balancer has one network.
    OtherNetwork,
    /// Out for now: its HNS network is not there.
    NetworkMissing,
    /// Out: there are more than a load balancer may have.
    OverLimit,
    /// Out for now: it runs on this node, and the CNI has made no endpoint for it.
    NoHnsEndpoint,
    /// Out: it uses the host's network, and the host has no endpoint of its own.
    NoHostEndpoint,
    /// Out for now: its endpoint could not be created.
    EndpointFailed,
}

impl BackendState {
    /// Whether the backend gets traffic.
    pub fn serves(self) -> bool {
        use BackendState::{ByHostEndpoint, EndpointToCome, Ready, TerminatingFallback};
        matches!(self, Ready | TerminatingFallback | EndpointToCome | ByHostEndpoint)
    }

    /// In words.
    pub fn words(self) -> &'static str {
        match self {
            BackendState::Ready => "ready",
            BackendState::TerminatingFallback => "terminating, but none is ready",
            BackendState::EndpointToCome => "serves; its HNS endpoint is to be created",
            BackendState::ByHostEndpoint => "serves; uses the host's network, by the host's own endpoint",
            BackendState::NotReady => "not ready",
            BackendState::Terminating => "terminating, and others are ready",
            BackendState::OtherZone => "its hints name other zones",
            BackendState::OtherNode => "its hints name other nodes",
            BackendState::NotLocal => "on another node, and the traffic policy is Local",
            BackendState::OtherPort => "its port is not the one that most have",
            BackendState::OtherNetwork => "in another HNS network than most",
            BackendState::NetworkMissing => "its HNS network can't be used at present",
            BackendState::OverLimit => "more backends than a load balancer may have",
            BackendState::NoHnsEndpoint => "on this node, but HNS has no endpoint for it yet",
            BackendState::NoHostEndpoint => "uses the host's network, for which HNS has no endpoint",
            BackendState::EndpointFailed => "its HNS endpoint could not be created; tried again later",
        }
    }
}

impl From<Verdict> for BackendState {
    fn from(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Ready => BackendState::Ready,
            Verdict::TerminatingFallback => BackendState::TerminatingFallback,
            Verdict::NotReady => BackendState::NotReady,
            Verdict::Terminating => BackendState::Terminating,
            Verdict::OtherZone => BackendState::OtherZone,
            Verdict::OtherNode => BackendState::OtherNode,
            Verdict::NotLocal => BackendState::NotLocal,
        }
    }
}
