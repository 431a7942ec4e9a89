//! The list of checks in `docs/windows.md`.

use std::fmt::Write;

use generated_pages::check_section;
use hcn_emulator::conformance;
use hcn_survey::{Check, Survey};

use super::{hns_of, probe};

/// The checks of a probe with writes, of both APIs.
fn checks_of_probe() -> Vec<Check> {
    let mut checks = Vec::new();
    for build in ["latest", "server2019-rtm"] {
        let probed = probe(&hns_of(build, "L2Bridge"), &["--write", "--yes", "--samples=1"]).expect(0);
        let survey = Survey::from_json(&probed.stdout).unwrap();
        checks.extend(survey.findings.into_iter().map(|finding| finding.check));
    }
    checks
}

/// The generated part of the page.
fn list() -> String {
    let (probe, suite) = (checks_of_probe(), conformance::checks().collect::<Vec<_>>());
    let mut text = String::from("| Check | In a survey | Probe | Conformance suite |\n|---|---|---|---|\n");
    let mut seen = Vec::new();
    for check in probe.iter().chain(&suite) {
        if seen.contains(check) {
            continue;
        }
        seen.push(*check);
        let name = serde_json::to_string(check).unwrap();
        let mark = |checks: &[Check]| if checks.contains(check) { "yes" } else { "" };
        let _ =
            writeln!(text, "| {} | `{}` | {} | {} |", check.text(), name.trim_matches('"'), mark(&probe), mark(&suite));
    }
    text
}

#[test]
fn the_page_lists_the_checks() {
    check_section("windows.md", "checks", &list());
}
