//! The probe of cluster IPs: what it probes, and what it has found.

use std::net::SocketAddr;
use std::sync::Arc;

use hcn::schema::Protocol;
use proxy::model::ServiceName;
use proxy::{Condition, Frontend, ServiceCondition};

/// The port of DNS.
const DNS_PORT: u16 = 53;

/// How an address is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Question {
    /// Whether it accepts a TCP connection.
    Connect,
    /// Whether it answers a DNS query over UDP.
    Query,
}

impl Question {
    /// None for what cannot be asked without knowing the protocol above UDP.
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
    /// How often the probe has asked for a replacement of its load balancer, until it has forwarded for an hour.
    pub replacements: u32,
}

/// What is known of a frontend.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Finding {
    /// Not enough probes.
    Unknown,
    /// The last probe, or one of the two before, was answered.
    Forwards,
    /// Most backends answer, and the frontend does not. The numbers are those of the time when that was found.
    DoesNotForward { probes: u32, answered: usize, asked: usize },
    /// Most backends do not answer either, so the load balancer may be right.
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
    /// For people.
    pub fn message(&self) -> String {
        let Self { frontend, finding, .. } = self;
        match finding {
            Finding::Unknown => format!("{frontend}: not known yet"),
            Finding::Forwards => format!("{frontend}: forwards"),
            Finding::DoesNotForward { .. } => self.condition().map(|one| one.condition.to_string()).unwrap_or_default(),
            Finding::BackendsDoNotAnswer { answered, asked } => format!(
                "{frontend} does not answer, and {answered} of {asked} backends answer directly: the Service is not available, or this node does not reach its backends"
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
