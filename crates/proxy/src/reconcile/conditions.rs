//! The conditions of each frontend, from its last plan or write.

use std::collections::BTreeSet;

use rustc_hash::FxHashMap;

use crate::condition::ServiceCondition;
use crate::frontend::Frontend;
use crate::plan::PlanReport;

#[derive(Debug, Default)]
pub(super) struct FrontendConditions {
    conditions: FxHashMap<Frontend, Vec<ServiceCondition>>,
    /// Frontends whose backends are all in missing networks.
    waiting: BTreeSet<Frontend>,
}

impl FrontendConditions {
    /// Replaces the conditions of the frontends that a plan covers.
    pub(super) fn replace(&mut self, planned: &BTreeSet<Frontend>, report: &PlanReport) {
        for frontend in planned {
            // A plan states all conditions of a frontend, so what it does not repeat is resolved.
            self.conditions.remove(frontend);
            self.waiting.remove(frontend);
        }
        self.waiting.extend(&report.waiting);
        for (frontend, condition) in &report.conditions {
            self.add(*frontend, condition.clone());
        }
    }

    pub(super) fn add(&mut self, frontend: Frontend, condition: ServiceCondition) {
        self.conditions.entry(frontend).or_default().push(condition);
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &ServiceCondition> {
        self.conditions.values().flatten()
    }

    pub(super) fn waiting(&self) -> &BTreeSet<Frontend> {
        &self.waiting
    }
}
