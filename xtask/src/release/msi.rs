//! The Windows Installer package, made by `wixl` of msitools from `packaging/msi`.
//!
//! wixl gives each package another code and the time of its creation. Both are replaced, so that the same files give the same bytes.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result, ensure};

use super::{guid, template};
use crate::archive::Files;
use crate::hash::sha256;
use crate::process::output;

/// The same for all versions: Windows finds the installed version by it.
pub(super) const UPGRADE_CODE: &str = "0C7C1B4E-5D4E-4B3A-8E0B-2F6B6A0E1D11";
const TEMPLATE: &str = include_str!("../../../packaging/msi/hnsproxy.wxs");
/// 1980-01-01, the first time that a cabinet can have.
const MODIFIED: Duration = Duration::from_secs(315_532_800);
/// The same time in units of 100 ns since 1601.
const MODIFIED_FILETIME: u64 = 119_600_064_000_000_000;
/// A deferred action (1024) that runs a file of the package (18) as the system (2048) if the installation is undone (256), and whose
/// result is ignored (64). wixl does not know the attribute for it.
const ROLLBACK: &str = "UPDATE CustomAction SET Type = 3410 WHERE Action = 'UndoService'";

/// In upper case, as Windows requires it. Each version is another product.
pub(super) fn product_code(version: &str) -> String {
    guid::of(&["product", version]).to_uppercase()
}

/// The package of files whose names are in the template.
pub(super) fn build(version: &str, files: &Files) -> Result<Vec<u8>> {
    let folder = tempfile::tempdir()?;
    let folder = folder.path();
    for (name, content) in files {
        let path = folder.join(name);
        fs::write(&path, content)?;
        fs::File::options().write(true).open(&path)?.set_modified(SystemTime::UNIX_EPOCH + MODIFIED)?;
    }
    let values = [
        ("PRODUCT_CODE", product_code(version)),
        ("UPGRADE_CODE", UPGRADE_CODE.to_owned()),
        ("VERSION", version.to_owned()),
    ];
    let values: Vec<(&str, &str)> = values.iter().map(|(name, value)| (*name, value.as_str())).collect();
    fs::write(folder.join("hnsproxy.wxs"), template::fill(TEMPLATE, &values)?)?;
    let package = folder.join("hnsproxy.msi");
    // The cabinet has local times.
    output(run("wixl", folder).env("TZ", "UTC").args(["-a", "x64", "-o", "hnsproxy.msi", "hnsproxy.wxs"]))?;
    output(run("msibuild", folder).args(["hnsproxy.msi", "-q", ROLLBACK]))?;
    let summary = output(run("msiinfo", folder).args(["suminfo", "hnsproxy.msi"]))?;
    let hashes: Vec<String> = files.iter().map(|(name, content)| format!("{name} {}", sha256(content))).collect();
    let code = guid::of(&["package", version, &hashes.join("\n")]).to_uppercase();
    let bytes = fs::read(&package).with_context(|| format!("cannot read {}", package.display()))?;
    fixed(bytes, package_code(&summary)?, &code)
}

fn run(program: &str, folder: &Path) -> Command {
    let mut command = Command::new(program);
    command.current_dir(folder);
    command
}

/// From the output of `msiinfo suminfo`.
fn package_code(summary: &str) -> Result<&str> {
    let code = summary.lines().find_map(|line| line.strip_prefix("Revision number (UUID): {")?.strip_suffix('}'));
    code.context("missing package code in the output of msiinfo")
}

