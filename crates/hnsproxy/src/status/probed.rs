//! The targets and the findings of the VIP probe.

use std::net::SocketAddr;
use std::sync::Arc;

use hcn::schema::Protocol;
use proxy::model::ServiceName;
use proxy::{Condition, Frontend, ServiceCondition};

/// The port of DNS.
const DNS_PORT: u16 = 53;

/// How an address is probed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Question {
    /// Whether it accepts a TCP connection.
    Connect,
    /// Whether it answers a DNS query over UDP.
    Query,
}

impl Question {
    /// Returns `None` if the frontend cannot be probed, because the protocol over UDP is unknown.
    pub fn of(frontend: Frontend) -> Option<Self> {
        match (frontend.protocol, frontend.port) {
            (Protocol::TCP, _) => Some(Question::Connect),
            (Protocol::UDP, DNS_PORT) => Some(Question::Query),
            _ => None,
        }
    }
}

/// A frontend that is programmed and can be probed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProbeTarget {
    /// The value of `--probe-vips` that names its Service.
    pub label: Arc<str>,
    pub service: ServiceName,
    pub frontend: Frontend,
    pub question: Question,
    pub address: SocketAddr,
    pub backends: Vec<SocketAddr>,
}

/// The state of all probed frontends.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ProbeReport {
    pub frontends: Vec<ProbedFrontend>,
    /// The frontends whose load balancers are to be replaced now.
    pub replace: Vec<Frontend>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProbedFrontend {
    pub service: ServiceName,
    pub frontend: Frontend,
    pub finding: Finding,
    /// How often the probe has requested a replacement of the load balancer. Reset if the frontend forwards one hour after the last one.
    pub replacements: u32,
}

/// The result of the VIP probe for a frontend.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Finding {
    /// There were not enough probes yet.
    Unknown,
    /// At least one of the last three probes got a response.
    Forwards,
    /// Most backends respond, but the frontend does not. The numbers are from the time of the first such result.
    DoesNotForward { probes: u32, answered: usize, asked: usize },
    /// Most backends do not respond either, so the load balancer may be correct.
    BackendsDoNotAnswer { answered: usize, asked: usize },
}

impl Finding {
    /// In CamelCase, for `/statusz`.
    pub fn reason(self) -> &'static str {
        match self {
            Finding::Unknown => "Unknown",
            Finding::Forwards => "Forwards",
            Finding::DoesNotForward { .. } => "FrontendNotForwarding",
            Finding::BackendsDoNotAnswer { .. } => "BackendsNotAnswering",
        }
    }
}

impl ProbedFrontend {
    /// A readable message.
    pub fn message(&self) -> String {
        let Self { frontend, finding, .. } = self;
        match finding {
            Finding::Unknown => format!("{frontend}: not known yet"),
            Finding::Forwards => format!("{frontend}: forwards"),
            Finding::DoesNotForward { .. } => self.condition().map(|one| one.condition.to_string()).unwrap_or_default(),
            Finding::BackendsDoNotAnswer { answered, asked } => format!(
                "{frontend} does not answer, and only {answered} of {asked} backends answer directly: the Service is unavailable, or this node cannot reach its backends"
            ),
        }
    }

    /// Only a frontend that does not forward is a condition of its Service: hnsproxy is not responsible for backends.
    pub fn condition(&self) -> Option<ServiceCondition> {
        let Finding::DoesNotForward { probes, answered, asked } = self.finding else { return None };
        let condition = Condition::NotForwarding { frontend: self.frontend, probes, answered, asked };
        Some(ServiceCondition { service: self.service.clone(), condition })
    }
}
