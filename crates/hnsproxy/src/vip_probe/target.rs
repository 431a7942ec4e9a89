//! Which Services are probed, and their frontends.

use std::net::SocketAddr;
use std::sync::Arc;

use hcn::schema::Protocol;
use proxy::model::ServiceName;
use proxy::{Frontend, ProgrammedFrontend, Reconciler};

/// The port of DNS.
const DNS_PORT: u16 = 53;

/// A value of `--probe-vips`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProbedService {
    /// The DNS of the cluster, by the names that most distributions use.
    Dns,
    /// The Service of the API server.
    Kubernetes,
    Named(ServiceName),
}

impl ProbedService {
    fn names(&self) -> Vec<ServiceName> {
        match self {
            ProbedService::Dns => ServiceName::dns().collect(),
            ProbedService::Kubernetes => vec![ServiceName::api_server()],
            ProbedService::Named(name) => vec![name.clone()],
        }
    }
}

/// As in the flag, and in the label of metrics.
impl std::fmt::Display for ProbedService {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            ProbedService::Dns => f.write_str("dns"),
            ProbedService::Kubernetes => f.write_str("kubernetes"),
            ProbedService::Named(name) => name.fmt(f),
        }
    }
}

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
    fn of(frontend: Frontend) -> Option<Self> {
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

/// The frontends of the probed Services that HNS has. The cost grows with the number of these Services only.
pub fn targets(services: &[ProbedService], reconciler: &Reconciler) -> Arc<[ProbeTarget]> {
    let mut targets: Vec<ProbeTarget> = Vec::new();
    for probed in services {
        let label: Arc<str> = probed.to_string().into();
        for service in probed.names() {
            for ProgrammedFrontend { frontend, backends } in reconciler.programmed_cluster_ips(&service) {
                let Some((question, address)) = Question::of(frontend).zip(frontend.address) else { continue };
                // A Service that is named twice is probed once.
                if targets.iter().all(|target| target.frontend != frontend) {
                    let address = SocketAddr::new(address, frontend.port);
                    targets.push(ProbeTarget {
                        label: label.clone(),
                        service: service.clone(),
                        frontend,
                        question,
                        address,
                        backends,
                    });
                }
            }
        }
    }
    targets.into()
}
