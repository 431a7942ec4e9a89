//! The programs of Prometheus, which the tests of `deploy/monitoring` run.

use anyhow::Result;

use crate::process::find;
use crate::system;

const PROGRAMS: [&str; 2] = ["prometheus", "promtool"];
/// The Debian package that has them.
const PACKAGE: &str = "prometheus";

pub(crate) fn tools_are_here() -> bool {
    PROGRAMS.into_iter().all(|program| find(program).is_some())
}

/// Installs them if they are missing.
pub(crate) fn need_tools() -> Result<()> {
    if tools_are_here() { Ok(()) } else { system::need_packages(&[PACKAGE], "the tests of alert rules and dashboards") }
}
