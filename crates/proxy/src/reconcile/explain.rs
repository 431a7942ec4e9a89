//! Explains a Service from the desired and the observed state.

use std::time::Duration;

use super::{Reconciler, Work};
use crate::condition::Condition;
use crate::dirty::Subject;
use crate::explain::{ExplainedCondition, Explainer, Explanation, HnsView};
use crate::model::ServiceName;

impl Reconciler {
    /// Explains a Service; `None` if the cluster has no such Service. Makes no call: it uses the observed state.
    pub fn explain(&mut self, name: &ServiceName, now: Duration) -> Option<Explanation> {
        self.work = Work::default();
        // Pending changes are included: the explanation is about the cluster as it is now.
        self.refresh_desired();
        let constraints = self.constraints(now);
        let entry = self.inputs.cluster.get(name)?;
        let service = entry.service.as_ref()?;
        let mut explanation = Explanation::before_audit(name.clone());
        let Some(planner) = self.planner(&constraints) else { return Some(explanation) };
        explanation.hns = if self.audit.has_failed() { HnsView::Unavailable } else { HnsView::Known };
        let explainer = Explainer { entry, service, node: &self.environment.node, planner };
        let scope = explainer.scope();
        // The planner decides as in a run, so the explanation cannot differ from what is done.
        let plan = planner.plan(&scope);
        let waiting = |frontend| {
            self.retries.failed.is_backing_off(Subject::Frontend(frontend), now)
                || self.contention.is_delayed(Subject::Frontend(frontend), now)
                || plan.report.postponed.contains(&frontend)
                || plan.report.waiting.contains(&frontend)
        };
        explanation.frontends = explainer.frontends(&plan, waiting);
        explanation.steps = plan.steps.iter().map(|step| format!("{}: {}", step.action, step.reason)).collect();
        let mut conditions: Vec<Condition> = self.desired.conditions_of(name).to_vec();
        conditions.extend(scope.frontends.iter().filter_map(|frontend| self.desired.conflict(name, *frontend)));
        let planned = plan.report.conditions.into_iter().map(|(_, condition)| condition);
        let planned = planned.chain(self.health_check_conflicts());
        conditions.extend(planned.filter(|planned| planned.service == *name).map(|planned| planned.condition));
        for condition in &conditions {
            let condition = ExplainedCondition::from(condition);
            // Several frontends of a Service often have the same condition.
            if !explanation.conditions.contains(&condition) {
                explanation.conditions.push(condition);
            }
        }
        self.work.frontends += scope.frontends.len();
        self.work.addresses += scope.addresses.len();
        Some(explanation)
    }

    /// The work of the last run or explanation.
    pub fn work(&self) -> Work {
        self.work
    }
}
