//! External programs that some tests run. Without them, these tests are skipped, except in CI, which installs the programs.

use anyhow::Result;

use crate::process::find;
use crate::python::Environment;
use crate::{system, windows, wine};

#[derive(Debug)]
pub(crate) struct Tools {
    /// The purpose of the programs, for messages.
    pub(crate) purpose: &'static str,
    programs: &'static [&'static str],
    /// The Debian packages that contain the programs.
    packages: &'static [&'static str],
    python: Option<&'static Environment>,
}

pub(crate) const MONITORING: Tools = Tools {
    purpose: "tests of alert rules and dashboards",
    programs: &["prometheus", "promtool"],
    packages: &["prometheus"],
    python: None,
};

pub(crate) const IMAGE: Tools = Tools {
    purpose: "tests of the container image",
    programs: &["skopeo", "umoci", "hivexml", "docker-registry"],
    packages: &["skopeo", "umoci", "libhivex-bin", "docker-registry"],
    python: None,
};

pub(crate) const BROWSER: Tools = Tools {
    purpose: "tests of the web UI",
    programs: &["chromium", "chromedriver"],
    packages: &["chromium", "chromium-driver"],
    python: None,
};

/// Beside mdbook, which is not in Debian.
pub(crate) const BOOK: Tools =
    Tools { purpose: "links of the book", programs: &["linkchecker"], packages: &["linkchecker"], python: None };

/// A release itself needs these tools, too.
pub(crate) const RELEASE: Tools = Tools {
    purpose: "files of a release and their tests",
    programs: &["wixl", "msibuild", "msiinfo", "osslsigncode", "openssl", "minisign"],
    packages: &["wixl", "msitools", "osslsigncode", "openssl", "minisign"],
    python: None,
};

pub(crate) const INSTALLER: Tools = Tools {
    purpose: "tests of the installer under Wine",
    programs: &["wixl", "msibuild", "wine", windows::GCC],
    packages: &["wixl", "msitools", wine::PACKAGES[0], wine::PACKAGES[1], windows::GCC_PACKAGE],
    python: None,
};

pub(crate) const CHART: Tools =
    Tools { purpose: "tests of the Helm chart", programs: &[], packages: &[], python: Some(&CHART_PYTHON) };

/// Helm, and the schemas of Kubernetes.
pub(crate) const CHART_PYTHON: Environment =
    Environment { name: "python-chart", requirements: include_str!("chart/requirements.txt") };

/// All tools that are installed in CI before the tests.
pub(crate) const ALL: [Tools; 7] = [MONITORING, IMAGE, BROWSER, BOOK, RELEASE, INSTALLER, CHART];

impl Tools {
    pub(crate) fn are_here(&self) -> bool {
        self.programs_are_here() && self.python.is_none_or(Environment::is_here)
    }

    fn programs_are_here(&self) -> bool {
        self.programs.iter().all(|program| find(program).is_some())
    }

    /// Installs the tools if they are missing.
    pub(crate) fn need(&self) -> Result<()> {
        if !self.programs_are_here() {
            system::need_packages(self.packages, self.purpose)?;
        }
        self.python.map_or(Ok(()), |environment| environment.need(self.purpose))
    }

    /// Why tests are skipped, for a message.
    pub(crate) fn skipped(&self) -> String {
        format!("SKIPPED: {}; missing {}", self.purpose, self.names())
    }

    fn names(&self) -> String {
        match self.python {
            Some(environment) => {
                format!("the Python packages in target/{}, which cargo xtask chart installs", environment.name)
            }
            None => format!("the Debian packages {}", self.packages.join(" ")),
        }
    }

    /// Returns whether the tools of a test are installed. If not, prints a message that the test is skipped.
    ///
    /// # Panics
    /// If the tools are missing in CI, where no test may be skipped.
    #[cfg(test)]
    pub(crate) fn found_for_test(&self) -> bool {
        let found = self.are_here();
        assert!(found || !crate::process::is_in_ci(), "{}: missing {}", self.purpose, self.names());
        if !found {
            crate::process::say(format_args!("{}", self.skipped()));
        }
        found
    }
}
