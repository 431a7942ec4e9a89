//! The flags of the probe of cluster IPs.

use std::fmt;
use std::time::Duration;

use clap::Args;
use proxy::model::ServiceName;

use super::service_name;
use crate::duration_argument::seconds;

#[derive(Debug, Args)]
pub struct VipProbeArgs {
    /// Probe the cluster IPs of these Services from this node: `dns`, `kubernetes` or NAMESPACE/NAME.
    ///
    /// Every 10 s, hnsproxy opens a TCP connection to each TCP port, and sends a DNS query to port 53/UDP. It reports a frontend
    /// (FrontendNotForwarding) if three consecutive probes fail while most of its backends answer directly.
    #[arg(long = "probe-vips", value_name = "SERVICES", value_delimiter = ',', value_parser = probed_service, hide_short_help = true)]
    pub services: Vec<ProbedService>,
    /// Replace the load balancer of a frontend that --probe-vips reports. Repeated replacements have growing delays.
    ///
    /// A replacement cuts the connections of the frontend. Nothing is replaced until at least one probe has succeeded.
    #[arg(long = "probe-repair", requires = "services", hide_short_help = true)]
    pub repairs: bool,
    /// The time between two probes.
    #[arg(long = "probe-interval", value_name = "SECONDS", default_value = "10", value_parser = seconds, hide = true)]
    pub interval: Duration,
}

/// A value of `--probe-vips`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProbedService {
    /// The cluster DNS, under the names that most distributions use.
    Dns,
    /// The Service of the API server.
    Kubernetes,
    Named(ServiceName),
}

impl ProbedService {
    /// The names of the Services that the value selects.
    pub fn names(&self) -> Vec<ServiceName> {
        match self {
            ProbedService::Dns => ServiceName::dns().collect(),
            ProbedService::Kubernetes => vec![ServiceName::api_server()],
            ProbedService::Named(name) => vec![name.clone()],
        }
    }
}

/// Formats the value as in the flag. The metric label `target` has the same form.
impl fmt::Display for ProbedService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ProbedService::Dns => f.write_str("dns"),
            ProbedService::Kubernetes => f.write_str("kubernetes"),
            ProbedService::Named(name) => name.fmt(f),
        }
    }
}

fn probed_service(text: &str) -> Result<ProbedService, String> {
    match text {
        "dns" => Ok(ProbedService::Dns),
        "kubernetes" => Ok(ProbedService::Kubernetes),
        name => service_name(name)
            .map(ProbedService::Named)
            .map_err(|_| "expected dns, kubernetes or NAMESPACE/NAME".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn services_are_known_by_a_word_or_by_their_name() {
        let named = |name: &str| Ok(ProbedService::Named(ServiceName::new("ns", name)));
        assert_eq!(probed_service("dns"), Ok(ProbedService::Dns));
        assert_eq!(probed_service("kubernetes"), Ok(ProbedService::Kubernetes));
        assert_eq!(probed_service("ns/dns"), named("dns"));
        assert!(["", "DNS", "web", "a/b/c"].into_iter().all(|text| probed_service(text).is_err()));
        for text in ["dns", "kubernetes", "ns/web"] {
            assert_eq!(probed_service(text).unwrap().to_string(), text);
        }
    }
}
