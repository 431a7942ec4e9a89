//! The explanation of a Service as text: frontend by frontend, with one line for each backend.

use std::fmt::Write;

use hcn::schema::LoadBalancerFlags;
use proxy::Explanation;
use proxy::desire::select::Hints;
use proxy::explain::{ExplainedBackend, ExplainedFrontend, ExplainedLoadBalancer, HnsView};

pub fn explanation(explanation: &Explanation, description: &str) -> String {
    let mut text = format!("{description}\nService {}\n", explanation.service);
    match explanation.hns {
        HnsView::Known => {}
        HnsView::Unavailable => text += "HNS unavailable: the observed state is that of the last audit\n",
        HnsView::NotAudited => text += "HNS not audited yet: the observed state is unknown\n",
    }
    if explanation.frontends.is_empty() && explanation.hns != HnsView::NotAudited {
        text += "no frontends\n";
    }
    for frontend in &explanation.frontends {
        text.push('\n');
        text += &frontend_text(frontend);
    }
    text.push('\n');
    for condition in &explanation.conditions {
        line(&mut text, 0, &format!("{}: {}", condition.reason, condition.text));
    }
    match explanation.steps.as_slice() {
        [] => text += "no changes\n",
        steps => {
            text += "pending changes:\n";
            steps.iter().for_each(|step| line(&mut text, 2, step));
        }
    }
    text
}

fn line(text: &mut String, indent: usize, content: &str) {
    // Writing to a string does not fail.
    let _ = writeln!(text, "{:indent$}{content}", "");
}

fn frontend_text(frontend: &ExplainedFrontend) -> String {
    let mut text = String::new();
    let mut head = format!("{} {}", frontend.kind, frontend.frontend);
    if !frontend.port_name.is_empty() {
        head += &format!(" ({})", frontend.port_name);
    }
    if frontend.local_only {
        head += ", only backends of this node";
    }
    match frontend.hints {
        Hints::None => {}
        Hints::Node => head += ", filtered by node hints",
        Hints::Zone => head += ", filtered by zone hints",
    }
    line(&mut text, 0, &head);
    if let Some(owner) = &frontend.owned_by {
        line(&mut text, 2, &format!("conflict: Service {owner} has this frontend"));
    }
    if frontend.backends.is_empty() {
        line(&mut text, 2, "no EndpointSlice has a backend for this port");
    }
    let width = frontend.backends.iter().map(|backend| backend_text(backend).len()).max().unwrap_or_default();
    for backend in &frontend.backends {
        let sign = if backend.state.serves() { "in " } else { "out" };
        line(&mut text, 2, &format!("{sign} {:width$}  {}", backend_text(backend), backend.state.description()));
    }
    match &frontend.desired {
        Some(desired) => line(&mut text, 2, &format!("desired: {}", load_balancer_text(desired))),
        None => line(&mut text, 2, "desired: no load balancer"),
    }
    match frontend.observed.as_slice() {
        [] => line(&mut text, 2, "observed: none"),
        all => all.iter().for_each(|observed| {
            let owner = if observed.ours { "" } else { " (foreign)" };
            line(&mut text, 2, &format!("observed: {}{owner}", load_balancer_text(observed)));
        }),
    }
    if frontend.waiting {
        line(&mut text, 2, "waiting: changes of this frontend are delayed");
    }
    text
}

fn backend_text(backend: &ExplainedBackend) -> String {
    let mut text = std::net::SocketAddr::new(backend.address, backend.port).to_string();
    if let Some(node) = &backend.node {
        text += &format!(" on {node}");
    }
    text
}

fn load_balancer_text(load_balancer: &ExplainedLoadBalancer) -> String {
    let mut text = format!("{} with {}", load_balancer.id, load_balancer.backends.join(", "));
    let Some(document) = &load_balancer.document else { return text };
    for mapping in &document.port_mappings {
        text += &format!(", port {}", mapping.internal_port);
        if !mapping.distribution_type.is_default() {
            text += ", session affinity";
        }
    }
    if document.flags.contains(LoadBalancerFlags::DSR) {
        text += ", DSR";
    }
    text
}
