//! Whether the endpoints of pods are attached to the virtual switch.

use hcn::schema::Endpoint;
use serde_json::Value;

use super::super::check::{Check, Finding};
use super::super::facts::{Facts, name};
use crate::commands::probe::policies::is_of_pod;

pub(in super::super) const CHECK: Check = Check {
    id: "endpoint-states",
    title: "local endpoints are attached",
    finds: "a warning for each local endpoint with the state 1 (created), 4 (detached) or 5 (degraded), or with the state 3 (shared) without a container and without a namespace.",
    cause: "The container runtime has not attached the endpoint yet, it ended while a pod was created or deleted, or HNS has lost the attachment ([calico 12795](https://github.com/projectcalico/calico/issues/12795)). The pod has an address and no network. State 3 of an endpoint with a namespace is normal: the containers of a pod share it.",
    cure: "Repeat the check after some seconds: pods that start pass through state 1. Delete the pods of endpoints that stay unattached. If no pod has the address, remove the endpoint (`Get-HnsEndpoint`, `Remove-HnsEndpoint`). If new pods stay unattached, drain and restart the node.",
    run,
};

fn run(facts: &Facts) -> Result<Finding, String> {
    let hns = facts.hns()?;
    let local: Vec<_> = hns.endpoints.iter().filter(|endpoint| is_of_pod(endpoint)).collect();
    let wrong = local.iter().filter_map(|endpoint| Some(format!("{}: {}", name(endpoint), unattached(endpoint)?)));
    let count = local.len();
    let ok = format!("{count} local endpoint{} without a wrong state", if count == 1 { "" } else { "s" });
    Ok(Finding::warning_unless_empty(wrong.collect(), ok))
}

/// The state of an endpoint that is not attached. The numbers are those of `EndpointState` of hcsshim.
fn unattached(endpoint: &Endpoint) -> Option<&'static str> {
    match endpoint.other.get("State")?.as_u64()? {
        1 => Some("state 1 (created, not attached)"),
        3 if !has_user(endpoint) => Some("state 3 (shared, without container and namespace)"),
        4 => Some("state 4 (detached)"),
        5 => Some("state 5 (degraded)"),
        _ => None,
    }
}

fn has_user(endpoint: &Endpoint) -> bool {
    let is_set = |member: &str| match endpoint.other.get(member) {
        None | Some(Value::Null) => false,
        Some(Value::Array(list)) => !list.is_empty(),
        Some(Value::String(text)) => !text.is_empty() && text != "00000000-0000-0000-0000-000000000000",
        Some(_) => true,
    };
    ["SharedContainers", "HostComputeNamespace", "Namespace"].into_iter().any(is_set)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::super::facts::testing;
    use super::*;

    fn with(members: Value, change: impl Fn(Endpoint) -> Endpoint) -> Result<Finding, String> {
        let Value::Object(other) = members else { panic!("{members}") };
        let endpoint = Endpoint { other, ..testing::endpoint(2, "10.244.1.7") };
        run(&testing::hns(vec![], vec![change(endpoint)], vec![]))
    }

    #[test]
    fn attached_and_shared_endpoints_are_ok() {
        let attached = [
            json!({"State": 2}),
            json!({}),
            json!({"State": 3, "SharedContainers": ["c"]}),
            json!({"State": 3, "HostComputeNamespace": "00000000-0000-4000-8000-000000000009"}),
        ];
        for members in attached {
            assert!(matches!(with(members.clone(), |one| one), Ok(Finding::Ok(_))), "{members}");
        }
        let remote = |one| Endpoint { flags: hcn::schema::EndpointFlags::REMOTE, ..one };
        assert!(matches!(with(json!({"State": 1}), remote), Ok(Finding::Ok(_))));
        let host = |one| Endpoint { name: "cbr0_ep".into(), ..one };
        assert!(matches!(with(json!({"State": 3}), host), Ok(Finding::Ok(_))));
        let source_vip = |one| Endpoint { id: "d4ba1a24-0000-8000-8000-000000000001".parse().ok(), ..one };
        assert!(matches!(with(json!({"State": 1}), source_vip), Ok(Finding::Ok(_))));
    }

    #[test]
    fn unattached_endpoints_are_warnings() {
        let no_namespace = "00000000-0000-0000-0000-000000000000";
        let unattached = [
            json!({"State": 1}),
            json!({"State": 3, "SharedContainers": [], "HostComputeNamespace": no_namespace}),
            json!({"State": 4}),
            json!({"State": 5}),
        ];
        for members in unattached {
            assert!(matches!(with(members.clone(), |one| one), Ok(Finding::Warning(_))), "{members}");
        }
    }
}
