//! Whether the user of this node may do what a proxy does.

use super::super::check::{Check, Finding};
use super::super::facts::Facts;

pub(in super::super) const CHECK: Check = Check {
    id: "permissions",
    title: "permissions at the API server (RBAC)",
    finds: "a failure if the user may not list and watch Services, EndpointSlices and Nodes; a warning if it may not create Events. Each is asked with a SelfSubjectAccessReview.",
    cause: "The ClusterRole system:node-proxier is not bound to the user or service account of the credentials, or the kubeconfig of another user is used.",
    cure: "Bind system:node-proxier to the user: `kubectl create clusterrolebinding hnsproxy --clusterrole=system:node-proxier --user=USER`.",
    run,
};

fn run(facts: &Facts) -> Result<Finding, String> {
    let api_server = facts.api_server.as_ref().map_err(Clone::clone)?;
    let reviews = api_server.reviews.as_ref().map_err(Clone::clone)?;
    let denied = |required: bool| -> Vec<_> {
        let denied = reviews.iter().filter(|review| !review.allowed && review.required == required);
        denied.map(|review| format!("not allowed: {}", review.action)).collect()
    };
    let required = denied(true);
    if !required.is_empty() {
        return Ok(Finding::Failure(required.into_iter().chain(denied(false)).collect()));
    }
    Ok(Finding::warning_unless_empty(denied(false), "all that a proxy does is allowed"))
}

#[cfg(test)]
mod tests {
    use super::super::super::facts::{ApiServerFacts, Review, testing};
    use super::*;

    fn with(list_allowed: bool, events_allowed: bool) -> Result<Finding, String> {
        let reviews = Ok(vec![
            Review { action: "list services", required: true, allowed: list_allowed },
            Review { action: "create events", required: false, allowed: events_allowed },
        ]);
        let api_server = Ok(ApiServerFacts { reviews, ..testing::api_server() });
        run(&Facts { api_server, ..testing::none() })
    }

    #[test]
    fn a_user_who_may_do_all_is_ok() {
        assert!(matches!(with(true, true), Ok(Finding::Ok(_))));
    }

    #[test]
    fn a_denied_list_is_a_failure() {
        assert_eq!(with(false, true), Ok(Finding::Failure(vec!["not allowed: list services".into()])));
    }

    #[test]
    fn denied_events_are_a_warning() {
        assert_eq!(with(true, false), Ok(Finding::Warning(vec!["not allowed: create events".into()])));
    }
}
