//! Explains the frontends of a Service: why each backend serves or not, the desired and the observed load balancer, and the planned steps.
//!
//! An [`Explanation`] is a value that can be sent as JSON and parsed again. Its cost depends only on the size of the
//! Service.

mod explainer;

use std::net::IpAddr;

use hcn::Guid;
use hcn::schema::LoadBalancer;
use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

use crate::condition::Condition;
use crate::desire::select::{Hints, Precedence, Verdict};
use crate::frontend::FrontendKind;
use crate::model::ServiceName;

pub(crate) use explainer::Explainer;

/// The explanation of one Service.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Explanation {
    pub service: ServiceName,
    /// How reliable the observed state is.
    pub hns: HnsView,
    /// The conditions of the Service.
    pub conditions: Vec<ExplainedCondition>,
    /// Sorted by port, then by kind.
    pub frontends: Vec<ExplainedFrontend>,
    /// The planned steps, in order.
    pub steps: Vec<String>,
}

impl Explanation {
    /// What is known of a Service before HNS was read.
    pub fn before_audit(service: ServiceName) -> Self {
        Self { service, hns: HnsView::NotAudited, conditions: Vec::new(), frontends: Vec::new(), steps: Vec::new() }
    }
}

/// How reliable the observed state is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum HnsView {
    /// The state is that of the last audit.
    Known,
    /// HNS is unavailable. The state is that of the last successful audit.
    Unavailable,
    /// There was no audit yet: frontends cannot be explained.
    NotAudited,
}

/// A condition of the Service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ExplainedCondition {
    /// As in Events and metrics.
    pub reason: String,
    pub text: String,
}

impl From<&Condition> for ExplainedCondition {
    fn from(condition: &Condition) -> Self {
        Self { reason: condition.reason().to_owned(), text: condition.to_string() }
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ExplainedFrontend {
    pub frontend: String,
    pub kind: FrontendKind,
    /// The name of the Service's port.
    pub port_name: SmolStr,
    /// Whether its traffic stays on this node.
    pub local_only: bool,
    /// The topology hints that apply to it.
    pub hints: Hints,
    /// The Service that owns the frontend, if it is another one.
    pub owned_by: Option<ServiceName>,
    pub backends: Vec<ExplainedBackend>,
    /// The desired load balancer, with its id; none if no backend serves, or another Service owns the frontend.
    pub desired: Option<ExplainedLoadBalancer>,
    /// The observed load balancers.
    pub observed: Vec<ExplainedLoadBalancer>,
    /// Whether the frontend is in sync: no step is planned for it.
    pub in_sync: bool,
    /// Whether the frontend waits for a retry, a postponed replacement or a missing network.
    pub waiting: bool,
}

/// A load balancer, desired or observed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ExplainedLoadBalancer {
    pub id: Guid,
    /// Whether it is, or will be, a load balancer of hnsproxy.
    pub ours: bool,
    /// The addresses of its backends. An endpoint that is not known is shown by its id.
    pub backends: Vec<String>,
    /// The document of a desired load balancer. Documents of observed ones are not kept.
    pub document: Option<LoadBalancer>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ExplainedBackend {
    pub address: IpAddr,
    pub port: u16,
    /// `nodeName` of the slice.
    pub node: Option<SmolStr>,
    /// Whether it runs on this node.
    pub local: bool,
    pub state: BackendState,
    /// Its HNS endpoint, if there is one.
    pub endpoint: Option<Guid>,
}

/// Why a backend is used or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum BackendState {
    /// Serves: ready.
    Ready,
    /// Serves: terminating and serving, and no backend is ready.
    TerminatingFallback,
    /// Serves: ready, and a step creates its endpoint.
    EndpointPending,
    /// Serves: in the host's network, with the host's own endpoint.
    ByHostEndpoint,
    NotReady,
    /// Terminating, and others are ready.
    Terminating,
    /// Its hints name other zones.
    OtherZone,
    /// Its hints name other nodes.
    OtherNode,
    /// On another node, and the traffic policy is `Local`.
    NotLocal,
    /// Its port differs from the port of most backends, and a load balancer has one backend port.
    OtherPort,
    /// Most backends are in another HNS network, and a load balancer has one network.
    OtherNetwork,
    /// Its HNS network is missing.
    NetworkMissing,
    /// A load balancer has a limit of backends.
    OverLimit,
    /// It runs on this node, and the CNI has not created its endpoint.
    NoHnsEndpoint,
    /// It is in the host's network, and the host has no endpoint.
    NoHostEndpoint,
    /// Its endpoint could not be created; a retry is due later.
    EndpointFailed,
    /// Another record of its address and port is ready.
    YieldsToReady,
    /// Another record of its address and port is not terminating, or still serves.
    YieldsToServing,
    /// Another record of its address and port is on this node.
    YieldsToLocal,
    /// Another record of its address and port has the same state.
    YieldsToSame,
}

impl BackendState {
    /// Whether the backend gets connections.
    pub fn serves(self) -> bool {
        use BackendState::{ByHostEndpoint, EndpointPending, Ready, TerminatingFallback};
        matches!(self, Ready | TerminatingFallback | EndpointPending | ByHostEndpoint)
    }

    pub fn description(self) -> &'static str {
        match self {
            BackendState::Ready => "ready",
            BackendState::TerminatingFallback => "terminating, used because no backend is ready",
            BackendState::EndpointPending => "ready; its HNS endpoint will be created",
            BackendState::ByHostEndpoint => "ready; in the host network, reached through the endpoint of the host",
            BackendState::NotReady => "not ready",
            BackendState::Terminating => "terminating, and other backends are ready",
            BackendState::OtherZone => "its topology hints name other zones",
            BackendState::OtherNode => "its topology hints name other nodes",
            BackendState::NotLocal => "on another node, and the traffic policy is Local",
            BackendState::OtherPort => "its port differs from that of most backends",
            BackendState::OtherNetwork => "in another HNS network than most backends",
            BackendState::NetworkMissing => "its HNS network is unavailable",
            BackendState::OverLimit => "exceeds the backend limit of a load balancer",
            BackendState::NoHnsEndpoint => "on this node, but the CNI has not created its HNS endpoint",
            BackendState::NoHostEndpoint => "in the host network, and HNS has no endpoint for the host",
            BackendState::YieldsToReady => "another record of this address is ready",
            BackendState::YieldsToServing => "another record of this address is not terminating, or still serves",
            BackendState::YieldsToLocal => "another record of this address is on this node",
            BackendState::YieldsToSame => "another record of this address has the same state",
            BackendState::EndpointFailed => "its HNS endpoint could not be created; retry pending",
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
            Verdict::Yields(Precedence::Ready) => BackendState::YieldsToReady,
            Verdict::Yields(Precedence::NotTerminating | Precedence::Serving) => BackendState::YieldsToServing,
            Verdict::Yields(Precedence::Local) => BackendState::YieldsToLocal,
            Verdict::Yields(Precedence::Tie) => BackendState::YieldsToSame,
        }
    }
}
