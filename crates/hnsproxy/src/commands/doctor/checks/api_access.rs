//! Whether the API server lets this node read what a proxy needs.

use super::super::check::{Check, Finding};
use super::super::facts::{ApiServerFacts, Facts};

pub(in super::super) const CHECK: Check = Check {
    id: "api-access",
    title: "access to the API server",
    finds: "a failure if Services, EndpointSlices or the Node cannot be read; a warning if the API server does not have the Node, or the running hnsproxy has lost the API server.",
    cause: "The API server is not reachable, the credentials are missing, expired or rejected, the ClusterRole system:node-proxier is not bound to them, or the name of the node differs from that of the kubelet.",
    cure: "Follow the error: check address and credentials of the kubeconfig, and `kubectl auth can-i list endpointslices -A` with it. Set `--hostname-override` to the name that `kubectl get nodes` shows.",
    run,
};

fn run(facts: &Facts) -> Result<Finding, String> {
    let lost = facts.process.as_ref().ok().and_then(|process| process.cluster.error.clone());
    let lost = lost.map(|error| format!("the running hnsproxy: {error}"));
    let ApiServerFacts { error, missing_node, .. } = match &facts.api_server {
        Ok(api_server) => api_server,
        Err(reason) => return lost.map(|lost| Finding::Warning(vec![lost])).ok_or_else(|| reason.clone()),
    };
    if let Some(error) = error {
        return Ok(Finding::Failure(std::iter::once(error.clone()).chain(lost).collect()));
    }
    let missing = missing_node.as_ref().map(|node| format!("Node {node} not found"));
    Ok(Finding::warning_unless_empty(
        missing.into_iter().chain(lost).collect(),
        "Services, EndpointSlices and the Node were read",
    ))
}

#[cfg(test)]
mod tests {
    use super::super::super::facts::testing;
    use super::*;

    fn with(error: Option<&str>, missing_node: Option<&str>) -> Facts {
        let (error, missing_node) = (error.map(str::to_owned), missing_node.map(str::to_owned));
        let api_server = ApiServerFacts { error, missing_node, ..testing::api_server() };
        Facts { api_server: Ok(api_server), ..testing::none() }
    }

    #[test]
    fn a_cluster_that_is_read_is_ok() {
        assert!(matches!(run(&with(None, None)), Ok(Finding::Ok(_))));
    }

    #[test]
    fn an_error_is_a_failure() {
        assert_eq!(run(&with(Some("forbidden"), None)), Ok(Finding::Failure(vec!["forbidden".into()])));
    }

    #[test]
    fn a_missing_node_is_a_warning() {
        assert_eq!(run(&with(None, Some("win-1"))), Ok(Finding::Warning(vec!["Node win-1 not found".into()])));
    }
}
