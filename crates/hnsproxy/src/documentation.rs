//! Generated pages of `docs/`, compared with the committed files by tests.

use std::path::Path;

/// Compares a page with its file. If the environment variable `UPDATE_DOCS` is set, writes the file first.
pub(crate) fn check(file: &str, page: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs").join(file);
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, page).unwrap();
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(found == page, "docs/{file} is out of date: run this test with UPDATE_DOCS=1");
}
