//! A test for each file of `tests/scenarios`: the case (see [`Input`]), a line of `=`, then the outcome as recorded.
//!
//! With `UPDATE_SCENARIOS=1` in the environment, a test writes the current outcome into its file, for review.

use std::fs;
use std::path::{Path, PathBuf};

use libtest_mimic::{Failed, Trial};

use crate::scenario::{Input, outcome};

const SEPARATOR: &str = "==========\n";

pub(crate) fn trials() -> impl Iterator<Item = Trial> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scenarios");
    let mut files: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files.into_iter().map(|file| {
        let name = file.file_stem().unwrap().to_str().unwrap();
        Trial::test(format!("scenarios::{name}"), move || check(&file))
    })
}

fn check(file: &Path) -> Result<(), Failed> {
    let text = fs::read_to_string(file)?;
    let (case, recorded) = text.split_once(SEPARATOR).unwrap_or((&text, ""));
    let input: Input = serde_saphyr::from_str(case)?;
    if input.about.is_empty() {
        return Err("the field about is empty".into());
    }
    let current = outcome(case);
    if current == recorded {
        return Ok(());
    }
    if std::env::var_os("UPDATE_SCENARIOS").is_some() {
        let end = if case.ends_with('\n') { "" } else { "\n" };
        fs::write(file, format!("{case}{end}{SEPARATOR}{current}"))?;
        return Ok(());
    }
    Err(format!("{}\nUPDATE_SCENARIOS=1 records the current outcome.", difference(recorded, &current)).into())
}

/// The first line that differs, with the lines around it.
fn difference(recorded: &str, current: &str) -> String {
    let (recorded, current): (Vec<_>, Vec<_>) = (recorded.lines().collect(), current.lines().collect());
    let shorter = recorded.len().min(current.len());
    let first = recorded.iter().zip(&current).position(|(a, b)| a != b).unwrap_or(shorter);
    let around =
        |lines: &[&str]| lines.iter().skip(first.saturating_sub(2)).take(6).copied().collect::<Vec<_>>().join("\n    ");
    format!("  recorded:\n    {}\n  current:\n    {}", around(&recorded), around(&current))
}
