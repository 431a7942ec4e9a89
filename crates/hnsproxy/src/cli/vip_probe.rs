//! The flags of the probe of cluster IPs.

use std::time::Duration;

use clap::Args;

use super::service_name;
use crate::duration_argument::seconds;
use crate::vip_probe::ProbedService;

#[derive(Debug, Args)]
pub struct VipProbeArgs {
    /// Probe the cluster IPs of these Services from this node: `dns`, `kubernetes` or NAMESPACE/NAME.
    ///
    /// Every 10 s a TCP connection to each TCP port, and a DNS query to port 53/UDP. A frontend that fails three times in a row while most
    /// of its backends answer directly is reported (FrontendNotForwarding).
    #[arg(long = "probe-vips", value_name = "SERVICES", value_delimiter = ',', value_parser = probed_service, hide_short_help = true)]
    pub services: Vec<ProbedService>,
    /// Replace the load balancer of a frontend that --probe-vips reports, again after growing delays.
    ///
    /// This cuts its connections. Only if the probe of any frontend has ever succeeded.
    #[arg(long = "probe-repair", requires = "services", hide_short_help = true)]
    pub repairs: bool,
    /// The time between two probes.
    #[arg(long = "probe-interval", value_name = "SECONDS", default_value = "10", value_parser = seconds, hide = true)]
    pub interval: Duration,
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
    use proxy::model::ServiceName;

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
