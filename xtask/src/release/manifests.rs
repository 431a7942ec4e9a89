//! The manifests of package managers, which name the installer and its hash.

use anyhow::Result;

use super::{msi, template};
use crate::archive::Files;

/// Each template of `packaging/`, with its path.
macro_rules! templates {
    ($($path:literal),+ $(,)?) => { [$(($path, include_str!(concat!("../../../packaging/", $path)))),+] };
}

const TEMPLATES: [(&str, &str); 6] = templates!(
    "winget/hnsproxy.hnsproxy.yaml",
    "winget/hnsproxy.hnsproxy.locale.en-US.yaml",
    "winget/hnsproxy.hnsproxy.installer.yaml",
    "chocolatey/hnsproxy.nuspec",
    "chocolatey/tools/chocolateyInstall.ps1",
    "chocolatey/tools/chocolateyUninstall.ps1",
);

/// The files for winget and Chocolatey. The date is `YYYY-MM-DD`.
pub(super) fn files(version: &str, date: &str, installer: &str, sha256: &str) -> Result<Files> {
    let values = [
        ("VERSION", version),
        ("REPOSITORY", env!("CARGO_PKG_REPOSITORY")),
        ("DATE", date),
        ("MSI", installer),
        ("MSI_SHA256", &sha256.to_uppercase()),
        ("PRODUCT_CODE", &msi::product_code(version)),
        ("UPGRADE_CODE", msi::UPGRADE_CODE),
    ];
    TEMPLATES.iter().map(|(path, text)| Ok(((*path).to_owned(), template::fill(text, &values)?.into_bytes()))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn winget_gets_the_installer_with_its_hash_and_codes() {
        let files = files("1.2.3", "2026-12-01", "hnsproxy.msi", "abc").unwrap();
        let installer = String::from_utf8(files["winget/hnsproxy.hnsproxy.installer.yaml"].clone()).unwrap();
        let repository = env!("CARGO_PKG_REPOSITORY");
        let expected = [
            format!("InstallerUrl: {repository}/releases/download/v1.2.3/hnsproxy.msi"),
            "InstallerSha256: ABC".to_owned(),
            format!("ProductCode: '{{{}}}'", msi::product_code("1.2.3")),
            format!("UpgradeCode: '{{{}}}'", msi::UPGRADE_CODE),
        ];
        for line in expected {
            assert!(installer.contains(&line), "{line} not found in\n{installer}");
        }
    }
}
