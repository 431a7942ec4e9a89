//! The table of assumptions in `docs/packets.md`.

use std::fmt::Write;

use generated_pages::check_section;
use vswitch::Assumptions;

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
    check_section("packets.md", "assumptions", &table());
}
