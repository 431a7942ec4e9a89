//! Generated pages of `docs/`, and generated sections of pages, which tests compare with the committed files.
//!
//! If the environment variable `UPDATE_DOCS` is set, the files are written first.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, reason = "only tests use it")]

use std::fs;
use std::path::{Path, PathBuf};

/// Compares a page with its file in `docs/`.
///
/// # Panics
/// If they differ, or the file cannot be written.
pub fn check_page(file: &str, page: &str) {
    let path = path(file);
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(&path, page).unwrap();
    }
    let found = fs::read_to_string(&path).unwrap_or_default();
    assert!(found == page, "docs/{file} is out of date: run this test with UPDATE_DOCS=1");
}

/// Compares a section with that between the lines `<!-- NAME: begin -->` and `<!-- NAME: end -->` of a page.
///
/// # Panics
/// If they differ, or the page cannot be read or written, or does not have both lines.
pub fn check_section(file: &str, name: &str, section: &str) {
    let [begin, end] = ["begin", "end"].map(|place| format!("<!-- {name}: {place} -->\n"));
    let page = fs::read_to_string(path(file)).unwrap();
    let (before, rest) = page.split_once(&begin).unwrap();
    let (_, after) = rest.split_once(&end).unwrap();
    check_page(file, &format!("{before}{begin}\n{section}\n{end}{after}"));
}

fn path(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs").join(file)
}
