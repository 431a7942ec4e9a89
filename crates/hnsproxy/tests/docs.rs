//! Command lines of the pages: those of the tutorial print what the page shows, and all others are valid.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::fs;
use std::path::{Path, PathBuf};

use clap::error::ErrorKind;
use pulldown_cmark::{CodeBlockKind, Event, Parser, Tag, TagEnd};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// `TRYCMD=overwrite cargo nextest run -p hnsproxy --test docs` writes the current outputs to the page.
#[test]
fn the_commands_of_the_tutorial_print_what_it_shows() {
    // Commands of the page name files relative to the repository.
    std::env::set_current_dir(root()).unwrap();
    trycmd::TestCases::new()
        .register_bin("hnsproxy", Path::new(env!("CARGO_BIN_EXE_hnsproxy")))
        .case("docs/start.md")
        .run();
}

#[test]
fn each_command_line_of_the_pages_is_valid() {
    let mut checked = 0;
    let mut invalid = Vec::new();
    for page in pages() {
        let text = fs::read_to_string(&page).unwrap();
        for line in command_lines(&text) {
            checked += 1;
            let Some(arguments) = shlex::split(&line) else {
                invalid.push(format!("{}: {line}: a quote is not closed", page.display()));
                continue;
            };
            if let Err(error) = hnsproxy::cli::parse(arguments.into_iter().map(Into::into))
                && !is_placeholder(error.kind())
            {
                invalid.push(format!("{}: {line}\n{error}", page.display()));
            }
        }
    }
    assert!(invalid.is_empty(), "{}", invalid.join("\n"));
    // The pages have more than a hundred; none found means that they are written in another form.
    assert!(checked > 50, "only {checked} command lines found");
}

/// Whether only a value is missing, or a name such as `FILE` stands for it.
fn is_placeholder(error: ErrorKind) -> bool {
    matches!(
        error,
        ErrorKind::MissingRequiredArgument
            | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand
            | ErrorKind::InvalidValue
            | ErrorKind::ValueValidation
            | ErrorKind::DisplayHelp
            | ErrorKind::DisplayVersion
    )
}

fn pages() -> Vec<PathBuf> {
    let mut pages: Vec<PathBuf> =
        ["README.md", "SECURITY.md", "crates/hcn-emulator/README.md"].map(|page| root().join(page)).into();
    for folder in ["docs", "docs/install"] {
        let entries = fs::read_dir(root().join(folder)).unwrap();
        pages.extend(
            entries.map(|entry| entry.unwrap().path()).filter(|page| page.extension().is_some_and(|is| is == "md")),
        );
    }
    pages
}

/// The command lines of hnsproxy in code, also those that are run by cargo, without those that stand for several.
fn command_lines(page: &str) -> Vec<String> {
    let mut lines = Vec::new();
    let mut is_block = false;
    for event in Parser::new_ext(page, pulldown_cmark::Options::ENABLE_TABLES) {
        match event {
            Event::Start(Tag::CodeBlock(kind)) => {
                // Other languages show documents.
                is_block = match kind {
                    CodeBlockKind::Indented => true,
                    CodeBlockKind::Fenced(language) => {
                        matches!(&*language, "" | "console" | "sh" | "powershell" | "text")
                    }
                }
            }
            Event::End(TagEnd::CodeBlock) => is_block = false,
            Event::Text(text) if is_block => lines.extend(text.lines().filter_map(command_line)),
            Event::Code(code) => lines.extend(command_line(&code)),
            _ => {}
        }
    }
    lines
}

fn command_line(line: &str) -> Option<String> {
    let line = line.trim().trim_start_matches("$ ");
    let is_partial = line.contains(['[', '|', '…', '`']) || line.contains("...") || line.ends_with('\\');
    let (program, arguments) = line.split_once(' ')?;
    let name = program.trim_start_matches(".\\").trim_start_matches("target/release/");
    // A path of Windows has separators that a shell would remove.
    let arguments = arguments.replace('\\', "/");
    if let Some((_, rest)) =
        arguments.split_once(" -- ").filter(|_| name == "cargo" && line.contains("run -p hnsproxy -- "))
    {
        return (!is_partial).then(|| format!("hnsproxy {rest}"));
    }
    // Output begins with the version.
    let is_output = arguments.starts_with(|first: char| first.is_ascii_digit());
    (matches!(name, "hnsproxy" | "hnsproxy.exe") && !is_partial && !is_output).then(|| format!("hnsproxy {arguments}"))
}
