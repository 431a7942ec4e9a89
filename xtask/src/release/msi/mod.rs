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

#[cfg(test)]
mod wine_tests;

/// The same for all versions: Windows finds the installed version by it.
pub(super) const UPGRADE_CODE: &str = "0C7C1B4E-5D4E-4B3A-8E0B-2F6B6A0E1D11";
const TEMPLATE: &str = include_str!("../../../../packaging/msi/hnsproxy.wxs");
/// 1980-01-01, the first time that a cabinet can have.
const MODIFIED: Duration = Duration::from_secs(315_532_800);
/// The same time in units of 100 ns since 1601.
const MODIFIED_FILETIME: u64 = 119_600_064_000_000_000;
/// wixl leaves two attributes out of actions that run a file of the package (18) as the system (2048) if the installation is undone, and whose result
/// is ignored (64): that they are deferred (1024), and for the rollback (256).
const ROLLBACK: &str = "UPDATE CustomAction SET Type = 3410 WHERE Type = 2130";

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
    fn the_program_installs_updates_and_removes_the_service() {
        if !RELEASE.found_for_test() {
            return;
        }
        let package = build("1.2.3", &files()).unwrap();
        assert_eq!(
            table(&package, "CustomAction"),
            [
                "InstallService | 3090 | ProgramFile | service install -- [ARGUMENTS]",
                "SetUpdate | 2099 | UPDATE | 1",
                "TakeSavedArguments | 2099 | ARGUMENTS | [SAVEDARGUMENTS]",
                "UndoInstallService | 3410 | ProgramFile | service uninstall",
                "UndoUninstallService | 3410 | ProgramFile | service install -- [SAVEDARGUMENTS]",
                "UndoUpdateService | 3410 | ProgramFile | service update -- [SAVEDARGUMENTS]",
                "UninstallService | 3154 | ProgramFile | service uninstall",
                "UpdateService | 3090 | ProgramFile | service update -- [ARGUMENTS]",
            ]
        );
        // The key is that of 64-bit programs (16), as the component that writes it.
        let saved = |name: &str| format!(r"Saved{name} | 2 | SOFTWARE\hnsproxy | {name} | 18");
        let service = r"ExistingService | 2 | SYSTEM\CurrentControlSet\Services\kube-proxy | ImagePath | 18".to_owned();
        assert_eq!(table(&package, "RegLocator"), [service, saved("Arguments"), saved("Version")]);
    }

    /// The actions of the sequence that change something, in its order, with their conditions.
    fn sequence(package: &[u8]) -> Vec<(String, String)> {
        let mut rows: Vec<(u32, String, String)> = (table(package, "InstallExecuteSequence").iter())
            .map(|row| {
                let [action, condition, number] = row.split(" | ").collect::<Vec<_>>().try_into().unwrap();
                (number.parse().unwrap(), action.to_owned(), condition.to_owned())
            })
            .collect();
        rows.sort();
        let is_meant = |action: &str| {
            let standard = ["RemoveFiles", "InstallFiles", "InstallFinalize", "RemoveExistingProducts"];
            action.contains("Service")
                || action.contains("Saved")
                || action == "SetUpdate"
                || standard.contains(&action)
        };
        rows.into_iter()
            .filter(|(_, action, _)| is_meant(action))
            .map(|(_, action, condition)| (action, condition))
            .collect()
    }

    /// What undoes an action runs only if the installation fails behind its own place, the last one first.
    #[test]
    fn a_failure_undoes_what_was_done_and_nothing_else() {
        if !RELEASE.found_for_test() {
            return;
        }
        let package = build("1.2.3", &files()).unwrap();
        let removes = "REMOVE=\"ALL\" AND SAVEDARGUMENTS AND SAVEDVERSION = ProductVersion";
        let installs = "ARGUMENTS AND NOT UPDATE AND NOT Installed";
        let updates = "UPDATE AND NOT Installed";
        let expected = [
            ("TakeSavedArguments", "NOT ARGUMENTS AND SAVEDARGUMENTS"),
            ("SetUpdate", "WIX_UPGRADE_DETECTED AND SAVEDARGUMENTS AND EXISTINGSERVICE"),
            // With the program, which is there again.
            ("UndoUninstallService", removes),
            ("UninstallService", removes),
            ("RemoveFiles", ""),
            // With the program of the older version, which is there again.
            ("UndoUpdateService", updates),
            ("InstallFiles", ""),
            ("InstallService", installs),
            // Not if the installation of the service failed, since another one has its name.
            ("UndoInstallService", installs),
            ("UpdateService", updates),
            ("InstallFinalize", ""),
            // The older version is complete until the new one is.
            ("RemoveExistingProducts", ""),
        ];
        assert_eq!(sequence(&package), expected.map(|(action, condition)| (action.to_owned(), condition.to_owned())));
        let conditions = table(&package, "LaunchCondition");
        let refuses = "Installed OR NOT ARGUMENTS OR NOT EXISTINGSERVICE OR (WIX_UPGRADE_DETECTED AND SAVEDARGUMENTS) | \
                       The service kube-proxy exists.";
        assert!(conditions.iter().any(|condition| condition.starts_with(refuses)), "{conditions:?}");
    }

    #[test]
    fn a_package_without_a_code_or_times_is_an_error() {
        let error = |bytes: &[u8]| fixed(bytes.to_vec(), "CODE", "EDOC").unwrap_err().to_string();
        assert_eq!(error(b"other"), "missing package code in the package");
        assert_eq!(error(b"CODE"), "missing times in the package");
        assert_eq!(error(b"CODE\x40\x00\x00\x00abc"), "incomplete time in the package");
    }
}
