//! A plan, for people and for programs.

use proxy::Plan;
use serde::Serialize;
use serde_json::Value;

/// A plan with the words for it.
#[derive(Debug, Serialize)]
pub struct PlanView {
    /// What it was made of.
    pub note: String,
    /// The steps, in order.
    pub steps: Vec<StepView>,
}

/// A step with the words for it.
#[derive(Debug, Serialize)]
pub struct StepView {
    /// What is done, in words.
    pub what: String,
    /// Why, in words.
    pub why: String,
    /// The Service it is done for.
    pub service: Option<String>,
    /// The action with its id and document.
    pub action: Value,
}

impl PlanView {
    /// The view of a plan.
    pub fn of(plan: &Plan, note: String) -> Self {
        let view = |step: &proxy::Step| StepView {
            what: step.action.to_string(),
            why: step.reason.to_string(),
            service: step.service.as_ref().map(ToString::to_string),
            action: serde_json::to_value(&step.action).unwrap_or_default(),
        };
        Self { note, steps: plan.steps.iter().map(view).collect() }
    }

    /// The plan as lines of text.
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
            0 => "nothing to do\n".to_owned(),
            1 => "1 step\n".to_owned(),
            count => format!("{count} steps\n"),
        };
        text
    }
}
