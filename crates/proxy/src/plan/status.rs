//! Whether each desired frontend is in sync.

use super::{Plan, Planner};
use crate::desire::DesiredFrontend;
use crate::frontend::Frontend;

/// A desired frontend, and whether HNS has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FrontendStatus {
    pub desired: DesiredFrontend,
    /// Whether the frontend is in sync: no step is needed.
    pub in_sync: bool,
}

impl Planner<'_> {
    /// The status of every desired frontend, sorted by Service.
    pub fn statuses(&self) -> Vec<FrontendStatus> {
        let status = |desired: &DesiredFrontend| FrontendStatus {
            desired: desired.clone(),
            in_sync: self.is_in_sync(desired.spec.frontend),
        };
        let mut statuses: Vec<_> = self.desired.iter().map(status).collect();
        statuses.sort_by(|FrontendStatus { desired: a, .. }, FrontendStatus { desired: b, .. }| {
            (&a.service, a.spec.kind, a.spec.frontend).cmp(&(&b.service, b.spec.kind, b.spec.frontend))
        });
        statuses
    }

    fn is_in_sync(&self, frontend: Frontend) -> bool {
        // Uses the planner, so that the status always agrees with the next run.
        let mut plan = Plan::default();
        self.plan_frontend(frontend, &mut plan);
        // A frontend that waits for its network has no step, and yet HNS does not have what is desired.
        plan.steps.is_empty() && plan.report.waiting.is_empty()
    }
}
