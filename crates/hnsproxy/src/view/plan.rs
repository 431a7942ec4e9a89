//! A plan as text and for JSON.

use std::collections::BTreeMap;

use hcn::Guid;
use proxy::{Action, Plan, Step};
use serde::Serialize;
use serde_json::Value;

use super::{Layout, counted};

/// A plan for JSON.
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
        let view = |step: &Step| StepView {
            message: step.action.to_string(),
            reason: step.reason.to_string(),
            service: step.service.as_ref().map(ToString::to_string),
            action: serde_json::to_value(&step.action).unwrap_or_default(),
        };
        Self { description, steps: plan.steps.iter().map(view).collect() }
    }
}

/// A plan as text: a summary, then the steps of each Service, then those of objects that no Service uses. A wide text has the ids of the objects.
pub fn plan(plan: &Plan, description: &str, layout: Layout) -> String {
    if plan.steps.is_empty() {
        return format!("{description}\nno changes\n");
    }
    let mut services: BTreeMap<_, Vec<&Step>> = BTreeMap::new();
    for step in &plan.steps {
        services.entry(step.service.as_ref()).or_default().push(step);
    }
    let unused = services.remove(&None);
    let mut text = format!("{description}\n{}; {}\n", summary(&plan.steps), counted(services.len(), "Service"));
    for (service, steps) in services {
        let name = service.map(ToString::to_string).unwrap_or_default();
        text += &group(&format!("Service {name}"), &steps, layout);
    }
    if let Some(steps) = unused {
        text += &group("Objects that no Service uses", &steps, layout);
    }
    text
}

/// `3 load balancers to create, 1 to modify; 2 endpoints to delete`.
fn summary(steps: &[Step]) -> String {
    let count = |is_counted: fn(&Action) -> bool| steps.iter().filter(|step| is_counted(&step.action)).count();
    let load_balancers = [
        (count(|action| matches!(action, Action::CreateLoadBalancer { .. })), "create"),
        (count(|action| matches!(action, Action::ModifyLoadBalancer { .. })), "modify"),
        (count(|action| matches!(action, Action::DeleteLoadBalancer { .. })), "delete"),
    ];
    let endpoints = [
        (count(|action| matches!(action, Action::CreateEndpoint { .. })), "create"),
        (count(|action| matches!(action, Action::DeleteEndpoint { .. })), "delete"),
    ];
    let parts = [changes(&load_balancers, "load balancer"), changes(&endpoints, "endpoint")];
    parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("; ")
}

/// The noun is only in the first part. Empty without changes.
fn changes(counts: &[(usize, &str)], noun: &str) -> String {
    let mut parts: Vec<String> = Vec::new();
    for (count, verb) in counts.iter().filter(|(count, _)| *count > 0) {
        let objects = if parts.is_empty() { counted(*count, noun) } else { count.to_string() };
        parts.push(format!("{objects} to {verb}"));
    }
    parts.join(", ")
}

fn id(action: &Action) -> Guid {
    match action {
        Action::CreateEndpoint { id, .. }
        | Action::DeleteEndpoint { id, .. }
        | Action::CreateLoadBalancer { id, .. }
        | Action::ModifyLoadBalancer { id, .. }
        | Action::DeleteLoadBalancer { id, .. } => *id,
    }
}

fn group(title: &str, steps: &[&Step], layout: Layout) -> String {
    let mut text = format!("\n{title}:\n");
    for Step { action, reason, .. } in steps {
        text += &match layout {
            Layout::Narrow { .. } => format!("  {action}: {reason}\n"),
            Layout::Wide => format!("  {action}: {reason} (id {})\n", id(action)),
        };
    }
    text
}

#[cfg(test)]
mod tests {
    use hcn::schema::Protocol;
    use proxy::identity::LoadBalancerContent;
    use proxy::model::{Family, ServiceName};
    use proxy::{Frontend, Reason};

    use super::*;

    fn frontend(port: u16) -> Frontend {
        Frontend { family: Family::V4, address: Some([10, 96, 0, 1].into()), protocol: Protocol::TCP, port }
    }

    fn step(action: Action, service: Option<&str>, reason: Reason) -> Step {
        Step { action, service: service.map(|name| ServiceName::new("shop", name)), reason }
    }

    fn sample() -> Plan {
        let (id, content) = (Guid::from_u128(7), LoadBalancerContent::UNKNOWN);
        let create =
            |port| Action::CreateLoadBalancer { id, frontend: frontend(port), document: Default::default(), content };
        let modify = Action::ModifyLoadBalancer { id, frontend: frontend(53), document: Default::default(), content };
        let delete = Action::DeleteLoadBalancer { id, frontend: frontend(9) };
        let endpoint = Action::DeleteEndpoint { id, address: [10, 244, 1, 2].into() };
        let steps = vec![
            step(create(80), Some("web"), Reason::Missing),
            step(modify, Some("dns"), Reason::BackendsDiffer),
            step(create(443), Some("web"), Reason::Missing),
            step(delete, None, Reason::NotDesired),
            step(endpoint, None, Reason::NotDesired),
        ];
        Plan { steps, ..Plan::default() }
    }

    #[test]
    fn a_plan_has_a_summary_and_a_group_for_each_service() {
        let expected = "\
HNS
2 load balancers to create, 1 to modify, 1 to delete; 1 endpoint to delete; 2 Services

Service shop/dns:
  modify load balancer 10.96.0.1:53/TCP in place with 0 backends: its backends differ

Service shop/web:
  create load balancer 10.96.0.1:80/TCP with 0 backends: it is missing in HNS
  create load balancer 10.96.0.1:443/TCP with 0 backends: it is missing in HNS

Objects that no Service uses:
  delete load balancer 10.96.0.1:9/TCP: no Service uses it
  delete remote endpoint 10.244.1.2: no Service uses it
";
        assert_eq!(plan(&sample(), "HNS", Layout::Narrow { width: None }), expected);
        let wide = plan(&sample(), "HNS", Layout::Wide);
        assert!(
            wide.contains("10.96.0.1:9/TCP: no Service uses it (id 00000000-0000-0000-0000-000000000007)\n"),
            "{wide}"
        );
    }

    #[test]
    fn a_plan_without_steps_has_no_changes() {
        assert_eq!(plan(&Plan::default(), "HNS", Layout::Wide), "HNS\nno changes\n");
    }
}
