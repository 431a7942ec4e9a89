//! Pages of `docs/` that are made from tables of the program, and compared with what is in the repository.

use std::path::Path;

/// Compares a page with its file; with `UPDATE_DOCS` set, writes the file before.
pub(crate) fn check(file: &str, page: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs").join(file);
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, page).unwrap();
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(found == page, "docs/{file} is not what the program says: run this test with UPDATE_DOCS=1");
}
