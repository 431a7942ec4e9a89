//! The explanation of a Service as text: frontend by frontend, with one line for each backend.

use std::fmt::Write;

use hcn::schema::LoadBalancerFlags;
use proxy::Explanation;
use proxy::desire::select::Hints;
use proxy::explain::{ExplainedBackend, ExplainedFrontend, ExplainedLoadBalancer, HnsView};

pub fn explanation(explanation: &Explanation, note: &str) -> String {
    let mut text = format!("{note}\nService {}\n", explanation.service);
    match explanation.hns {
        HnsView::Known => {}
        HnsView::Unavailable => text += "HNS is unavailable at present; its state is the last one known\n",
        HnsView::NotAudited => text += "HNS was not read yet; the state of the frontends is not known\n",
    }
    if explanation.frontends.is_empty() && explanation.hns != HnsView::NotAudited {
        text += "no frontend that can be served\n";
    }
    for frontend in &explanation.frontends {
        text.push('\n');
        text += &one(frontend);
    }
    text.push('\n');
    for notice in &explanation.conditions {
        line(&mut text, 0, &format!("{}: {}", notice.reason, notice.text));
    }
    match explanation.steps.as_slice() {
        [] => text += "no changes\n",
        steps => {
            text += "would change:\n";
            steps.iter().for_each(|step| line(&mut text, 2, step));
        }
    }
    text
}

fn line(text: &mut String, indent: usize, what: &str) {
    // Writing to a string does not fail.
    let _ = writeln!(text, "{:indent$}{what}", "");
}

fn one(frontend: &ExplainedFrontend) -> String {
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
    let width = frontend.backends.iter().map(|backend| place(backend).len()).max().unwrap_or_default();
    for backend in &frontend.backends {
        let sign = if backend.state.serves() { "in " } else { "out" };
        line(&mut text, 2, &format!("{sign} {:width$}  {}", place(backend), backend.state.description()));
    }
    match &frontend.desired {
        Some(desired) => line(&mut text, 2, &format!("desired: {}", balancer(desired))),
        None => line(&mut text, 2, "desired: no load balancer"),
    }
    match frontend.observed.as_slice() {
        [] => line(&mut text, 2, "observed: none"),
        all => all.iter().for_each(|observed| {
            let owner = if observed.ours { "" } else { " (foreign)" };
            line(&mut text, 2, &format!("observed: {}{owner}", balancer(observed)));
        }),
    }
    if frontend.waiting {
        line(&mut text, 2, "waiting for a retry after a failure or a replacement");
    }
    text
}

fn place(backend: &ExplainedBackend) -> String {
    let mut text = std::net::SocketAddr::new(backend.address, backend.port).to_string();
    if let Some(node) = &backend.node {
        text += &format!(" on {node}");
    }
    text
}

fn balancer(balancer: &ExplainedLoadBalancer) -> String {
    let mut text = format!("{} with {}", balancer.id, balancer.backends.join(", "));
    let Some(document) = &balancer.document else { return text };
    for mapping in &document.port_mappings {
        text += &format!(", port {}", mapping.internal_port);
        if !mapping.distribution_type.is_default() {
            text += ", affinity";
        }
    }
    if document.flags.contains(LoadBalancerFlags::DSR) {
        text += ", DSR";
    }
    text
}
