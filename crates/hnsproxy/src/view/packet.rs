//! The explanation of a packet as text: the rules of the frontend, one paragraph for each backend, and the assumptions.

use std::fmt::Write;

use crate::packet::{Answer, BackendAnswer, ClientKind, End, Outcome, PacketExplanation, Share};

use super::counted;

pub fn packet(explanation: &PacketExplanation) -> String {
    let PacketExplanation { description, model, protocol, frontend, client, .. } = explanation;
    let mut text = format!("{description}\nAnswer of {model}\n\n{protocol} {} -> {frontend}\n", client.address);
    let kind = match client.kind {
        ClientKind::LocalPod => "a pod of this node",
        ClientKind::Node => "the node",
        ClientKind::Outside => "an address outside of the node",
    };
    line(&mut text, 2, &format!("client: {kind}, packets enter from {}", client.port));
    answer_text(&mut text, 2, &explanation.answer, explanation.share);
    if !explanation.other_frontends.is_empty() {
        line(&mut text, 2, &format!("other frontends with this address: {}", explanation.other_frontends.join(", ")));
    }
    text.push('\n');
    for assumed in &explanation.assumed {
        line(&mut text, 0, &format!("assumed: {assumed}"));
    }
    for not_known in &explanation.not_known {
        line(&mut text, 0, &format!("not known: {not_known}"));
    }
    match explanation.variations.as_slice() {
        [] => line(&mut text, 0, "the answer is the same with each other assumption of docs/packets.md"),
        variations => {
            for variation in variations {
                line(&mut text, 0, &format!("with another assumption ({}):", variation.evidence));
                line(&mut text, 2, &variation.question);
                line(&mut text, 4, &variation.alternative);
                answer_text(&mut text, 4, &variation.then, None);
            }
        }
    }
    text
}

fn line(text: &mut String, indent: usize, content: &str) {
    // Writing to a string does not fail.
    let _ = writeln!(text, "{:indent$}{content}", "");
}

fn answer_text(text: &mut String, indent: usize, answer: &Answer, share: Option<Share>) {
    answer.rules.iter().for_each(|rule| line(text, indent, rule));
    if let Some(outcome) = &answer.outcome {
        outcome_text(text, indent, outcome);
    }
    if answer.backends.is_empty() {
        return;
    }
    let count = answer.backends.len();
    let share = share.map_or_else(|| one_of(count), share_text);
    line(text, indent, &format!("{}, share of new flows: {share}", counted(count, "backend")));
    for backend in &answer.backends {
        line(text, indent, &backend_text(backend));
        outcome_text(text, indent + 2, &backend.outcome);
    }
}

fn share_text(share: Share) -> String {
    if share.one_of_at_least == share.one_of_at_most {
        one_of(share.one_of_at_most)
    } else {
        let most = if share.one_of_at_least == 1 { "all".to_owned() } else { format!("1/{}", share.one_of_at_least) };
        format!("1/{} to {most} each", share.one_of_at_most)
    }
}

fn one_of(count: usize) -> String {
    if count == 1 { "all".to_owned() } else { format!("1/{count} each") }
}

fn backend_text(backend: &BackendAnswer) -> String {
    match backend.address {
        Some(address) => format!("backend {address} (endpoint {})", backend.endpoint),
        None => format!("backend without address (endpoint {})", backend.endpoint),
    }
}

fn outcome_text(text: &mut String, indent: usize, outcome: &Outcome) {
    outcome.rules.iter().for_each(|rule| line(text, indent, rule));
    line(text, indent, &end_text(&outcome.end));
}

fn end_text(end: &End) -> String {
    match end {
        End::Leaves { port, source, is_source_translated, destination, provider_address } => {
            let kept = if *is_source_translated { "" } else { " (kept)" };
            let outer = provider_address.map(|address| format!(", inside VXLAN to {address}")).unwrap_or_default();
            format!("leaves through {port} to {destination} with source address {source}{kept}{outer}")
        }
        End::Reset => "answered with a TCP reset".to_owned(),
        End::Dropped { reason } => format!("dropped: {reason}"),
    }
}
