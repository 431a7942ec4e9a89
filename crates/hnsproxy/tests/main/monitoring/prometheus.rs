//! The programs of the Debian package `prometheus`.

use std::path::Path;
use std::process::Command;

/// Whether these programs are installed. CI has to install them.
fn is_here() -> bool {
    let is_here = ["prometheus", "promtool"].map(|program| Command::new(program).arg("--version").output().is_ok());
    if is_here == [true; 2] {
        return true;
    }
    assert!(
        std::env::var_os("CI").is_none(),
        "prometheus and promtool not found: install the Debian package prometheus"
    );
    eprintln!("SKIPPED: prometheus and promtool not found; the Debian package prometheus has them");
    false
}

/// Runs promtool in a folder, if it is installed. It has to succeed.
#[track_caller]
pub(super) fn promtool(arguments: &[&str], folder: &Path) {
    if is_here() {
        let output = Command::new("promtool").args(arguments).current_dir(folder).output().unwrap();
        assert!(output.status.success(), "{output:#?}");
    }
}