/// Replaces the package code, and the times after it. A time is the type 64 and 8 bytes
/// ([MS-OLEPS](https://learn.microsoft.com/openspecs/windows_protocols/ms-oleps/bf7aeae8-c47a-4939-9f45-700158dac3bc)).
fn fixed(mut bytes: Vec<u8>, code: &str, new_code: &str) -> Result<Vec<u8>> {
    let at = bytes.windows(code.len()).position(|window| window == code.as_bytes());
    let at = at.context("missing package code in the package")?;
    let (_, rest) = bytes.split_at_mut(at);
    let (place, rest) = rest.split_at_mut(code.len());
    ensure!(new_code.len() == place.len(), "invalid package code {new_code}");
    place.copy_from_slice(new_code.as_bytes());
    let mut rest = rest;
    // The creation, and the last change.
    for _ in 0..2 {
        let next = rest.windows(4).position(|window| window == 64_u32.to_le_bytes());
        let (_, entry) = rest.split_at_mut(next.context("missing times in the package")?);
        let (time, after) = entry.split_at_mut_checked(4 + 8).context("incomplete time in the package")?;
        let (_, value) = time.split_at_mut(4);
        value.copy_from_slice(&MODIFIED_FILETIME.to_le_bytes());
        rest = after;
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tools::RELEASE;

    fn files() -> Files {
        let names = ["hnsproxy.exe", "LICENSE.txt", "THIRD-PARTY-LICENSES.txt"];
        names.map(|name| (name.to_owned(), name.as_bytes().to_vec())).into()
    }

    #[test]
    fn the_same_files_give_the_same_package() {
        if !RELEASE.found_for_test() {
            return;
        }
        let [first, second] = [(), ()].map(|()| build("1.2.3", &files()).unwrap());
        assert!(first == second, "two packages of the same files differ");
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("hnsproxy.msi"), &first).unwrap();
        let summary = output(run("msiinfo", folder.path()).env("TZ", "UTC").args(["suminfo", "hnsproxy.msi"])).unwrap();
        assert!(summary.contains("Created: Tue Jan  1 00:00:00 1980"), "{summary}");
    }

    /// The rows of a table of the package, without the three lines of its head.
    fn table(package: &[u8], name: &str) -> Vec<String> {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("hnsproxy.msi"), package).unwrap();
        let text = output(run("msiinfo", folder.path()).args(["export", "hnsproxy.msi", name])).unwrap();
        let mut rows: Vec<String> = text.lines().skip(3).map(|line| line.trim_end().replace('\t', " | ")).collect();
        rows.sort();
        rows
    }

    #[test]
    fn the_program_installs_and_removes_the_service() {
        if !RELEASE.found_for_test() {
            return;
        }
        let package = build("1.2.3", &files()).unwrap();
        assert_eq!(
            table(&package, "CustomAction"),
            [
                "InstallService | 3090 | ProgramFile | service install -- [ARGUMENTS]",
                "TakeSavedArguments | 2099 | ARGUMENTS | [SAVEDARGUMENTS]",
                "UndoService | 3410 | ProgramFile | service uninstall",
                "UninstallService | 3154 | ProgramFile | service uninstall",
            ]
        );
        let sequence = table(&package, "InstallExecuteSequence");
        let actions: Vec<_> = sequence.iter().filter(|row| row.contains("Service") || row.contains("Saved")).collect();
        assert_eq!(
            actions,
            [
                "InstallService | ARGUMENTS AND NOT Installed | 4020",
                "TakeSavedArguments | NOT ARGUMENTS AND SAVEDARGUMENTS | 60",
                "UndoService | ARGUMENTS AND NOT Installed | 4010",
                "UninstallService | REMOVE=\"ALL\" AND SAVEDARGUMENTS | 3450",
            ]
        );
        // The key is that of 64-bit programs (16), as the component that writes it.
        assert_eq!(table(&package, "RegLocator"), [r"SavedArguments | 2 | SOFTWARE\hnsproxy | Arguments | 18"]);
    }

    #[test]
    fn a_package_without_a_code_or_times_is_an_error() {
        let error = |bytes: &[u8]| fixed(bytes.to_vec(), "CODE", "EDOC").unwrap_err().to_string();
        assert_eq!(error(b"other"), "missing package code in the package");
        assert_eq!(error(b"CODE"), "missing times in the package");
        assert_eq!(error(b"CODE\x40\x00\x00\x00abc"), "incomplete time in the package");
    }
}
