//! Whether HNS has the load balancers of the Services on which all pods depend.

use proxy::Explanation;
use proxy::explain::ExplainedFrontend;
use proxy::model::ServiceName;

use super::super::check::{Check, Finding};
use super::super::facts::Facts;

pub(in super::super) const DNS: Check = Check {
    id: "dns-service",
    title: "the DNS Service is programmed",
    finds: "a failure for each frontend of kube-system/kube-dns (or coredns, rke2-coredns-rke2-coredns) without a serving backend, or without the load balancer that it should have.",
    cause: "No DNS pod is ready, HNS refuses the load balancer, hnsproxy does not run or is still programming, or another program has changed the load balancer.",
    cure: "Check the DNS pods (`kubectl -n kube-system get endpointslices`). `hnsproxy explain svc kube-system/kube-dns` shows what is missing; start hnsproxy if it does not run.",
    run: |facts| programmed(facts, "the DNS Service", ServiceName::is_dns),
};

pub(in super::super) const KUBERNETES: Check = Check {
    id: "kubernetes-service",
    title: "the Service default/kubernetes is programmed",
    finds: "a failure for each frontend of default/kubernetes without a serving backend, or without the load balancer that it should have.",
    cause: "As with the DNS Service. Pods that use the API, such as those of CNIs, cannot start without it.",
    cure: "`hnsproxy explain svc default/kubernetes` shows what is missing; start hnsproxy if it does not run. Its backends are the addresses of the API servers: check that the node reaches them.",
    run: |facts| programmed(facts, "default/kubernetes", ServiceName::is_api_server),
};

fn programmed(facts: &Facts, what: &str, is_meant: fn(&ServiceName) -> bool) -> Result<Finding, String> {
    let services = facts.services.as_ref().map_err(Clone::clone)?;
    let meant: Vec<_> = services.iter().filter(|one| is_meant(&one.service)).collect();
    if meant.is_empty() {
        return Err(format!("the cluster does not have {what}"));
    }
    let lines = meant.iter().flat_map(|service| problems(service)).collect();
    let count: usize = meant.iter().map(|service| service.frontends.len()).sum();
    let names: Vec<_> = meant.iter().map(|service| service.service.to_string()).collect();
    let ok = format!("{}: {count} frontend{} programmed", names.join(", "), if count == 1 { "" } else { "s" });
    Ok(Finding::failure_unless_empty(lines, ok))
}

fn problems(service: &Explanation) -> Vec<String> {
    let lines = service.frontends.iter().filter_map(|frontend| {
        Some(format!("Service {}: {}: {}", service.service, frontend.frontend, problem(frontend)?))
    });
    let mut lines: Vec<_> = lines.collect();
    if service.frontends.is_empty() {
        lines.push(format!("Service {}: no frontend", service.service));
    }
    lines
}

fn problem(frontend: &ExplainedFrontend) -> Option<String> {
    if let Some(owner) = &frontend.owned_by {
        return Some(format!("claimed by Service {owner}"));
    }
    if !frontend.backends.iter().any(|backend| backend.state.serves()) {
        let states: Vec<_> = frontend
            .backends
            .iter()
            .map(|backend| format!("{} {}", backend.address, backend.state.description()))
            .collect();
        let states = if states.is_empty() { String::new() } else { format!(": {}", states.join(", ")) };
        return Some(format!("no backend serves{states}"));
    }
    if frontend.in_sync {
        return None;
    }
    Some(if frontend.observed.is_empty() { "no load balancer" } else { "the load balancer differs" }.to_owned())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::super::facts::testing;
    use super::*;

    fn with(service: &str, members: Value) -> Facts {
        let (namespace, name) = service.split_once('/').unwrap();
        let mut frontend = json!({
            "frontend": "10.96.0.10:53/UDP", "kind": "ClusterIp", "portName": "dns", "localOnly": false, "hints": "None",
            "ownedBy": null, "backends": [backend("Ready")], "desired": null, "observed": [], "inSync": true, "waiting": false
        });
        frontend.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
        let explanation = json!({
            "service": {"namespace": namespace, "name": name}, "hns": "known", "conditions": [], "frontends": [frontend], "steps": []
        });
        Facts { services: Ok(vec![serde_json::from_value(explanation).unwrap()]), ..testing::none() }
    }

    fn backend(state: &str) -> Value {
        json!({"address": "10.244.2.3", "port": 53, "node": null, "local": false, "state": state, "endpoint": null})
    }

    #[test]
    fn a_service_that_is_in_sync_is_ok() {
        for (check, name) in [(&DNS, "kube-system/kube-dns"), (&KUBERNETES, "default/kubernetes")] {
            let expected = Finding::Ok(format!("{name}: 1 frontend programmed"));
            assert_eq!((check.run)(&with(name, json!({}))), Ok(expected));
        }
        assert!((DNS.run)(&with("default/kubernetes", json!({}))).is_err());
    }

    #[test]
    fn a_service_that_is_not_programmed_is_a_failure() {
        let cases = [
            (json!({"inSync": false}), "no load balancer"),
            (json!({"backends": []}), "no backend serves"),
            (json!({"backends": [backend("NotReady")]}), "no backend serves: 10.244.2.3 not ready"),
            (json!({"ownedBy": {"namespace": "a", "name": "b"}}), "claimed by Service a/b"),
        ];
        for (check, name) in [(&DNS, "kube-system/kube-dns"), (&KUBERNETES, "default/kubernetes")] {
            for (members, problem) in &cases {
                let expected = format!("Service {name}: 10.96.0.10:53/UDP: {problem}");
                assert_eq!((check.run)(&with(name, members.clone())), Ok(Finding::Failure(vec![expected])));
            }
        }
    }
}
