//! A plan as text and as JSON.

use proxy::Plan;
use serde::Serialize;
use serde_json::Value;

use super::counted;

#[derive(Debug, Serialize)]
pub struct PlanView {
    /// Which HNS this is, and the settings with which it is programmed.
    pub description: String,
    /// In the order of execution.
    pub steps: Vec<StepView>,
}

#[derive(Debug, Serialize)]
pub struct StepView {
    /// The action as text.
    pub message: String,
    /// Why the step is needed, as text.
    pub reason: String,
    pub service: Option<String>,
    /// The action with its id and document.
    pub action: Value,
}

impl PlanView {
    pub fn of(plan: &Plan, description: String) -> Self {
        let view = |step: &proxy::Step| StepView {
            message: step.action.to_string(),
            reason: step.reason.to_string(),
            service: step.service.as_ref().map(ToString::to_string),
            action: serde_json::to_value(&step.action).unwrap_or_default(),
        };
        Self { description, steps: plan.steps.iter().map(view).collect() }
    }

    pub fn text(&self) -> String {
        let mut text = format!("{}\n", self.description);
        for step in &self.steps {
            text += &format!("{}\n    reason: {}", step.message, step.reason);
            if let Some(service) = &step.service {
                text += &format!("\n    Service {service}");
            }
            text.push('\n');
        }
        match self.steps.len() {
            0 => text += "no changes\n",
            steps => text += &format!("{}\n", counted(steps, "step")),
        }
        text
    }
}
