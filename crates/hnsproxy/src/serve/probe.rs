//! The part of `/statusz` about probed frontends.

use serde::Serialize;

use crate::status::{Finding, ProbedFrontend};

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct ProbePage {
    /// `NAMESPACE/NAME`.
    service: String,
    frontend: String,
    /// The finding in CamelCase.
    finding: &'static str,
    message: String,
    replacements: u32,
    #[serde(skip)]
    is_problem: bool,
}

impl From<&ProbedFrontend> for ProbePage {
    fn from(probed: &ProbedFrontend) -> Self {
        Self {
            service: probed.service.to_string(),
            frontend: probed.frontend.to_string(),
            finding: probed.finding.reason(),
            message: probed.message(),
            replacements: probed.replacements,
            is_problem: matches!(probed.finding, Finding::DoesNotForward { .. } | Finding::BackendsDoNotAnswer { .. }),
        }
    }
}

impl ProbePage {
    /// A readable line, if the frontend does not respond.
    pub(super) fn problem(&self) -> Option<String> {
        let Self { service, message, replacements, .. } = self;
        let replaced = match replacements {
            0 => String::new(),
            1 => " (its load balancer was replaced once)".to_owned(),
            times => format!(" (its load balancer was replaced {times} times)"),
        };
        self.is_problem.then(|| format!("{service}: {message}{replaced}"))
    }
}
