//! Explaining a Service from what is known.

use super::*;
use crate::explain::{ExplainedCondition, Explainer, Explanation, HnsView};

impl Reconciler {
    /// Explains a Service; none, if the cluster has no such Service. No call is made: what is said of HNS is what is known of it.
    pub fn explain(&mut self, name: &ServiceName, now: Duration) -> Option<Explanation> {
        self.work = Work::default();
        self.refresh_wishes();
        let constraints = self.constraints(now);
        let entry = self.cluster.get(name)?;
        let service = entry.service.as_ref()?;
        let mut explanation = Explanation {
            service: name.clone(),
            hns: if self.suspended { HnsView::Unavailable } else { HnsView::Known },
            notices: Vec::new(),
            frontends: Vec::new(),
            steps: Vec::new(),
        };
        let Some(planner) = self.planner(&constraints) else {
            explanation.hns = HnsView::NotLookedAt;
            return Some(explanation);
        };
        let explainer = Explainer { entry, service, node: &self.node, planner };
        let scope = explainer.scope();
        let plan = planner.plan(&scope);
        let waits = |frontend| {
            self.failed.holds_back(Subject::Frontend(frontend), now)
                || plan.report.postponed.contains(&frontend)
                || plan.report.waiting.contains(&frontend)
        };
        explanation.frontends = explainer.frontends(&plan, waits);
        explanation.steps = plan.steps.iter().map(|step| format!("{}: {}", step.action, step.reason)).collect();
        let mut conditions: Vec<Condition> = self.desired.conditions_of(name).to_vec();
        conditions.extend(scope.frontends.iter().filter_map(|frontend| self.desired.conflict(name, *frontend)));
        let planned = plan.report.conditions.into_iter().map(|(_, notice)| notice);
        conditions.extend(planned.filter(|notice| notice.service == *name).map(|notice| notice.condition));
        for condition in &conditions {
            let notice = ExplainedCondition::from(condition);
            if !explanation.notices.contains(&notice) {
                explanation.notices.push(notice);
            }
        }
        self.work.frontends += scope.frontends.len();
        self.work.addresses += scope.addresses.len();
        Some(explanation)
    }

    /// How much the last run, or explanation, visited.
    pub fn work(&self) -> Work {
        self.work
    }
}
