//! The table of assumptions in `docs/packets.md`.

use std::fmt::Write;
use std::fs;
use std::path::Path;

use vswitch::Assumptions;

const BEGIN: &str = "<!-- assumptions: begin -->\n";
const END: &str = "<!-- assumptions: end -->\n";

/// The generated part of the page.
fn table() -> String {
    let mut text = format!(
        "There are {} combinations.\n\n| Question | Answer | Evidence |\n|---|---|---|\n",
        Assumptions::all().len()
    );
    for alternative in Assumptions::alternatives() {
        let question = if alternative.is_default { alternative.question } else { "" };
        let _ = writeln!(text, "| {question} | {} | {} |", alternative.answer, alternative.evidence);
    }
    text
}

#[test]
fn the_page_lists_the_assumptions() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/packets.md");
    let page = fs::read_to_string(&path).unwrap();
    let (before, rest) = page.split_once(BEGIN).unwrap();
    let (_, after) = rest.split_once(END).unwrap();
    let expected = format!("{before}{BEGIN}\n{}\n{END}{after}", table());
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(&path, &expected).unwrap();
    }
    let found = fs::read_to_string(&path).unwrap();
    assert!(found == expected, "docs/packets.md is out of date: run this test with UPDATE_DOCS=1");
}
