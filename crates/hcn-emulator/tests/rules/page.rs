//! The lists of rules in `docs/windows.md`.

use std::fmt::Write;

use generated_pages::check_section;
use hcn_emulator::rules::{ALL, Evidence, assumed};

/// The generated part of the page.
fn lists() -> String {
    let mut text = format!(
        "Assumed: {} of {} rules. A real HNS may accept these, or return another code.\n\n| Call | Code |\n|---|---|\n",
        assumed().count(),
        ALL.len()
    );
    for rule in assumed() {
        let _ = writeln!(text, "| {} | {} |", rule.what, code(rule.code));
    }
    text.push_str("\nWith evidence:\n\n| Call | Code | Evidence |\n|---|---|---|\n");
    for rule in ALL {
        let source = match rule.evidence {
            Evidence::Documented(source) => format!("documented: {source}"),
            Evidence::Tested(source) => format!("tested: {source}"),
            Evidence::Field(source) => format!("seen on nodes: {source}"),
            Evidence::Assumed => continue,
        };
        let _ = writeln!(text, "| {} | {} | {source} |", rule.what, code(rule.code));
    }
    text
}

fn code(code: hcn::Hresult) -> String {
    format!("`{}`", code.name().unwrap_or_default())
}

#[test]
fn the_page_lists_the_rules() {
    check_section("windows.md", "rules of the emulator", &lists());
}
