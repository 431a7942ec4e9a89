//! The results of all checks, as a document and as text.

use serde::Serialize;

use super::check::{Check, Finding, Verdict};
use super::checks::ALL;
use super::facts::Facts;
use crate::view::Layout;

#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::commands) struct Report {
    /// Which HNS this is.
    description: String,
    checks: Vec<Checked>,
}

/// The result of one check.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
struct Checked {
    check: &'static str,
    title: &'static str,
    /// When it is a warning or a failure.
    finds: &'static str,
    result: Verdict,
    /// What was found, or why the check is skipped.
    found: Vec<String>,
    /// Of a warning or a failure, as `cure`.
    cause: Option<&'static str>,
    cure: Option<&'static str>,
    /// The section of the documentation.
    section: String,
}

impl Report {
    pub(in crate::commands) fn of(facts: &Facts) -> Self {
        Self {
            description: facts.description.clone(),
            checks: ALL.iter().map(|check| Checked::of(check, (check.run)(facts))).collect(),
        }
    }

    pub(super) fn has_failure(&self) -> bool {
        self.count(Verdict::Failure) > 0
    }

    fn count(&self, result: Verdict) -> usize {
        self.checks.iter().filter(|checked| checked.result == result).count()
    }
}

impl Checked {
    fn of(check: &Check, finding: Result<Finding, String>) -> Self {
        let (result, found) = match finding {
            Ok(Finding::Ok(text)) => (Verdict::Ok, vec![text]),
            Ok(Finding::Warning(lines)) => (Verdict::Warning, lines),
            Ok(Finding::Failure(lines)) => (Verdict::Failure, lines),
            Err(reason) => (Verdict::Skipped, vec![reason]),
        };
        let is_found = matches!(result, Verdict::Warning | Verdict::Failure);
        Self {
            check: check.id,
            title: check.title,
            finds: check.finds,
            result,
            found,
            cause: is_found.then_some(check.cause),
            cure: is_found.then_some(check.cure),
            section: format!("docs/doctor.md#{}", check.id),
        }
    }
}

/// The largest number of lines that are shown of one check. JSON has all.
const MAX_SHOWN: usize = 10;

/// Each check with its result on a line of its own: the sentences are longer than the columns of a table.
pub(in crate::commands) fn text(report: &Report, layout: Layout) -> String {
    let shown = if layout == Layout::Wide { usize::MAX } else { MAX_SHOWN };
    let mut lines = vec![report.description.clone()];
    for checked in &report.checks {
        let label = format!("{:<8} {}", checked.result.as_str(), checked.check);
        match checked.found.as_slice() {
            [only] if checked.cause.is_none() => lines.push(format!("{label}: {only}")),
            found => {
                lines.push(format!("{label}: {}", checked.title));
                lines.extend(found.iter().take(shown).map(|line| format!("         - {line}")));
                if found.len() > shown {
                    lines.push(format!("         - {} more; -o wide shows all", found.len() - shown));
                }
            }
        }
        lines.extend(checked.cause.map(|cause| format!("         cause: {cause}")));
        lines.extend(checked.cure.map(|cure| format!("         cure: {cure}")));
    }
    lines.push(summary(report));
    lines.join("\n") + "\n"
}

/// The last line.
fn summary(report: &Report) -> String {
    let of = |result| report.count(result);
    let plural = |count: usize, noun: &str| format!("{count} {noun}{}", if count == 1 { "" } else { "s" });
    format!(
        "{}, {}, {} ok, {} skipped",
        plural(of(Verdict::Failure), "failure"),
        plural(of(Verdict::Warning), "warning"),
        of(Verdict::Ok),
        of(Verdict::Skipped)
    )
}

#[cfg(test)]
mod tests {
    use super::super::facts::testing;
    use super::*;

    #[test]
    fn without_a_source_each_check_that_needs_it_is_skipped_with_the_reason() {
        let report = Report::of(&testing::none());
        let others: Vec<_> =
            report.checks.iter().filter(|one| one.result != Verdict::Skipped).map(|one| one.check).collect();
        assert_eq!(others, ["configuration"]);
        assert!(report.checks.iter().all(|one| !one.found.is_empty() && one.found != [""]));
    }

    #[test]
    fn text_has_cause_and_cure_of_what_was_found() {
        let check = Check {
            id: "a-check",
            title: "a check",
            finds: "",
            cause: "why",
            cure: "what to do",
            run: |_| Ok(Finding::Ok(String::new())),
        };
        let checks = vec![
            Checked::of(&check, Ok(Finding::Ok("fine".into()))),
            Checked::of(&check, Ok(Finding::Failure(vec!["one".into(); 11]))),
            Checked::of(&check, Err("no source".into())),
        ];
        let report = Report { description: "HNS".into(), checks };
        let lines = "         - one\n".repeat(10);
        let expected = format!(
            "HNS\nok       a-check: fine\nfailure  a-check: a check\n{lines}         - 1 more; -o wide shows all\n         cause: why\n\
             \x20        cure: what to do\nskipped  a-check: no source\n1 failure, 0 warnings, 1 ok, 1 skipped\n"
        );
        assert_eq!(text(&report, Layout::Narrow { width: None }), expected);
        assert!(report.has_failure());
    }
}
