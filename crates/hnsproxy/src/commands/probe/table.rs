//! A survey as text.

use hcn::Hresult;
use hcn_survey::{Finding, HostFacts, ListFacts, MemberFacts, NotProbed, Survey, Verdict};

use crate::view::{Layout, columns};

/// The largest number of objects of one kind that are shown. JSON has all.
const MAX_SHOWN: usize = 20;

pub(super) fn text(survey: &Survey, layout: Layout) -> String {
    let mut parts = vec![format!("{}\n{}\n", survey.description, host(&survey.host))];
    parts.extend(section("Networks", &survey.networks, |network| {
        format!("{} ({}) {}", network.name, network.kind, network.subnets.join(", "))
    }));
    let choice = &survey.network_choice;
    parts.push(format!("Network used: {} ({})\n", choice.name.as_deref().unwrap_or("none"), choice.reason));
    parts.extend(section("Load balancers of other programs", &survey.foreign_load_balancers, |foreign| {
        format!("{} on {}: {}", foreign.id, foreign.frontends.join(", "), foreign.likely_creator)
    }));
    parts.extend(section("Local endpoints without policies", &survey.endpoints_without_policies, |endpoint| {
        format!("{} {} {}: {}", endpoint.id, endpoint.name, endpoint.address, endpoint.missing.join(", "))
    }));
    parts.extend(section("Lists", &survey.lists, list));
    parts.extend(section("Unknown members", &survey.unknown_members, member));
    parts.extend(section("Members and documents that cannot be read", &survey.unreadable, member));
    if !survey.unreadable_documents.is_empty() {
        parts.push("  -o json has the documents\n".to_owned());
    }
    let rows = survey.findings.iter().map(|finding| {
        [
            finding.check.text().to_owned(),
            observed(finding),
            finding.expected.join(" or "),
            finding.verdict.as_str().to_owned(),
        ]
    });
    parts.push(columns(layout, 1, ["CHECK", "OBSERVED", "EXPECTED", "RESULT"], rows) + "\n");
    if !survey.timings.is_empty() {
        let rows = survey.timings.iter().map(|timing| {
            let milliseconds = |time: f64| format!("{time:.1}");
            [timing.call.clone(), timing.count.to_string(), milliseconds(timing.p50_ms), milliseconds(timing.max_ms)]
        });
        parts.push(columns(layout, 1, ["CALL", "CALLS", "P50 MS", "MAX MS"], rows) + "\n");
    }
    parts.push(summary(survey));
    parts.concat()
}

pub(super) fn not_probed(facts: &NotProbed) -> String {
    format!("{}\n{}\nHNS not probed: {}\n", facts.description, host(&facts.host), facts.error)
}

/// A code has its name instead of the message, which is long.
fn observed(finding: &Finding) -> String {
    let code = finding.observed.strip_prefix("0x").and_then(|digits| u32::from_str_radix(digits, 16).ok());
    let detail = match code {
        Some(code) => Hresult(code).name().map(str::to_owned),
        None => finding.detail.clone(),
    };
    detail.map_or_else(|| finding.observed.clone(), |detail| format!("{} ({detail})", finding.observed))
}

/// The last line.
fn summary(survey: &Survey) -> String {
    let count = |verdict| survey.findings.iter().filter(|finding| finding.verdict == verdict).count();
    let (expected, other, unknown) = (count(Verdict::Expected), count(Verdict::Other), count(Verdict::Unknown));
    if other == 0 {
        format!("all as expected: {expected} expected, {unknown} unknown\n")
    } else {
        format!("not as expected: {other} other, {expected} expected, {unknown} unknown\n")
    }
}

fn host(host: &HostFacts) -> String {
    let unknown = || "unknown".to_owned();
    let number = |number: Option<u32>| number.map_or_else(unknown, |number| number.to_string());
    format!(
        "Windows {}, build {}.{}; HNS {}; service hns {}",
        host.windows_edition.clone().unwrap_or_else(unknown),
        number(host.windows_build),
        number(host.windows_revision),
        host.hns_version.clone().unwrap_or_else(unknown),
        host.hns_service.clone().unwrap_or_else(unknown)
    )
}

fn list(list: &ListFacts) -> String {
    let ids = |what: &str, ids: &[String]| {
        if ids.is_empty() { String::new() } else { format!("; {what}: {}", shown(ids.iter().map(String::as_str))) }
    };
    format!(
        "{}: {} in v1, {} in v2, {} compared{}{}{}",
        list.kind,
        list.v1,
        list.v2,
        list.compared,
        ids("only in v1", &list.only_v1),
        ids("only in v2", &list.only_v2),
        ids("other backends", &list.other_backends)
    )
}

fn member(member: &MemberFacts) -> String {
    let name = if member.member.is_empty() { "whole document" } else { &member.member };
    format!("{} {} {name}: {} times, e.g. {}", member.kind, member.api, member.objects, member.value)
}

fn shown<'a>(ids: impl ExactSizeIterator<Item = &'a str>) -> String {
    let more = ids.len().saturating_sub(MAX_SHOWN);
    let text = ids.take(MAX_SHOWN).collect::<Vec<_>>().join(", ");
    if more == 0 { text } else { format!("{text} and {more} more") }
}

fn section<T>(title: &str, items: &[T], line: impl Fn(&T) -> String) -> Option<String> {
    let mut text = format!("{title}:\n");
    for item in items.iter().take(MAX_SHOWN) {
        text += &format!("  {}\n", line(item));
    }
    if items.len() > MAX_SHOWN {
        text += &format!("  and {} more; see -o json\n", items.len() - MAX_SHOWN);
    }
    (!items.is_empty()).then_some(text)
}
