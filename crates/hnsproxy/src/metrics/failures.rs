//! The writes of load balancers that HNS refused, under the names and labels that kube-proxy has from 1.37 on.

use hcn::Hresult;
use prometheus_client::registry::Registry;
use proxy::apply::{Failure, Outcome};
use proxy::{Action, Frontend, FrontendKind};

use super::catalog;
use super::vector::{Counters, counters};

#[derive(Debug)]
pub(super) struct FailedWrites {
    create: Counters,
    update: Counters,
    delete: Counters,
}

impl FailedWrites {
    pub(super) fn new(registry: &mut Registry) -> Self {
        Self {
            create: counters(registry, &catalog::LB_CREATE_FAILURES),
            update: counters(registry, &catalog::LB_UPDATE_FAILURES),
            delete: counters(registry, &catalog::LB_DELETE_FAILURES),
        }
    }

    /// Counts a step that has failed. `kind_of` is the kind of a frontend that a Service claims.
    pub(super) fn record(&self, outcome: &Outcome, kind_of: impl Fn(Frontend) -> Option<FrontendKind>) {
        let Some(error) = outcome.result.as_ref().err().and_then(error) else { return };
        let (counters, frontend) = match &outcome.step.action {
            Action::CreateLoadBalancer { frontend, .. } => (&self.create, *frontend),
            Action::ModifyLoadBalancer { frontend, .. } => (&self.update, *frontend),
            Action::DeleteLoadBalancer { frontend, .. } => (&self.delete, *frontend),
            Action::CreateEndpoint { .. } | Action::DeleteEndpoint { .. } => return,
        };
        // The label has no value for a frontend whose Service was deleted. Most have a cluster IP.
        let of_deleted = || if frontend.address.is_none() { FrontendKind::NodePort } else { FrontendKind::ClusterIp };
        let kind = kind_of(frontend).unwrap_or_else(of_deleted);
        counters.of([&frontend.family.to_string(), label(kind), error]).inc();
    }
}

/// kube-proxy's name of a kind of frontend.
fn label(kind: FrontendKind) -> &'static str {
    match kind {
        FrontendKind::ClusterIp => "clusterip",
        FrontendKind::NodePort => "nodeport",
        FrontendKind::ExternalIp => "externalip",
        FrontendKind::IngressIp => "ingressip",
        FrontendKind::HealthCheck => "healthcheck",
    }
}

/// kube-proxy's name of a failure. `None` if HNS was not asked.
fn error(failure: &Failure) -> Option<&'static str> {
    let error = match failure {
        Failure::NeedsEndpoint | Failure::NotReleased | Failure::StillReferenced | Failure::NeedsSourceVip => {
            return None;
        }
        Failure::Hns(hcn::Error::Stopped { .. }) => return None,
        Failure::ModifyHadNoEffect | Failure::OtherContent => return Some("other"),
        Failure::Hns(error) | Failure::FrontendTaken(error) => error,
    };
    Some(match error.code() {
        Some(Hresult::HCN_E_NETWORK_NOT_FOUND) => "network_not_found",
        Some(Hresult::HCN_E_PORT_ALREADY_EXISTS) => "port_already_exists",
        Some(Hresult::E_NOTIMPL) => "not_implemented",
        Some(Hresult::HCN_E_INVALID_IP) => "invalid_ip",
        _ => "other",
    })
}

#[cfg(test)]
mod tests {
    use hcn::schema::{LoadBalancer, Protocol};
    use hcn::{Error, Guid};
    use prometheus_client::encoding::prometheus_text::encode;
    use proxy::identity::LoadBalancerContent;
    use proxy::model::Family;
    use proxy::{Reason, Step};

    use super::*;

    fn frontend(address: Option<&str>) -> Frontend {
        let address = address.map(|address| address.parse().unwrap());
        Frontend { family: address.map_or(Family::V4, Family::of), address, protocol: Protocol::TCP, port: 80 }
    }

    #[test]
    fn a_refused_write_is_counted_with_the_labels_of_kube_proxy() {
        let mut registry = Registry::default();
        let failed = FailedWrites::new(&mut registry);
        let (id, document, content) = (Guid::nil(), LoadBalancer::default(), LoadBalancerContent::UNKNOWN);
        let create = |frontend| Action::CreateLoadBalancer { id, frontend, document: document.clone(), content };
        let hns = |code| Failure::Hns(Error::hns("HcnCreateLoadBalancer", code));
        let ipv4 = frontend(Some("10.96.0.1"));
        let ipv6 = frontend(Some("fd00::1"));
        let modify = Action::ModifyLoadBalancer { id, frontend: frontend(None), document: document.clone(), content };
        for (action, failure) in [
            (create(ipv4), hns(Hresult::HCN_E_PORT_ALREADY_EXISTS)),
            (create(ipv4), hns(Hresult::HCN_E_NETWORK_NOT_FOUND)),
            (create(ipv6), hns(Hresult::HCN_E_INVALID_IP)),
            (create(ipv4), Failure::NeedsEndpoint),
            (create(ipv4), Failure::Hns(Error::Stopped { function: "HcnCreateLoadBalancer" })),
            (modify, hns(Hresult::E_NOTIMPL)),
            (Action::DeleteLoadBalancer { id, frontend: frontend(Some("10.96.0.2")) }, Failure::OtherContent),
            (Action::DeleteEndpoint { id, address: [10, 0, 0, 1].into() }, hns(Hresult::E_NOTIMPL)),
        ] {
            let step = Step { action, service: None, reason: Reason::NotDesired };
            let kind_of = |frontend| (frontend == ipv4).then_some(FrontendKind::ExternalIp);
            failed.record(&Outcome::without_calls(step, Err(failure)), kind_of);
        }
        let mut text = String::new();
        encode(&mut text, &registry).unwrap();
        let mut series: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
        series.sort_unstable();
        let name = "kubeproxy_sync_proxy_rules_winkernel_lb";
        assert_eq!(
            series,
            [
                format!(
                    "{name}_create_failures_total{{ip_family=\"IPv4\",lb_type=\"externalip\",error=\"network_not_found\"}} 1"
                ),
                format!(
                    "{name}_create_failures_total{{ip_family=\"IPv4\",lb_type=\"externalip\",error=\"port_already_exists\"}} 1"
                ),
                format!(
                    "{name}_create_failures_total{{ip_family=\"IPv6\",lb_type=\"clusterip\",error=\"invalid_ip\"}} 1"
                ),
                format!("{name}_delete_failures_total{{ip_family=\"IPv4\",lb_type=\"clusterip\",error=\"other\"}} 1"),
                format!(
                    "{name}_update_failures_total{{ip_family=\"IPv4\",lb_type=\"nodeport\",error=\"not_implemented\"}} 1"
                ),
            ]
        );
    }
}
