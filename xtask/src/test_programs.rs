//! Programs of Debian packages that some tests run. These tests are skipped without them, except in CI.

use anyhow::Result;

use crate::process::{find, say};
use crate::system;

struct Programs {
    names: [&'static str; 2],
    packages: &'static [&'static str],
    /// The tests that run them.
    tests: &'static str,
}

const ALL: [Programs; 2] = [
    Programs {
        names: ["prometheus", "promtool"],
        packages: &["prometheus"],
        tests: "the tests of alert rules and dashboards",
    },
    Programs {
        names: ["chromium", "chromedriver"],
        packages: &["chromium", "chromium-driver"],
        tests: "the tests of the page /ui/",
    },
];

impl Programs {
    fn are_here(&self) -> bool {
        self.names.into_iter().all(|name| find(name).is_some())
    }
}

/// Installs those that are missing.
pub(crate) fn need() -> Result<()> {
    let mut missing = ALL.into_iter().filter(|programs| !programs.are_here());
    missing.try_for_each(|Programs { packages, tests, .. }| system::need_packages(packages, tests))
}

/// Says which tests are skipped: cargo-nextest does not show the output of a test that succeeds.
pub(crate) fn report_skipped() {
    for Programs { packages, tests, .. } in ALL.into_iter().filter(|programs| !programs.are_here()) {
        say(format_args!("SKIPPED: {tests}; the Debian packages {} have the programs", packages.join(", ")));
    }
}
