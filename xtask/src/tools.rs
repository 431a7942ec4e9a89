//! Programs of other projects that some tests run. Tests are skipped without them, except in CI, where they are installed.

use anyhow::Result;

use crate::process::find;
use crate::system;

#[derive(Debug)]
pub(crate) struct Tools {
    /// What they are for, in messages.
    pub(crate) purpose: &'static str,
    programs: &'static [&'static str],
    /// The Debian packages that have the programs.
    packages: &'static [&'static str],
}

pub(crate) const MONITORING: Tools = Tools {
    purpose: "tests of alert rules and dashboards",
    programs: &["prometheus", "promtool"],
    packages: &["prometheus"],
};

pub(crate) const IMAGE: Tools = Tools {
    purpose: "tests of the container image",
    programs: &["skopeo", "umoci", "hivexml", "docker-registry"],
    packages: &["skopeo", "umoci", "libhivex-bin", "docker-registry"],
};

pub(crate) const BROWSER: Tools = Tools {
    purpose: "tests of the page /ui/",
    programs: &["chromium", "chromedriver"],
    packages: &["chromium", "chromium-driver"],
};

/// Also for a release itself.
pub(crate) const RELEASE: Tools = Tools {
    purpose: "files of a release and their tests",
    programs: &["wixl", "msibuild", "msiinfo", "osslsigncode", "openssl", "minisign"],
    packages: &["wixl", "msitools", "osslsigncode", "openssl", "minisign"],
};

pub(crate) const INSTALLER: Tools = Tools {
    purpose: "tests of the installer under Wine",
    programs: &["wixl", "msibuild", "wine", "x86_64-w64-mingw32-gcc"],
    packages: &["wixl", "msitools", "wine", "wine64", "gcc-mingw-w64-x86-64"],
};

/// All tools that are installed in CI before the tests.
pub(crate) const ALL: [Tools; 5] = [MONITORING, IMAGE, BROWSER, RELEASE, INSTALLER];

impl Tools {
    pub(crate) fn are_here(&self) -> bool {
        self.programs.iter().all(|program| find(program).is_some())
    }

    /// Installs them if they are missing.
    pub(crate) fn need(&self) -> Result<()> {
        if self.are_here() { Ok(()) } else { system::need_packages(self.packages, self.purpose) }
    }

    /// The packages, for a message.
    pub(crate) fn packages(&self) -> String {
        self.packages.join(" ")
    }

    /// Whether a test has its tools. A message says if it is skipped.
    ///
    /// # Panics
    /// If they are missing in CI, where no test may be skipped.
    #[cfg(test)]
    pub(crate) fn found_for_test(&self) -> bool {
        let found = self.are_here();
        assert!(found || !crate::process::is_in_ci(), "missing programs for {}: {:?}", self.purpose, self.programs);
        if !found {
            crate::process::say(format_args!("SKIPPED: {}; the Debian packages {}", self.purpose, self.packages()));
        }
        found
    }
}
