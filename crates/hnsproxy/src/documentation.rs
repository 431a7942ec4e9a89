//! Pages of `docs/` that are generated from tables of the program.

use std::path::Path;

/// Checks that the file has the generated page. With `UPDATE_DOCS` set, writes it first.
pub(crate) fn check(file: &str, page: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs").join(file);
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, page).unwrap();
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(found == page, "docs/{file} is out of date: run this test with UPDATE_DOCS=1");
}
