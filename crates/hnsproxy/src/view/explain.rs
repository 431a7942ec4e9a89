//! An explanation of a Service, for people: frontend by frontend, a line a backend.

use std::fmt::Write;

use hcn::schema::LoadBalancerFlags;
use proxy::Explanation;
use proxy::desire::select::Hints;
use proxy::explain::{ExplainedBackend, ExplainedFrontend, ExplainedLoadBalancer, HnsView};

/// The explanation as lines of text.
pub fn explanation(explanation: &Explanation, note: &str) -> String {
    let mut text = format!("{note}\nService {}\n", explanation.service);
    match explanation.hns {
        HnsView::Known => {}
        HnsView::Unavailable => text += "HNS can't be asked at present; what is said of it was so before\n",
        HnsView::NotLookedAt => text += "HNS was not looked at yet; nothing can be said of frontends\n",
    }
    if explanation.frontends.is_empty() && explanation.hns != HnsView::NotLookedAt {
        text += "it has no frontend that can be served\n";
    }
    for frontend in &explanation.frontends {
        text.push('\n');
        text += &one(frontend);
    }
    text.push('\n');
    for notice in &explanation.notices {
        line(&mut text, 0, &format!("{}: {}", notice.reason, notice.text));
    }
    match explanation.steps.as_slice() {
        [] => text += "nothing to do\n",
        steps => {
            text += "would be done:\n";
            steps.iter().for_each(|step| line(&mut text, 2, step));
        }
    }
    text
}

fn line(text: &mut String, indent: usize, what: &str) {
    // Writing to a string can't fail.
    let _ = writeln!(text, "{:indent$}{what}", "");
}

fn one(frontend: &ExplainedFrontend) -> String {
    let mut text = String::new();
    let mut head = format!("{} {}", frontend.kind, frontend.frontend);
    if !frontend.port_name.is_empty() {
        head += &format!(" ({})", frontend.port_name);
    }
    if frontend.local_only {
        head += ", this node only";
    }
    match frontend.hints {
        Hints::None => {}
        Hints::Node => head += ", by the hints for nodes",
        Hints::Zone => head += ", by the hints for zones",
    }
    line(&mut text, 0, &head);
    if let Some(owner) = &frontend.held_by {
        line(&mut text, 2, &format!("belongs to Service {owner}"));
    }
    if frontend.backends.is_empty() {
        line(&mut text, 2, "no EndpointSlice has a backend for this port");
    }
    let width = frontend.backends.iter().map(|backend| place(backend).len()).max().unwrap_or_default();
    for backend in &frontend.backends {
        let sign = if backend.state.serves() { "in " } else { "out" };
        line(&mut text, 2, &format!("{sign} {:width$}  {}", place(backend), backend.state.words()));
    }
    match &frontend.wanted {
        Some(wanted) => line(&mut text, 2, &format!("wanted: {}", balancer(wanted))),
        None => line(&mut text, 2, "wanted: no load balancer"),
    }
    match frontend.held.as_slice() {
        [] => line(&mut text, 2, "HNS holds: none"),
        held => held.iter().for_each(|held| {
            let owner = if held.ours { "" } else { ", made by others" };
            line(&mut text, 2, &format!("HNS holds: {}{owner}", balancer(held)));
        }),
    }
    if frontend.waits {
        line(&mut text, 2, "it failed, or was replaced, a moment ago; more is done later");
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
