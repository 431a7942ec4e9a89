//! Tests of the installer with Wine's `msiexec`: which commands of the program it runs. Wine does not restore files when it undoes an
//! installation, so how a failed upgrade ends is only seen in the tables.

use std::fs;
use std::path::PathBuf;

use super::*;
use crate::tools::INSTALLER;
use crate::wine::Prefix;
use crate::{folder, windows};

const SERVICE: &str = r"HKLM\System\CurrentControlSet\Services\kube-proxy";
const SETTINGS: &str = r"HKLM\SOFTWARE\hnsproxy";

/// A prefix with packages of two versions of a program that records its arguments.
struct Rig {
    prefix: Prefix,
    folder: tempfile::TempDir,
}

impl Rig {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let recorder = folder.path().join("recorder.exe");
        windows::compile_program(&folder::root().unwrap().join("xtask/src/release/msi/recorder.c"), &recorder, &[])
            .unwrap();
        let program = fs::read(&recorder).unwrap();
        for version in ["1.2.3", "1.2.4"] {
            let mut files: Files =
                ["LICENSE.txt", "THIRD-PARTY-LICENSES.txt"].map(|name| (name.to_owned(), b"text".to_vec())).into();
            files.insert("hnsproxy.exe".to_owned(), [&program[..], version.as_bytes()].concat());
            fs::write(folder.path().join(format!("{version}.msi")), build(version, &files).unwrap()).unwrap();
        }
        Self { prefix: Prefix::in_folder(folder.path().join("wine")).unwrap(), folder }
    }

    /// Runs `msiexec`. Returns whether it succeeded, and the command lines of the program.
    fn msiexec(&self, action: &str, version: &str, properties: &[&str]) -> (bool, Vec<String>) {
        let package = self.folder.path().join(format!("{version}.msi"));
        let mut command = self.prefix.command();
        command.args(["msiexec", action]).arg(package).arg("/qn").args(properties);
        let success = command.status().unwrap().success();
        let calls = self.prefix.drive_c().join("calls.txt");
        let text = fs::read_to_string(&calls).unwrap_or_default();
        let _ = fs::remove_file(calls);
        (success, text.lines().map(|line| line.trim_end().to_owned()).collect())
    }

    fn registry(&self, arguments: &[&str]) -> String {
        let output = self.prefix.command().arg("reg").args(arguments).output().unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    fn set_service(&self, exists: bool) {
        if exists {
            self.registry(&["add", SERVICE, "/v", "ImagePath", "/d", r"C:\other.exe", "/f"]);
        } else {
            self.registry(&["delete", SERVICE, "/f"]);
        }
    }

    fn set_failing(&self, fails: bool) {
        let file = self.prefix.drive_c().join("fail.txt");
        if fails { fs::write(file, "").unwrap() } else { fs::remove_file(file).unwrap() }
    }

    /// The version of the installed program, and the saved arguments.
    fn installed(&self) -> Option<(String, String)> {
        let program = fs::read(self.program()).ok()?;
        let version = String::from_utf8_lossy(program.get(program.len().checked_sub(5)?..)?).into_owned();
        let settings = self.registry(&["query", SETTINGS, "/v", "Arguments"]);
        let arguments = settings.split_once("REG_SZ").map_or("", |(_, value)| value).trim().to_owned();
        Some((version, arguments))
    }

    fn program(&self) -> PathBuf {
        self.prefix.drive_c().join("Program Files/hnsproxy/hnsproxy.exe")
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        let _ = self.prefix.wait_until_quiet();
    }
}

fn done(calls: &[&str]) -> (bool, Vec<String>) {
    (true, calls.iter().map(|&call| call.to_owned()).collect())
}

fn failed(calls: &[&str]) -> (bool, Vec<String>) {
    (false, done(calls).1)
}

fn state(version: &str, arguments: &str) -> Option<(String, String)> {
    Some((version.to_owned(), arguments.to_owned()))
}

#[test]
fn the_installer_changes_only_its_own_service() {
    if !INSTALLER.found_for_test() {
        return;
    }
    let rig = Rig::new();
    // The service of another program: only the program is installed and removed.
    rig.set_service(true);
    assert_eq!(rig.msiexec("/i", "1.2.3", &["ARGUMENTS=--a"]), failed(&[]));
    assert_eq!(rig.installed(), None);
    assert_eq!(rig.msiexec("/i", "1.2.3", &[]), done(&[]));
    assert_eq!(rig.msiexec("/i", "1.2.4", &[]), done(&[]));
    assert_eq!(rig.installed(), state("1.2.4", ""));
    assert_eq!(rig.msiexec("/x", "1.2.4", &[]), done(&[]));
    rig.set_service(false);
    // What failed is not undone: it may be that of another program.
    rig.set_failing(true);
    assert_eq!(rig.msiexec("/i", "1.2.3", &["ARGUMENTS=--a"]), failed(&["service install -- --a"]));
    assert_eq!(rig.installed(), None);
    rig.set_failing(false);
    // An upgrade keeps the service and its arguments, and the removal of the older version does not remove it.
    assert_eq!(rig.msiexec("/i", "1.2.3", &["ARGUMENTS=--a"]), done(&["service install -- --a"]));
    rig.set_service(true);
    assert_eq!(rig.installed(), state("1.2.3", "--a"));
    assert_eq!(rig.msiexec("/i", "1.2.4", &[]), done(&["service update -- --a"]));
    assert_eq!(rig.installed(), state("1.2.4", "--a"));
    assert_eq!(rig.msiexec("/i", "1.2.3", &[]), failed(&[]), "no downgrade");
    assert_eq!(rig.installed(), state("1.2.4", "--a"));
    assert_eq!(rig.msiexec("/x", "1.2.4", &[]), done(&["service uninstall"]));
    assert_eq!(rig.installed(), None);
    rig.set_service(false);
}
