//! A plan as text and as JSON.

use proxy::Plan;
use serde::Serialize;
use serde_json::Value;

#[derive(Debug, Serialize)]
pub struct PlanView {
    /// The HNS and the settings that the plan is for.
    pub note: String,
    /// In the order of execution.
    pub steps: Vec<StepView>,
}

#[derive(Debug, Serialize)]
pub struct StepView {
    /// The action for people.
    pub what: String,
    /// The reason for people.
    pub why: String,
    pub service: Option<String>,
    /// The action with its id and document.
    pub action: Value,
}

impl PlanView {
    pub fn of(plan: &Plan, note: String) -> Self {
        let view = |step: &proxy::Step| StepView {
            what: step.action.to_string(),
            why: step.reason.to_string(),
            service: step.service.as_ref().map(ToString::to_string),
            action: serde_json::to_value(&step.action).unwrap_or_default(),
        };
        Self { note, steps: plan.steps.iter().map(view).collect() }
    }

    pub fn text(&self) -> String {
        let mut text = format!("{}\n", self.note);
        for step in &self.steps {
            text += &format!("{}\n    because {}", step.what, step.why);
            if let Some(service) = &step.service {
                text += &format!("; for Service {service}");
            }
            text.push('\n');
        }
        text += &match self.steps.len() {
            0 => "no changes\n".to_owned(),
            1 => "1 step\n".to_owned(),
            count => format!("{count} steps\n"),
        };
        text
    }
}
