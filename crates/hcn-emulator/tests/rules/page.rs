//! The lists of rules in `docs/windows.md`.

use std::fmt::Write;
use std::fs;
use std::path::Path;

use hcn_emulator::rules::{ALL, Evidence, assumed};

const BEGIN: &str = "<!-- rules of the emulator: begin -->\n";
const END: &str = "<!-- rules of the emulator: end -->\n";

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
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/windows.md");
    let page = fs::read_to_string(&path).unwrap();
    let (before, rest) = page.split_once(BEGIN).unwrap();
    let (_, after) = rest.split_once(END).unwrap();
    let expected = format!("{before}{BEGIN}\n{}\n{END}{after}", lists());
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(&path, &expected).unwrap();
    }
    let found = fs::read_to_string(&path).unwrap();
    assert!(found == expected, "docs/windows.md is out of date: run this test with UPDATE_DOCS=1");
}
